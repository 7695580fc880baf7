"""Depthwise 2-D convolution with 1-bit weights and activations."""

import keras
from keras import initializers, layers, ops

from bifsmn_tf import binarizers
from bifsmn_tf.layers.binary_conv2d import _pair as pair
from bifsmn_tf.layers.initializers import serialize_initializer, uniform_fan_in


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class BinaryDepthwiseConv2D(layers.Layer):
    r"""One filter per channel, NHWC, without bias.

    $$y_c = \alpha_c\,(\operatorname{sign}(x_c) \circledast \operatorname{sign}(w_c)), \qquad
      \alpha_c = \tfrac1n \lVert w_c \rVert_1$$

    with n the number of taps. The symmetric zero padding is applied after binarization. Strides
    may differ between the axes (TensorFlow's own depthwise convolution supports equal ones only).
    With `binarizer=None` it is an ordinary float convolution with the same variables.

    Args:
        kernel_size: Integer or `(height, width)`.
        strides: Integer or pair.
        padding: Zeros added on each side: integer or pair.
        dilation: Distance of neighbouring taps: integer or pair.
        binarizer: Name or instance, see `bifsmn_tf.binarizers.get`; None for float.
        kernel_initializer: Default: uniform in +-1/sqrt(taps).

    Input shape: `(batch, height, width, channels)`.
    Output shape: `(batch, new_height, new_width, channels)`.
    """

    def __init__(
        self,
        kernel_size,
        strides=1,
        padding=0,
        dilation=1,
        binarizer="vanilla",
        kernel_initializer=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.kernel_size = pair(kernel_size, "kernel_size", 1)
        self.strides = pair(strides, "strides", 1)
        self.padding = pair(padding, "padding", 0)
        self.dilation = pair(dilation, "dilation", 1)
        self.binarizer = binarizers.get(binarizer)
        self.kernel_initializer = initializers.get(kernel_initializer)

    def build(self, input_shape):
        if len(input_shape) != 4 or input_shape[-1] is None:
            raise ValueError(
                "`BinaryDepthwiseConv2D` expects inputs of shape (batch, height, width, "
                f"channels). Received: input_shape={tuple(input_shape)}"
            )
        rows, columns = self.kernel_size
        self.kernel = self.add_weight(
            name="kernel",
            shape=(rows, columns, input_shape[-1]),
            initializer=self.kernel_initializer or uniform_fan_in(rows * columns),
        )

    def _convolve(self, x, kernel):
        (above, left), (rows, columns) = self.padding, self.kernel_size
        if above or left:
            x = ops.pad(x, ((0, 0), (above, above), (left, left), (0, 0)))
        height, width = ops.shape(x)[1:3]
        total = None
        for i in range(rows):
            bottom = height - (rows - 1 - i) * self.dilation[0]
            row = x[:, i * self.dilation[0] : bottom : self.strides[0]]
            for j in range(columns):
                right = width - (columns - 1 - j) * self.dilation[1]
                tap = row[:, :, j * self.dilation[1] : right : self.strides[1]] * kernel[i, j]
                total = tap if total is None else total + tap
        return total

    def call(self, inputs):
        if self.binarizer is None:
            return self._convolve(inputs, self.kernel)
        x = self.binarizer.activation(inputs)
        binary, scale = self.binarizer.weight(self.kernel, axis=(0, 1))
        return self._convolve(x, binary) * scale

    def compute_output_shape(self, input_shape):
        size = (
            None if n is None else (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, k, s, p, d in zip(
                input_shape[1:3], self.kernel_size, self.strides, self.padding, self.dilation
            )
        )
        return (input_shape[0], *size, input_shape[3])

    def get_config(self):
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "dilation": self.dilation,
            "binarizer": binarizers.serialize(self.binarizer),
            "kernel_initializer": serialize_initializer(self.kernel_initializer),
        }
