"""Decoding of one-second recordings: wav, flac, ogg and mp3 through `soundfile`.

Clips are kept as 16-bit integers, a quarter of the memory of float64 and half of float32;
`to_float` turns them into the front end's range [-1, 1) by dividing by 32,768.
"""

from __future__ import annotations

import collections
import os
import warnings
from concurrent import futures
from pathlib import Path

import numpy as np

from bifsmn_tf.data import progress

SAMPLE_RATE = 16_000  # Hz
CLIP_SAMPLES = 16_000  # one second
AUDIO_EXTENSIONS = (".wav", ".flac", ".ogg", ".mp3")


class BadAudioFile(ValueError):
    """A file that cannot serve as a recording.

    Attributes:
        path: The file.
        reason: Why, in a few words that are the same for all files with the same fault.
    """

    def __init__(self, path, reason: str, detail: str = ""):
        self.path = Path(path)
        self.reason = reason
        super().__init__(f"{path}: {reason}{f' ({detail})' if detail else ''}")


def read_audio(path, max_samples: int | None = None) -> np.ndarray:
    """Reads a recording as 16-bit mono.

    Several channels are averaged: a stereo recording of one speaker is common among users'
    own files, and either channel alone may be the silent one.

    Args:
        path: A wav, flac, ogg or mp3 file at 16,000 Hz.
        max_samples: Read no further than this; None reads everything.

    Returns:
        An int16 array of shape `(samples,)`.

    Raises:
        BadAudioFile: If the file is missing, empty, not audio, at another sample
            rate, or holds values that are not finite.
    """
    import soundfile

    try:
        if os.path.getsize(path) == 0:
            raise BadAudioFile(path, "empty file")
        with soundfile.SoundFile(os.fspath(path)) as sound:
            if sound.samplerate != SAMPLE_RATE:
                raise BadAudioFile(
                    path,
                    "wrong sample rate",
                    f"expected {SAMPLE_RATE} Hz. Received: {sound.samplerate} Hz",
                )
            frames = -1 if max_samples is None else max_samples
            # Integer reads of floating point files are not scaled by libsndfile.
            is_int16 = sound.subtype == "PCM_16" and sound.channels == 1
            samples = sound.read(frames, dtype="int16" if is_int16 else "float32")
    except (OSError, soundfile.SoundFileError) as error:
        detail = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadAudioFile(path, "not readable as audio", detail) from error
    if samples.shape[0] == 0:
        raise BadAudioFile(path, "no samples")
    if is_int16:
        return samples
    if samples.ndim == 2:
        samples = samples.mean(axis=1)
    if not np.all(np.isfinite(samples)):
        raise BadAudioFile(path, "samples that are not finite")
    return np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16)


def fix_length(samples: np.ndarray, length: int = CLIP_SAMPLES) -> np.ndarray:
    """Keeps the first `length` samples, or pads with zeros at the end.

    Args:
        samples: Array of shape `(samples,)`.
        length: Wanted number of samples.

    Returns:
        An array of shape `(length,)` and the same type.
    """
    if samples.shape[0] >= length:
        return samples[:length]
    return np.pad(samples, (0, length - samples.shape[0]))


def to_float(samples: np.ndarray) -> np.ndarray:
    """Turns 16-bit samples into float32 in [-1, 1).

    Args:
        samples: int16 array of any shape.

    Returns:
        A float32 array of the same shape: `samples / 32768`, exact.
    """
    return samples.astype(np.float32) * np.float32(1.0 / 32768.0)


def read_clip(path) -> np.ndarray:
    """Reads the first second of a recording; see `read_audio` and `fix_length`.

    Args:
        path: An audio file.

    Returns:
        An int16 array of shape `(16000,)`.

    Raises:
        BadAudioFile: As `read_audio`.
    """
    return fix_length(read_audio(path, CLIP_SAMPLES))


def read_clips(paths, out: np.ndarray, description: str = "Reading clips") -> list[BadAudioFile]:
    """Reads many recordings in parallel.

    Args:
        paths: Files, or None for a row that is left as it is.
        out: int16 array of shape `(len(paths), 16000)` to fill.
        description: Text of the progress bar.

    Returns:
        The faults found, in the order of `paths`. Their rows of `out` are left as they were.
    """

    def read(row_and_path):
        row, path = row_and_path
        if path is None:
            return None
        try:
            out[row] = read_clip(path)
        except BadAudioFile as error:
            return error
        return None

    with futures.ThreadPoolExecutor(min(8, (os.cpu_count() or 1) * 2)) as pool:
        results = pool.map(read, enumerate(paths))
        results = progress.track(results, total=len(paths), description=description)
        return [error for error in results if error is not None]


def describe_faults(faults: list[BadAudioFile]) -> str:
    """Sums faults up by reason.

    Args:
        faults: At least one fault.

    Returns:
        For example `"2 wrong sample rate (e.g. yes/a.wav: ...); 1 empty file (e.g. ...)"`.
    """
    counts = collections.Counter(fault.reason for fault in faults)
    first = {}
    for fault in faults:
        first.setdefault(fault.reason, fault)
    return "; ".join(f"{n} {reason} (e.g. {first[reason]})" for reason, n in counts.most_common())


def report_faults(faults: list[BadAudioFile], policy: str, what: str) -> None:
    """Warns of faults once, or raises.

    Args:
        faults: The faults; nothing happens without any.
        policy: `"skip"` to warn, `"error"` to raise.
        what: What was read, for the message.

    Raises:
        ValueError: If `policy` is `"error"` and there are faults. The message names the files.
    """
    if not faults:
        return
    if policy == "skip":
        warnings.warn(
            f"{len(faults)} unusable audio file(s) skipped in {what}: {describe_faults(faults)}.",
            stacklevel=4,
        )
        return
    shown = "".join(f"\n  {fault}" for fault in faults[:20])
    more = f"\n  and {len(faults) - 20} more" if len(faults) > 20 else ""
    raise ValueError(
        f"{len(faults)} unusable audio file(s) in {what}. An evaluation must not lose clips "
        "silently: repair or remove the files, or pass on_bad_file='skip'. "
        f"Received:{shown}{more}"
    )
