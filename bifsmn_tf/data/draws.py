"""Random draws for augmentation: one per clip, and reproducible by seed."""

from __future__ import annotations

import tensorflow as tf


def coin(batch, seed, probability):
    return tf.random.stateless_uniform([batch], seed) < probability


def draw(batch, seed, probability, bounds, otherwise):
    """Uniform values, or `otherwise` where the step is not taken."""
    coin_seed, value_seed = tf.unstack(tf.random.split(seed, 2))
    low, high = float(bounds[0]), float(bounds[1])
    value = low + (high - low) * tf.random.stateless_uniform([batch], value_seed)
    return tf.where(coin(batch, coin_seed, probability), value, otherwise)
