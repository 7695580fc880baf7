"""Log-mel features of waveforms."""

from __future__ import annotations

import functools

import numpy as np

from bifsmn_tf.data import audio_files


@functools.cache
def front_end():
    """The log-mel layer with the papers' settings, made once."""
    import tensorflow as tf

    from bifsmn_tf.layers import LogMelSpectrogram

    with tf.init_scope():  # also from within a traced function, its weights are eager
        layer = LogMelSpectrogram()
        layer(tf.zeros((1, audio_files.CLIP_SAMPLES)))
    return layer


def log_mel_features(waveforms, batch_size: int = 256) -> np.ndarray:
    """Computes the features of many clips.

    Args:
        waveforms: Array of shape `(n, 16000)`: float in [-1, 1), or int16.
        batch_size: Clips computed at once.

    Returns:
        A float32 array of shape `(n, 32, 32, 1)` in dB: mel band, frame, channel.

    Raises:
        ValueError: If the shape is not `(n, 16000)`.
    """
    waveforms = np.asarray(waveforms)
    if waveforms.ndim != 2 or waveforms.shape[1] != audio_files.CLIP_SAMPLES:
        raise ValueError(
            f"`waveforms` must have the shape (n, {audio_files.CLIP_SAMPLES}). "
            f"Received: shape {waveforms.shape}"
        )
    layer = front_end()
    parts = []
    for start in range(0, waveforms.shape[0], batch_size):
        part = waveforms[start : start + batch_size]
        if part.dtype == np.int16:
            part = audio_files.to_float(part)
        parts.append(np.asarray(layer(part.astype(np.float32))))
    return np.concatenate(parts) if parts else np.zeros((0, 32, 32, 1), np.float32)
