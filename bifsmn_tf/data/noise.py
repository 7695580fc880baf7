"""Background noise: reading it, and cutting silence clips from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bifsmn_tf.data import audio_files, splits


def noise_files(root) -> list[Path]:
    """Lists the background noise recordings of a data set.

    Args:
        root: The folder of the data set.

    Returns:
        The audio files of `_background_noise_`, sorted; empty if there is no such folder.
    """
    folder = Path(root) / splits.NOISE_FOLDER
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in audio_files.AUDIO_EXTENSIONS and not path.name.startswith(".")
    )


def read_noise(root, on_bad_file: str = "skip") -> dict[Path, np.ndarray]:
    """Reads the background noise of a data set.

    Args:
        root: The folder of the data set.
        on_bad_file: `"skip"` or `"error"`.

    Returns:
        `{path: int16 samples of shape (n,)}`. A recording shorter than a clip is repeated, so
        that a clip can be cut from any.

    Raises:
        ValueError: If a file is unusable and `on_bad_file` is `"error"`.
    """
    noise, faults = {}, []
    for path in noise_files(root):
        try:
            samples = audio_files.read_audio(path)
        except audio_files.BadAudioFile as fault:
            faults.append(fault)
            continue
        repeats = -(-(audio_files.CLIP_SAMPLES + 1) // samples.shape[0])
        noise[path] = np.tile(samples, repeats) if repeats > 1 else samples
    audio_files.report_faults(faults, on_bad_file, splits.NOISE_FOLDER)
    return noise


def random_cuts(
    noise: dict[Path, np.ndarray], count: int, rng: np.random.Generator
) -> list[tuple[Path, int, float]]:
    """Draws where silence clips are cut from the noise, and how loud they are.

    Args:
        noise: From `read_noise`, not empty.
        count: Number of cuts.
        rng: Source of randomness.

    Returns:
        `(path, offset, volume)` per cut; `volume` is uniform in [0, 1).
    """
    paths = sorted(noise)
    cuts = []
    for _ in range(count):
        path = paths[int(rng.integers(len(paths)))]
        offset = int(rng.integers(noise[path].shape[0] - audio_files.CLIP_SAMPLES))
        cuts.append((path, offset, float(rng.random())))
    return cuts


def cut_clip(samples: np.ndarray, offset: int, volume: float) -> np.ndarray:
    """Cuts one clip from a noise recording.

    Args:
        samples: int16 array of shape `(n,)`.
        offset: First sample.
        volume: Factor on the samples.

    Returns:
        An int16 array of shape `(16000,)`.
    """
    clip = samples[offset : offset + audio_files.CLIP_SAMPLES].astype(np.float32)
    return np.rint(clip * volume).astype(np.int16)
