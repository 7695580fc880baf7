"""Sub-spectral normalization: batch normalization per frequency band."""

import keras
from keras import layers, ops

from bifsmn_tf.layers.switchable_batch_norm import batch_norm


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class SubSpectralNorm(layers.Layer):
    r"""Batch normalization with statistics and parameters of their own for each group of rows.

    The F rows of a spectrogram-like map are divided into S sub-bands of F / S neighbouring rows;
    each pair of channel c and sub-band s is one feature of a batch normalization,

    $$y_{f,t,c} = \gamma_{s,c} \frac{x_{f,t,c} - \mu_{s,c}}{\sqrt{\sigma^2_{s,c} + \epsilon}}
       + \beta_{s,c}, \qquad s = \lfloor f S / F \rfloor$$

    with mean and variance over batch, rows of the sub-band and time (Chang et al., 2021,
    "SubSpectral Normalization for Neural Audio Data Processing"). Feature `s * channels + c` of
    the inner `norm` is channel c in sub-band s.

    Args:
        sub_bands: Number of sub-bands S.

    Input shape: `(batch, rows, frames, channels)`, rows a multiple of S. Output shape: the same.
    """

    def __init__(self, sub_bands=5, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(sub_bands, int) or sub_bands < 1:
            raise ValueError(
                "`sub_bands` should be a positive integer. "
                f"Received: sub_bands={sub_bands!r}"
            )
        self.sub_bands = sub_bands
        self.norm = batch_norm("norm")

    def build(self, input_shape):
        shape = tuple(input_shape)
        if len(shape) != 4 or None in (shape[1], shape[3]) or shape[1] % self.sub_bands:
            raise ValueError(
                "`SubSpectralNorm` expects inputs of shape (batch, rows, frames, channels) with "
                f"a multiple of {self.sub_bands} rows. Received: input_shape={shape}"
            )
        batch, rows, frames, channels = shape
        self.norm.build((batch, rows // self.sub_bands, frames, self.sub_bands * channels))

    def call(self, inputs, training=None):
        _, rows, _, channels = inputs.shape
        frames, bands = ops.shape(inputs)[2], self.sub_bands
        x = ops.reshape(inputs, (-1, bands, rows // bands, frames, channels))
        x = ops.transpose(x, (0, 2, 3, 1, 4))
        x = ops.reshape(x, (-1, rows // bands, frames, bands * channels))
        x = self.norm(x, training=training)
        x = ops.reshape(x, (-1, rows // bands, frames, bands, channels))
        x = ops.transpose(x, (0, 3, 1, 2, 4))
        return ops.reshape(x, (-1, rows, frames, channels))

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        return {**super().get_config(), "sub_bands": self.sub_bands}
