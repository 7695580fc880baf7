"""Dense layer with 1-bit weights and activations, and its pointwise-convolution twin."""

import keras
from keras import initializers, ops

from bifsmn_tf.layers.binarized import BinarizedLayer
from bifsmn_tf.layers.initializers import serialize_initializer


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class BinaryDense(BinarizedLayer):
    r"""Fully connected layer over the last axis.

    $$y_n = \alpha_n \sum_k \operatorname{sign}(x_k)\,\operatorname{sign}(w_{kn}) + b_n,
      \qquad \alpha_n = \tfrac1K \sum_k |w_{kn}|$$

    (BiFSMN, Eq. (2) and (4), for the default binarizer). With `binarizer=None` it is an ordinary
    float dense layer with the same variables.

    Args:
        units: Number of outputs.
        binarizer: Name or instance, see `bifsmn_tf.binarizers.get`; None for float.
        weight_scale: "channel" (1-bit weights) or "official", see `bifsmn_tf.scales`.
        kernel_initializer, bias_initializer: Default: uniform in +-1/sqrt(fan_in).
        use_bias: Whether the layer has a bias.

    Input shape: `(..., inputs)`, at least 2-D. Output shape: `(..., units)`.
    """

    _kind = "dense"
    _kernel_axes = 0
    _scale_axes = (-1,)

    def __init__(
        self,
        units,
        binarizer="vanilla",
        weight_scale="channel",
        kernel_initializer=None,
        bias_initializer=None,
        use_bias=True,
        **kwargs,
    ):
        super().__init__(binarizer, weight_scale, use_bias, **kwargs)
        if not isinstance(units, int) or units < 1:
            raise ValueError(f"`units` should be a positive integer. Received: units={units!r}")
        self.units = units
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)

    def build(self, input_shape):
        if len(input_shape) < 2 or input_shape[-1] is None:
            raise ValueError(
                f"`{type(self).__name__}` expects inputs of at least two dimensions with a known "
                f"last one. Received: input_shape={tuple(input_shape)}"
            )
        inputs = input_shape[-1]
        self._add_weights(
            inputs, (inputs, self.units), inputs, self.kernel_initializer, self.bias_initializer
        )

    def _contract(self, x, kernel):
        return ops.matmul(x, kernel)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "kernel_initializer": serialize_initializer(self.kernel_initializer),
            "bias_initializer": serialize_initializer(self.bias_initializer),
        }


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class BinaryPointwise(BinaryDense):
    """Convolution over time with kernel size 1: `BinaryDense` on `(batch, frames, channels)`.

    Differs from `BinaryDense` only under `weight_scale="official"`: there the released code
    averages magnitudes over the kernel length, which is 1, so that the effective weights are the
    (for "vanilla" centred) real weights.
    """

    _kind = "pointwise"
