"""What the layers with 1-bit weights and activations have in common: everything but geometry."""

import contextlib

from keras import layers, ops

from bifsmn_tf import binarizers, scales
from bifsmn_tf.layers.initializers import uniform_fan_in


def binarized_layers(model):
    """All layers of a model, at any depth, that have a binarizer."""
    return [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, BinarizedLayer) and layer.binarizer is not None
    ]


@contextlib.contextmanager
def watched_inputs(model, watcher):
    """Within it, `watcher(layer, inputs)` is called before a binarized layer binarizes.

    Args:
        model: Model whose layers are watched, in eager calls.
        watcher: Function of a layer and its inputs. What it changes in the layer counts.
    """
    layers_ = binarized_layers(model)
    for layer in layers_:
        layer._watcher = watcher
    try:
        yield
    finally:
        for layer in layers_:
            layer._watcher = None


class BinarizedLayer(layers.Layer):
    r"""A linear map of binarized inputs with a binarized kernel.

    With the binarizer's activation $\sum_i s_i b_i - \theta$ and weights $\alpha \odot B$,

    $$y = \Big(\sum_i s_i \odot (\operatorname{pad}(b_i) * B)\Big) \odot \alpha
          + \big(b - \alpha \odot (\theta * B)\big).$$

    Padding comes after binarization, so that a padded tap contributes nothing, but to the shift
    $\theta$, which is thus constant, part of the bias. With a binarizer that `pads_zero` it
    contributes nothing at all: $\operatorname{pad}(\theta)$ takes the place of $\theta$.
    Subclasses define the class attributes below, `_contract` and, if there is any padding, `_pad`.
    """

    _kind = None  # Name of the kind of layer in `bifsmn_tf.scales`.
    _kernel_axes = None  # Axes of the kernel that one output sums over.
    _scale_axes = None  # Axes of the input that a scale found at run time is averaged over.
    _window = ()  # Size of what one output sees, without the channels.

    def __init__(self, binarizer="vanilla", weight_scale="channel", use_bias=True, **kwargs):
        super().__init__(**kwargs)
        self.binarizer = binarizers.get(binarizer)
        self.weight_scale = scales.check_weight_scale(weight_scale)
        self.use_bias = bool(use_bias)
        self._official = None
        if self.binarizer is not None and weight_scale == "official":
            self._official = scales.official(self.binarizer, self._kind)
        self.bias = None
        self.binarizer_variables = {}
        self._watcher = None

    def _add_weights(
        self, channels, kernel_shape, fan_in, kernel_initializer=None, bias_initializer=None
    ):
        # An initializer draws the same values every time: kernel and bias need one each.
        self.kernel = self.add_weight(
            name="kernel",
            shape=kernel_shape,
            initializer=kernel_initializer or uniform_fan_in(fan_in),
        )
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=kernel_shape[-1:],
                initializer=bias_initializer or uniform_fan_in(fan_in),
            )
        if self.binarizer is not None:
            self.binarizer_variables = self.binarizer.create_variables(self.add_weight, channels)

    @property
    def has_padding(self):
        """Whether some outputs sum taps outside of the input."""
        return False

    def _pad(self, x):
        return x

    def _contract(self, x, kernel):
        """The linear map, of padded inputs."""
        raise NotImplementedError

    def _per_output(self, scale):
        """A scale of the input's last axis (or of length 1), for the output's last axis."""
        return scale

    def binary_weight(self):
        """The kernel as `(binary, scale)`, see `bifsmn_tf.binarizers.Binarizer.weight`."""
        return self.binarizer.weight(
            self.kernel, axis=self._kernel_axes, variables=self.binarizer_variables
        )

    def sum_of_constant(self, values, kernel):
        """What one output sums of a constant input, for every output.

        Args:
            values: The input, one value per channel.
            kernel: A kernel.
        """
        window = ops.broadcast_to(values, (1, *self._window, values.shape[0]))
        return ops.reshape(self._contract(window, kernel), (-1,))

    def call(self, inputs, training=None):
        if self.binarizer is None:
            return self._with_bias(self._contract(self._pad(inputs), self.kernel))
        if self._watcher is not None:
            self._watcher(self, inputs)
        loss = self.binarizer.activation_loss(inputs)
        if loss is not None:
            self.add_loss(loss)
        if self._official is not None:
            return self._call_official(inputs)
        return self._call_channel(inputs, training)

    def _with_bias(self, x):
        return x if self.bias is None else x + self.bias

    def _call_channel(self, inputs, training):
        terms, shift = self.binarizer.activation(
            inputs, self.binarizer_variables, self._scale_axes
        )
        binary, weight_scale = self.binary_weight()
        if training and len(terms) > 1:
            # Scales are constant over what one output sums, so that terms can be added before or
            # after. Before is half the work; after is what deployed bits do, to the last bit.
            terms = [(sum(bits if s is None else bits * s for bits, s in terms), None)]
        total = None
        for bits, scale in terms:
            dot = self._contract(self._pad(bits), binary)
            if scale is not None:
                dot = self._per_output(scale) * dot
            total = dot if total is None else total + dot
        total = total * weight_scale
        if shift is None:
            return self._with_bias(total)
        if self.binarizer.pads_zero:
            constant = ops.broadcast_to(shift, (1, *ops.shape(inputs)[1:]))
            shift = self._contract(self._pad(constant), binary) * weight_scale
        else:
            shift = self.sum_of_constant(shift, binary) * weight_scale
        return total + (-shift if self.bias is None else self.bias - shift)

    def _call_official(self, inputs):
        official = self._official
        variables = self.binarizer_variables
        x = self._pad(inputs) if official.pad_first else inputs
        terms, shift = self.binarizer.activation(x, variables, official.activation_axes)
        x = sum(bits if scale is None else bits * scale for bits, scale in terms)
        if shift is not None:
            x = x - shift
        if not official.pad_first:
            x = self._pad(x)
        kernel = scales.official_weight(
            self.kernel, official.weight_axes, official.centre,
            lambda weights: self.binarizer.weight_surrogate(weights, variables),
        )
        return self._with_bias(self._contract(x, kernel))

    def get_config(self):
        return {
            **super().get_config(),
            "binarizer": binarizers.serialize(self.binarizer),
            "weight_scale": self.weight_scale,
            "use_bias": self.use_bias,
        }
