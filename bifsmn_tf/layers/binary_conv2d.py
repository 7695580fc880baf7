"""2-D convolution with 1-bit weights and activations."""

import keras
from keras import initializers, ops

from bifsmn_tf.layers.binarized import BinarizedLayer
from bifsmn_tf.layers.initializers import serialize_initializer


def pair(value, name, minimum):
    """`value` twice if it is an integer, else the pair it is; ValueError if it is neither."""
    try:
        both = (value, value) if isinstance(value, int) else tuple(value)
    except TypeError:
        both = ()
    if len(both) != 2 or any(not isinstance(v, int) or v < minimum for v in both):
        raise ValueError(
            f"`{name}` should be an integer of at least {minimum} or a pair of them. "
            f"Received: {name}={value!r}"
        )
    return both


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class BinaryConv2D(BinarizedLayer):
    r"""2-D convolution of binarized inputs with binarized filters, NHWC.

    $$y_{n} = \alpha_n\,(\operatorname{sign}(x) \circledast \operatorname{sign}(w_n)) + b_n$$

    (for the default binarizer). The zero padding is symmetric and applied after binarization, so
    a padded tap contributes nothing. (`padding="same"` would pad an even size with stride 2 on one
    side only.) With `binarizer=None` it is an ordinary float convolution with the same variables.

    Args:
        filters: Number of outputs.
        kernel_size: Integer or `(height, width)`.
        strides: Integer or pair.
        padding: Zeros added on each side: integer or `(height, width)`.
        binarizer: Name or instance, see `bifsmn_tf.binarizers.get`; None for float.
        weight_scale: "channel" (1-bit weights) or "official", see `bifsmn_tf.scales`.
        kernel_initializer, bias_initializer: Default: uniform in +-1/sqrt(fan_in).
        use_bias: Whether the layer has a bias.
        groups: Number of groups into which inputs and outputs are divided; output n sees only the
            inputs of its group. Both counts should be multiples of it.

    Input shape: `(batch, height, width, channels)`.
    Output shape: `(batch, new_height, new_width, filters)`.
    """

    _kind = "conv2d"
    _kernel_axes = (0, 1, 2)
    _scale_axes = (1, 2, 3)

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
        use_bias=True,
        groups=1,
        **kwargs,
    ):
        super().__init__(binarizer, weight_scale, use_bias, **kwargs)
        if not isinstance(filters, int) or filters < 1:
            raise ValueError(
                f"`filters` should be a positive integer. Received: filters={filters!r}"
            )
        if not isinstance(groups, int) or groups < 1 or filters % groups:
            raise ValueError(
                f"`groups` should be a positive integer that divides `filters` ({filters}). "
                f"Received: groups={groups!r}"
            )
        self.filters = filters
        self.groups = groups
        self.kernel_size = pair(kernel_size, "kernel_size", 1)
        self.strides = pair(strides, "strides", 1)
        self.padding = pair(padding, "padding", 0)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)

    def build(self, input_shape):
        if len(input_shape) != 4 or input_shape[-1] is None:
            raise ValueError(
                "`BinaryConv2D` expects inputs of shape (batch, height, width, channels). "
                f"Received: input_shape={tuple(input_shape)}"
            )
        channels = input_shape[-1]
        if channels % self.groups:
            raise ValueError(
                f"`groups` should divide the number of input channels ({channels}). "
                f"Received: groups={self.groups}"
            )
        inputs = channels // self.groups
        self._add_weights(
            channels,
            (*self.kernel_size, inputs, self.filters),
            self.kernel_size[0] * self.kernel_size[1] * inputs,
            self.kernel_initializer,
            self.bias_initializer,
        )

    @property
    def _window(self):
        return self.kernel_size

    @property
    def has_padding(self):
        return self.padding != (0, 0)

    def _pad(self, x):
        rows, columns = self.padding
        if rows or columns:
            x = ops.pad(x, ((0, 0), (rows, rows), (columns, columns), (0, 0)))
        return x

    def _contract(self, x, kernel):
        # The shape of the kernel tells the number of groups.
        return ops.conv(
            x, kernel, strides=self.strides, padding="valid", data_format="channels_last"
        )

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
            "groups": self.groups,
            "kernel_initializer": serialize_initializer(self.kernel_initializer),
            "bias_initializer": serialize_initializer(self.bias_initializer),
        }
