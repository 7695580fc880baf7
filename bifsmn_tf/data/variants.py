"""Augmented variants of evaluation clips: other voices, rooms, levels and noise than recorded."""

import numpy as np
import tensorflow as tf

from bifsmn_tf.data import audio_files
from bifsmn_tf.data.robust_augment import RobustAugmentation

_BATCH = 256
# Trainings have stock 0 of impulse responses and coloured noise: clips of an evaluation are heard
# in rooms that no training knew.
_STOCK = 1


def augmented_variants(samples, noise, count, seed=0):
    """Makes variants of clips with `RobustAugmentation`, one of all clips at a time.

    Args:
        samples: int16 waveforms `(n, 16000)`.
        noise: Background recordings, see `RobustAugmentation`.
        count: Number of variants.
        seed: Of the variants.

    Yields:
        int16 waveforms `(n, 16000)`, `count` times.
    """
    augment = tf.function(
        RobustAugmentation(noise, seed=_STOCK),
        input_signature=[
            tf.TensorSpec((None, audio_files.CLIP_SAMPLES), tf.float32),
            tf.TensorSpec((2,), tf.int32),
        ],
    )
    for variant in range(count):
        rng = np.random.default_rng([seed % 2**63, variant])
        result = np.empty_like(samples)
        for start in range(0, len(samples), _BATCH):
            rows = slice(start, start + _BATCH)
            waveforms = audio_files.to_float(samples[rows])
            waveforms = augment(waveforms, rng.integers(2**31, size=2, dtype=np.int32)).numpy()
            result[rows] = np.clip(np.round(32768 * waveforms), -32768, 32767)
        yield result
