"""2-D convolution with 1-bit weights and activations."""

import keras
from keras import initializers, layers, ops

from bifsmn_tf import binarizers, scales
from bifsmn_tf.layers.initializers import serialize_initializer, uniform_fan_in


def _pair(value, name, minimum):
    try:
        pair = (value, value) if isinstance(value, int) else tuple(value)
    except TypeError:
        pair = ()
    if len(pair) != 2 or any(not isinstance(v, int) or v < minimum for v in pair):
        raise ValueError(
            f"`{name}` should be an integer of at least {minimum} or a pair of them. "
            f"Received: {name}={value!r}"
        )
    return pair


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class BinaryConv2D(layers.Layer):
    r"""2-D convolution of binarized inputs with binarized filters, NHWC.

    $$y_{n} = \alpha_n\,(\operatorname{sign}(x) \circledast \operatorname{sign}(w_n)) + b_n$$

    The zero padding is symmetric and applied after binarization, so a padded tap contributes
    nothing. (`padding="same"` would pad an even size with stride 2 on one side only.) With
    `binarizer=None` it is an ordinary float convolution with the same variables.

    Args:
        filters: Number of outputs.
        kernel_size: Integer or `(height, width)`.
        strides: Integer or pair.
        padding: Zeros added on each side: integer or `(height, width)`.
        binarizer: Name or instance, see `bifsmn_tf.binarizers.get`; None for float.
        weight_scale: "channel" (1-bit weights) or "official", see `bifsmn_tf.scales`.
        kernel_initializer, bias_initializer: Default: uniform in +-1/sqrt(fan_in).

    Input shape: `(batch, height, width, channels)`.
    Output shape: `(batch, new_height, new_width, filters)`.
    """

    def __init__(
        self,
        filters,
        kernel_size,
        strides=1,
        padding=0,
        binarizer="vanilla",
        weight_scale="channel",
        kernel_initializer=None,
        bias_initializer=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not isinstance(filters, int) or filters < 1:
            raise ValueError(
                f"`filters` should be a positive integer. Received: filters={filters!r}"
            )
        self.filters = filters
        self.kernel_size = _pair(kernel_size, "kernel_size", 1)
        self.strides = _pair(strides, "strides", 1)
        self.padding = _pair(padding, "padding", 0)
        self.binarizer = binarizers.get(binarizer)
        self.weight_scale = scales.check_weight_scale(weight_scale)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)

    def build(self, input_shape):
        if len(input_shape) != 4 or input_shape[-1] is None:
            raise ValueError(
                "`BinaryConv2D` expects inputs of shape (batch, height, width, channels). "
                f"Received: input_shape={tuple(input_shape)}"
            )
        channels = input_shape[-1]
        fan_in = self.kernel_size[0] * self.kernel_size[1] * channels
        self.kernel = self.add_weight(
            name="kernel",
            shape=(*self.kernel_size, channels, self.filters),
            initializer=self.kernel_initializer or uniform_fan_in(fan_in),
        )
        self.bias = self.add_weight(
            name="bias",
            shape=(self.filters,),
            initializer=self.bias_initializer or uniform_fan_in(fan_in),
        )

    def _convolve(self, x, kernel):
        rows, columns = self.padding
        if rows or columns:
            x = ops.pad(x, ((0, 0), (rows, rows), (columns, columns), (0, 0)))
        return ops.conv(
            x, kernel, strides=self.strides, padding="valid", data_format="channels_last"
        )

    def call(self, inputs):
        if self.binarizer is None:
            return self._convolve(inputs, self.kernel) + self.bias
        x = self.binarizer.activation(inputs)
        if self.weight_scale == "official":
            kernel = scales.official_weight(self.kernel, axis=(0, 1), centre=True)
            return self._convolve(x, kernel) + self.bias
        binary, scale = self.binarizer.weight(self.kernel, axis=(0, 1, 2))
        return self._convolve(x, binary) * scale + self.bias

    def compute_output_shape(self, input_shape):
        size = (
            None if n is None else (n + 2 * p - k) // s + 1
            for n, k, s, p in zip(input_shape[1:3], self.kernel_size, self.strides, self.padding)
        )
        return (input_shape[0], *size, self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "binarizer": binarizers.serialize(self.binarizer),
            "weight_scale": self.weight_scale,
            "kernel_initializer": serialize_initializer(self.kernel_initializer),
            "bias_initializer": serialize_initializer(self.bias_initializer),
        }
