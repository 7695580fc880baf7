"""Dense layer with 1-bit weights and activations, and its pointwise-convolution twin."""

import keras
from keras import initializers, layers, ops

from bifsmn_tf import binarizers, scales
from bifsmn_tf.layers.initializers import serialize_initializer, uniform_fan_in


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class BinaryDense(layers.Layer):
    r"""Fully connected layer over the last axis.

    $$y_n = \alpha_n \sum_k \operatorname{sign}(x_k)\,\operatorname{sign}(w_{kn}) + b_n,
      \qquad \alpha_n = \tfrac1K \sum_k |w_{kn}|$$

    (BiFSMN, Eq. (2) and (4)). With `binarizer=None` it is an ordinary float dense layer with the
    same variables.

    Args:
        units: Number of outputs.
        binarizer: Name or instance, see `bifsmn_tf.binarizers.get`; None for float.
        weight_scale: "channel" (1-bit weights) or "official", see `bifsmn_tf.scales`.
        kernel_initializer, bias_initializer: Default: uniform in +-1/sqrt(fan_in).

    Input shape: `(..., inputs)`, at least 2-D. Output shape: `(..., units)`.
    """

    def __init__(
        self,
        units,
        binarizer="vanilla",
        weight_scale="channel",
        kernel_initializer=None,
        bias_initializer=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not isinstance(units, int) or units < 1:
            raise ValueError(f"`units` should be a positive integer. Received: units={units!r}")
        self.units = units
        self.binarizer = binarizers.get(binarizer)
        self.weight_scale = scales.check_weight_scale(weight_scale)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)

    def build(self, input_shape):
        if len(input_shape) < 2 or input_shape[-1] is None:
            raise ValueError(
                f"`{type(self).__name__}` expects inputs of at least two dimensions with a known "
                f"last one. Received: input_shape={tuple(input_shape)}"
            )
        inputs = input_shape[-1]
        uniform = uniform_fan_in(inputs)
        self.kernel = self.add_weight(
            name="kernel", shape=(inputs, self.units), initializer=self.kernel_initializer or uniform
        )
        self.bias = self.add_weight(
            name="bias", shape=(self.units,), initializer=self.bias_initializer or uniform
        )

    def _official_kernel(self):
        return scales.official_weight(self.kernel, axis=(0,), centre=False)

    def call(self, inputs):
        if self.binarizer is None:
            return ops.matmul(inputs, self.kernel) + self.bias
        x = self.binarizer.activation(inputs)
        if self.weight_scale == "official":
            return ops.matmul(x, self._official_kernel()) + self.bias
        binary, scale = self.binarizer.weight(self.kernel, axis=0)
        return ops.matmul(x, binary) * scale + self.bias

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "binarizer": binarizers.serialize(self.binarizer),
            "weight_scale": self.weight_scale,
            "kernel_initializer": serialize_initializer(self.kernel_initializer),
            "bias_initializer": serialize_initializer(self.bias_initializer),
        }


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class BinaryPointwise(BinaryDense):
    """Convolution over time with kernel size 1: `BinaryDense` on `(batch, frames, channels)`.

    Differs from `BinaryDense` only under `weight_scale="official"`: there the released code
    averages magnitudes over the kernel length, which is 1, so that the effective weights are the
    centred real weights.
    """

    def _official_kernel(self):
        return scales.official_weight(self.kernel, axis=(), centre=True)
