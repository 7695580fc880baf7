"""Inputs of networks, from waveforms: log-mel features as a rule."""

from __future__ import annotations

import functools

import numpy as np

from bifsmn_tf.data import audio_files


@functools.cache
def front_end(num_mels: int = 32):
    """The log-mel layer with the papers' settings but for the number of bands, made once."""
    from bifsmn_tf.layers import LogMelSpectrogram

    return _built(LogMelSpectrogram(num_mels))


@functools.cache
def _resampler(num_samples: int):
    from bifsmn_tf.layers import Resampler

    return _built(Resampler(num_samples))


def _built(layer):
    import tensorflow as tf

    with tf.init_scope():  # also from within a traced function, its weights are eager
        layer(tf.zeros((1, audio_files.CLIP_SAMPLES)))
    return layer


def front_end_of(network):
    """The layer that makes a network's inputs from waveforms `(batch, 16000)`.

    Args:
        network: A model of `bifsmn_tf.models`: with `num_samples`, it reads that many samples
            per second; else log-mel features with `num_mels` bands (32 if it has no such
            attribute).

    Returns:
        A Keras layer, the same for equal sizes.
    """
    num_samples = getattr(network, "num_samples", None)
    if num_samples is not None:
        return _resampler(num_samples)
    return front_end(getattr(network, "num_mels", 32))


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
    return apply_front_end(front_end(), waveforms, batch_size)


def apply_front_end(layer, waveforms, batch_size: int = 256) -> np.ndarray:
    """Computes the inputs that a network wants of many clips.

    Args:
        layer: From `front_end_of`.
        waveforms: Array of shape `(n, 16000)`: float in [-1, 1), or int16.
        batch_size: Clips computed at once.

    Returns:
        A float32 array, one row per clip.

    Raises:
        ValueError: If the shape is not `(n, 16000)`.
    """
    waveforms = np.asarray(waveforms)
    if waveforms.ndim != 2 or waveforms.shape[1] != audio_files.CLIP_SAMPLES:
        raise ValueError(
            f"`waveforms` must have the shape (n, {audio_files.CLIP_SAMPLES}). "
            f"Received: shape {waveforms.shape}"
        )
    parts = []
    for start in range(0, waveforms.shape[0], batch_size):
        part = waveforms[start : start + batch_size]
        if part.dtype == np.int16:
            part = audio_files.to_float(part)
        parts.append(np.asarray(layer(part.astype(np.float32))))
    shape = layer.compute_output_shape((0, audio_files.CLIP_SAMPLES))
    return np.concatenate(parts) if parts else np.zeros(shape, np.float32)
