"""Mixing of clips and of their labels."""

from __future__ import annotations

import tensorflow as tf


class Mixup:
    r"""Mixup (Zhang et al., 2018): a clip plus a little of its neighbour in the batch.

    $$\tilde x = (1 - \lambda) x + \lambda x', \qquad
      \tilde y = (1 - \lambda) y + \lambda y', \qquad \lambda \sim U(0, \lambda_{\max})$$

    for a share of the clips; features are mixed as they are, in dB.

    Args:
        probability: Share of the clips that are mixed.
        most: Largest share lambda_max of the neighbour.
    """

    def __init__(self, probability=0.5, most=0.4):
        if not 0 <= probability <= 1:
            raise ValueError(
                f"`probability` must be within 0 and 1. Received: probability={probability!r}"
            )
        if not 0 < most <= 0.5:
            raise ValueError(f"`most` must be above 0, at most 0.5. Received: most={most!r}")
        self.probability = probability
        self.most = most

    def __call__(self, features, labels, seed):
        """Mixes a batch.

        Args:
            features: `(B, ...)`.
            labels: Shares of the classes `(B, classes)`.
            seed: Integer tensor of shape `(2,)`, as TensorFlow's stateless random ops take.

        Returns:
            `(features, labels)` of the same shapes.
        """
        coin_seed, share_seed = tf.unstack(tf.random.split(seed, 2))
        batch = tf.shape(features)[0]
        mixed = tf.random.stateless_uniform([batch], coin_seed) < self.probability
        share = tf.random.stateless_uniform([batch], share_seed, 0.0, self.most)
        share = tf.where(mixed, share, 0.0)

        def mix(x):
            factor = tf.reshape(share, [-1] + [1] * (x.shape.rank - 1))
            return (1.0 - factor) * x + factor * tf.roll(x, 1, axis=0)

        return mix(features), mix(labels)
