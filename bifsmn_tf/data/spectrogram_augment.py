"""Masks over bands and frames of the log-mel features."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from bifsmn_tf.data import tfio


class SpectrogramAugmentation:
    """Time and frequency masking (SpecAugment, Park et al., 2019) of log-mel features.

    The BiFSMN papers do not use it; it is here for experiments. The masks come from
    tensorflow-io. Its ops draw from TensorFlow's stateful generators, which in a parallel
    pipeline would differ from run to run, so a stock of masks is drawn once by seed and every
    clip then picks one of them by the batch's own seed.
    """

    def __init__(
        self,
        freq_mask: int = 8,
        time_mask: int = 8,
        probability: float = 0.5,
        value: float | None = -100.0,
        shape: tuple[int, int] = (32, 32),
        num_masks: int = 1024,
        seed: int = 0,
    ):
        """Draws the stock of masks.

        Args:
            freq_mask: Masked bands are fewer than this; 0 masks none.
            time_mask: Masked frames are fewer than this; 0 masks none.
            probability: Probability that a clip is masked at all.
            value: What masked values become, in dB; -100 is digital silence, None the mean of
                the clip.
            shape: Number of mel bands and frames.
            num_masks: Size of the stock.
            seed: Of the stock.

        Raises:
            ImportError: If tensorflow-io is not installed.
            ValueError: If an argument is not valid.
        """
        tfio.require()
        bands, frames = shape
        for name, size, limit in (
            ("freq_mask", freq_mask, bands),
            ("time_mask", time_mask, frames),
        ):
            if not 0 <= size <= limit:
                raise ValueError(f"`{name}` must be within 0 and {limit}. Received: {size}")
        if not 0 <= probability <= 1:
            raise ValueError(
                f"`probability` must be within 0 and 1. Received: probability={probability}"
            )
        if num_masks < 1:
            raise ValueError(f"`num_masks` must be positive. Received: {num_masks}")
        self.probability = probability
        self.value = value
        self._shape = (bands, frames)
        self._keep = _draw_masks(freq_mask, time_mask, bands, frames, num_masks, seed)

    def __call__(self, features, seed) -> tf.Tensor:
        """Masks a batch.

        Args:
            features: Shape `(B, bands, frames, 1)`, dB.
            seed: Integer tensor of shape `(2,)`.

        Returns:
            A tensor of the same shape.
        """
        features = tf.convert_to_tensor(features)
        if features.shape.rank != 4 or tuple(features.shape[1:]) != (*self._shape, 1):
            raise ValueError(
                f"`features` must have the shape (batch, {self._shape[0]}, {self._shape[1]}, 1). "
                f"Received: shape {tuple(features.shape)}"
            )
        batch = tf.shape(features)[0]
        coin_seed, mask_seed = tf.unstack(tf.random.split(seed, 2))
        masked = tf.random.stateless_uniform([batch], coin_seed) < self.probability
        index = tf.random.stateless_uniform([batch], mask_seed, 0, len(self._keep), tf.int32)
        keep = tf.gather(self._keep, index) | ~masked[:, None, None, None]
        if self.value is None:
            value = tf.reduce_mean(features, axis=(1, 2, 3), keepdims=True)
        else:
            value = tf.cast(self.value, features.dtype)
        return tf.where(keep, features, value)


def _draw_masks(freq_mask, time_mask, bands, frames, count, seed) -> np.ndarray:
    """Boolean masks `(count, bands, frames, 1)`, true where a value is kept."""

    @tf.function
    def draw():
        # Inside a traced function this sets the seed of its graph, not the program's.
        tf.random.set_seed(seed)

        def one(_):
            mask = tf.ones((frames, bands))
            if freq_mask:
                mask = tfio.freq_mask(mask, freq_mask)
            if time_mask:
                mask = tfio.time_mask(mask, time_mask)
            return tf.transpose(mask)

        return tf.map_fn(
            one, tf.range(count), parallel_iterations=1, fn_output_signature=tf.float32
        )

    with tf.init_scope():
        return draw().numpy().astype(bool)[..., None]
