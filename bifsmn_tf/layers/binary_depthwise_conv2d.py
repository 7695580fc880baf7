"""Depthwise 2-D convolution with 1-bit weights and activations."""

import keras
from keras import initializers, ops

from bifsmn_tf.layers.binarized import BinarizedLayer
from bifsmn_tf.layers.binary_conv2d import pair
from bifsmn_tf.layers.initializers import serialize_initializer


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class BinaryDepthwiseConv2D(BinarizedLayer):
    r"""One filter per channel, NHWC.

    $$y_c = \alpha_c\,(\operatorname{sign}(x_c) \circledast \operatorname{sign}(w_c)) + b_c, \qquad
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
        use_bias: Whether the layer has a bias.
        kernel_initializer, bias_initializer: Default: uniform in +-1/sqrt(taps).

    Input shape: `(batch, height, width, channels)`.
    Output shape: `(batch, new_height, new_width, channels)`.
    """

    _kernel_axes = (0, 1)
    _scale_axes = (1, 2)

    def __init__(
        self,
        kernel_size,
        strides=1,
        padding=0,
        dilation=1,
        binarizer="vanilla",
        use_bias=True,
        kernel_initializer=None,
        bias_initializer=None,
        **kwargs,
    ):
        super().__init__(binarizer, use_bias=use_bias, **kwargs)
        self.kernel_size = pair(kernel_size, "kernel_size", 1)
        self.strides = pair(strides, "strides", 1)
        self.padding = pair(padding, "padding", 0)
        self.dilation = pair(dilation, "dilation", 1)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)

    def build(self, input_shape):
        if len(input_shape) != 4 or input_shape[-1] is None:
            raise ValueError(
                "`BinaryDepthwiseConv2D` expects inputs of shape (batch, height, width, "
                f"channels). Received: input_shape={tuple(input_shape)}"
            )
        channels = input_shape[-1]
        self._add_weights(
            channels,
            (*self.kernel_size, channels),
            fan_in=self.kernel_size[0] * self.kernel_size[1],
            kernel_initializer=self.kernel_initializer,
            bias_initializer=self.bias_initializer,
        )

    @property
    def _window(self):
        return tuple(d * (k - 1) + 1 for d, k in zip(self.dilation, self.kernel_size))

    @property
    def has_padding(self):
        return self.padding != (0, 0)

    def _pad(self, x):
        rows, columns = self.padding
        if rows or columns:
            x = ops.pad(x, ((0, 0), (rows, rows), (columns, columns), (0, 0)))
        return x

    def _contract(self, x, kernel):
        (rows, columns), (down, right) = self.kernel_size, self.dilation
        height, width = ops.shape(x)[1:3]
        total = None
        for i in range(rows):
            bottom = height - (rows - 1 - i) * down
            row = x[:, i * down : bottom : self.strides[0]]
            for j in range(columns):
                end = width - (columns - 1 - j) * right
                tap = row[:, :, j * right : end : self.strides[1]] * kernel[i, j]
                total = tap if total is None else total + tap
        return total

    def compute_output_shape(self, input_shape):
        size = (
            None if n is None else (n + 2 * p - w) // s + 1
            for n, w, s, p in zip(input_shape[1:3], self._window, self.strides, self.padding)
        )
        return (input_shape[0], *size, input_shape[3])

    def get_config(self):
        config = super().get_config()
        del config["weight_scale"]  # the released code has no such layer
        return {
            **config,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "dilation": self.dilation,
            "kernel_initializer": serialize_initializer(self.kernel_initializer),
            "bias_initializer": serialize_initializer(self.bias_initializer),
        }
