"""Decoded clips kept on disk, mapped into memory by later runs.

A cache file is named by a hash of what it was made from (every file's path, size and time of
last change, and every silence cut), so a changed data set never meets an old cache. It is
written beside its final name and then renamed: a run that dies leaves no half file behind.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import warnings
from pathlib import Path

import numpy as np

from bifsmn_tf.data import audio_files

_FORMAT = 1  # raise when decoding changes


def key(examples) -> str:
    """The name of the cache of some examples.

    Args:
        examples: List of `Example`.

    Returns:
        A hexadecimal string.
    """
    digest = hashlib.sha256(f"{_FORMAT} {audio_files.CLIP_SAMPLES}\n".encode())
    for example in examples:
        stamp = ""
        if example.path is not None:
            status = os.stat(example.path)
            stamp = f"{example.path.absolute()} {status.st_size} {status.st_mtime_ns}"
        line = f"{stamp} {example.label} {example.offset} {example.volume!r}\n"
        digest.update(line.encode())
    return digest.hexdigest()[:32]


def load(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Maps a cache into memory.

    Args:
        folder: The cache folder.
        name: From `key`.

    Returns:
        int16 samples `(n, 16000)`, read-only, and int32 labels `(n,)`; None if there is no such
        cache or it is damaged.
    """
    try:
        # Labels are written last: when they are there, the samples are complete.
        labels = np.load(folder / f"{name}.labels.npy")
        samples = np.load(folder / f"{name}.samples.npy", mmap_mode="r")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        warnings.warn(f"Damaged cache in {folder} is made anew ({error}).", stacklevel=2)
        return None
    if samples.shape != (labels.shape[0], audio_files.CLIP_SAMPLES) or samples.dtype != np.int16:
        warnings.warn(f"Damaged cache in {folder} is made anew.", stacklevel=2)
        return None
    return samples, labels


def store(folder: Path, name: str, samples: np.ndarray, labels: np.ndarray) -> None:
    """Writes a cache.

    Args:
        folder: The cache folder; made if missing.
        name: From `key`.
        samples: int16 array `(n, 16000)`.
        labels: int32 array `(n,)`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for kind, array in (("samples", samples), ("labels", labels)):
        handle, temporary = tempfile.mkstemp(prefix=f"{name}.", suffix=".part", dir=folder)
        try:
            with os.fdopen(handle, "wb") as file:
                np.save(file, array)
            os.replace(temporary, folder / f"{name}.{kind}.npy")
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
