"""Background noise from which a batch of crops is cut at once."""

from __future__ import annotations

import numpy as np
import tensorflow as tf


class NoiseBank:
    """Background noise laid end to end, from which a batch of crops is cut at once."""

    def __init__(self, recordings, clip_samples: int):
        self._clip_samples = clip_samples
        checked = []
        for i, recording in enumerate(recordings):
            recording = np.asarray(recording, np.float32)
            if recording.ndim != 1 or recording.shape[0] == 0:
                raise ValueError(
                    "`noise` must hold 1-D arrays that are not empty. "
                    f"Received: shape {recording.shape} at index {i}"
                )
            repeats = -(-(clip_samples + 1) // recording.shape[0])
            checked.append(np.tile(recording, repeats))
        lengths = np.array([r.shape[0] for r in checked])
        # NumPy arrays: a tensor made here could belong to a graph that is gone when it is used.
        self._samples = np.concatenate(checked)
        self._starts = (np.cumsum(lengths) - lengths).astype(np.int32)
        self._choices = (lengths - clip_samples).astype(np.int32)
        with tf.init_scope():
            self._samples = tf.constant(self._samples)

    def crops(self, count, seed) -> tf.Tensor:
        file_seed, start_seed = tf.unstack(tf.random.split(seed, 2))
        number = len(self._starts)
        index = tf.random.stateless_uniform([count], file_seed, 0, number, tf.int32)
        choices = tf.gather(self._choices, index)
        position = tf.random.stateless_uniform([count], start_seed)
        offset = tf.minimum(
            tf.cast(position * tf.cast(choices, tf.float32), tf.int32), choices - 1
        )
        start = tf.gather(self._starts, index) + offset
        return tf.gather(self._samples, start[:, None] + tf.range(self._clip_samples)[None])
