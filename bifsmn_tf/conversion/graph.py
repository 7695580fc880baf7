"""The deployed network: what a model computes after folding, for one switch.

Feature maps are time-major (frames before mel bands), so that the vector of a frame is contiguous
and nothing needs to be transposed after the input. Activations that are only binarized to one
sign travel as packed bits.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from bifsmn_tf.conversion import ops, storage as storages
from bifsmn_tf.conversion.errors import ConversionError
from bifsmn_tf.conversion.folding import (
    batch_norm_affine,
    fold,
    integer_thresholds,
    make_epilogue,
    slope_of,
    value_of,
)
from bifsmn_tf.layers import MemoryFilter


@dataclasses.dataclass(frozen=True)
class _BinaryWeights:
    """Packed weights of one binary layer, shared by all switches."""

    words: np.ndarray
    length: int  # products summed for one output
    scale: np.ndarray  # of the sum, per output; negative where the row is stored negated
    bias: np.ndarray  # the layer's, less what the activation's offset sums to where it is constant


class Deployment:
    """A model's folded constants and its forward function per switch.

    Weights are created once and referred to by the functions of all switches. The name stands for
    a class per architecture: `Deployment(model)` makes the one that registered for the model's
    class.

    Args:
        model: `bifsmn_tf.models.DFSMN`, `BiFSMN` or a subclass, or `FSMN`.
        storage: "float32", or "compact": real weights behind the stem are rounded to what int8
            with a factor per output holds, folded parameters of binary layers to float16.

    Raises:
        ConversionError: If there is no deployed form of the model's class.
    """

    _by_model = {}

    def __init_subclass__(cls, *, model, **kwargs):
        super().__init_subclass__(**kwargs)
        Deployment._by_model[model] = cls

    def __new__(cls, model, storage="float32"):
        return super().__new__(cls.class_for(model))

    @classmethod
    def class_for(cls, model):
        """The class that deploys a model; ConversionError if there is none."""
        for base, deployment in Deployment._by_model.items():
            if isinstance(model, base):
                return deployment
        raise ConversionError(
            "`model` should be a network of the FSMN family: DFSMN, BiFSMN, BiFSMNv2 or FSMN (of a "
            "ThinnableDistiller, pass its `student`). The operators have no other layers. "
            f"Received: {type(model).__module__}.{type(model).__name__}"
        )

    def __init__(self, model, storage="float32"):
        self.model = model
        self.compact = storage == "compact"
        self._constants = {}
        self._binary = {}

    @classmethod
    def check(cls, model):
        """ConversionError for what this architecture cannot deploy."""

    @classmethod
    def is_trained(cls, model, switch):
        """Whether the normalizations of a switch hold anything but their initial values."""
        return True

    def forward(self, features, thin=1.0):
        """Probabilities of the classes.

        Args:
            features: Tensor `(1, frames, num_mels, 1)` in dB, time-major.
            thin: The switch.

        Returns:
            Tensor `(1, num_classes)`.
        """
        return self.tail(self.stem(features), thin)

    def stem(self, features):
        """What comes before any custom operator, a tensor or several.

        In a binary network signs follow, which make much of little: its weights stay float32.
        """
        raise NotImplementedError

    def tail(self, x, thin=1.0, collect=None):
        """Everything behind the stem.

        Args:
            x: Output of `stem`.
            thin: The switch.
            collect: Optional list to which the output of every custom operator is appended.

        Returns:
            Probabilities, tensor `(1, num_classes)`.
        """
        raise NotImplementedError

    # ------------------------------------------------------------------ constants

    def _constant(self, key, value):
        """One tensor per distinct constant."""
        if key not in self._constants:
            value = np.asarray(value)
            if value.dtype == np.float64:
                value = value.astype(np.float32)
            # Outside of the functions that are being traced, so that they share it.
            with tf.init_scope():
                self._constants[key] = tf.constant(value)
        return self._constants[key]

    def _rounded(self, weights):
        """Real weights, outputs last, as the storage holds them."""
        return storages.round_to_int8(weights) if self.compact else weights

    def _parameters(self, key, value):
        """A folded vector of a binary layer."""
        return self._constant(key, storages.to_float16(value) if self.compact else value)

    # ---------------------------------------------------------------- float layers

    def _activate(self, x, activation):
        slope = slope_of(activation)
        if slope == 1.0:
            return x
        return tf.nn.relu(x) if slope == 0.0 else tf.nn.leaky_relu(x, alpha=slope)

    def _pointwise(self, x, key, kernel, bias):
        """A dense layer on `(1, 1, frames, channels)`."""
        kernel = self._constant((*key, "kernel"), kernel[None, None])
        x = tf.nn.conv2d(x, kernel, strides=1, padding="VALID")
        return x if bias is None else x + self._constant((*key, "bias"), bias)

    def _memory(self, x, key, layer, norm=None):
        """A memory filter on `(1, 1, frames, channels)`."""
        factor, offset = fold(1.0, layer.bias, norm, layer.kernel.shape[-1])
        offsets, multiple = layer.offsets, layer.depth_multiplier
        taps = np.zeros((1, offsets[-1] - offsets[0] + 1, x.shape[-1], multiple))
        for tap, position in zip(self._rounded(value_of(layer.kernel) * factor), offsets):
            taps[0, position - offsets[0]] = tap.reshape(-1, multiple)
        padded = tf.pad(x, [[0, 0], [0, 0], [-offsets[0], offsets[-1]], [0, 0]])
        filtered = tf.nn.depthwise_conv2d(
            padded, self._constant((*key, "taps"), taps), (1, 1, 1, 1), padding="VALID"
        )
        return filtered + self._constant((*key, "bias"), offset) if offset.any() else filtered

    def _scores(self, x, kernel, bias):
        """Probabilities from features `(1, ...)` and a classifier in their order."""
        x = tf.reshape(x, (1, kernel.shape[0]))
        logits = tf.matmul(x, self._constant(("classifier", "kernel"), self._rounded(kernel)))
        return tf.nn.softmax(logits + self._constant(("classifier", "bias"), bias))

    # --------------------------------------------------------------- binary layers

    def _weights(self, key, layer, arrange, negate_with=None):
        """Packed weights and scaling factors of a layer, made once.

        A threshold stands for a growing function of the sum. Rows to which the normalization
        `negate_with` gives a negative factor are therefore stored negated.
        """
        if key not in self._binary:
            with tf.init_scope():
                kernel, scale = layer.binary_weight()
                form = deployed_form(layer)
                sums = 0.0
                if form.offset is not None and centre_of(layer) is None:
                    sums = layer.sum_of_constant(form.offset, kernel)
            kernel = np.asarray(kernel)
            rows, outputs = arrange(kernel), kernel.shape[-1]
            scale = np.broadcast_to(np.asarray(scale, np.float64), (outputs,))
            bias = np.zeros(outputs) if layer.bias is None else value_of(layer.bias)
            bias = bias - scale * np.asarray(sums, np.float64)
            scale = scale * value_of(form.scale)
            if negate_with is not None:
                signs = np.where(batch_norm_affine(negate_with)[0] < 0, -1.0, 1.0)
                rows, scale = rows * signs[:, None], scale * signs
            # The memory filter is stored as one plane of bits per tap.
            bits = rows.T if isinstance(layer, MemoryFilter) else rows
            self._binary[key] = _BinaryWeights(
                ops.pack_bits(bits), rows.shape[1], scale, bias
            )
        return self._binary[key]

    def _apply(self, op, x, key, switch, layer, norm, activation, *, arrange, channels,
               arrange_shift=np.asarray, packed_for=None, residual=None, **attributes):
        """Runs one custom operator with the constants of a layer, its norm and activation.

        `norm` holds the normalization of the first switch and of this one, or is None.
        `packed_for` is the layer that alone reads the result: it gets bits instead of floats,
        where that is possible.
        """
        first_norm, norm = norm or (None, None)
        shift = None if packed_for is None else packed_shift(packed_for, layer.kernel.shape[-1])
        weights = self._weights(key, layer, arrange, None if shift is None else first_norm)
        epilogue = make_epilogue(weights.scale, weights.bias, norm, activation)
        words = self._constant((*key, "weights"), weights.words)
        # Switches of their own normalization may disagree on the sign of a multiplier; such a
        # layer hands on floats. A negative slope has no order, but a sign all the same.
        ordered = (epilogue.multiplier >= 0).all() and (epilogue.slope >= 0 or not np.any(shift))
        if shift is not None and ordered:
            thresholds = integer_thresholds(epilogue, weights.length, shift)
            constants = {
                "threshold": self._constant((*key, switch, "threshold"), thresholds)
            }
        else:
            constants = {
                "multiplier": self._parameters((*key, switch, "multiplier"), epilogue.multiplier),
                "bias": self._parameters((*key, switch, "bias"), epilogue.bias),
                "residual": residual,
                "slope": epilogue.slope,
            }
        if x.dtype == tf.float32:
            constants["shifts"] = [
                self._constant((*key, "shift", i), arrange_shift(value_of(value)))
                for i, value in enumerate(deployed_form(layer).shifts)
            ]
            step = deployed_form(layer).step
            if step is not None:
                constants["step"] = float(value_of(step))
            centre = centre_of(layer)
            if centre is not None:
                constants["centre"] = self._constant((*key, "centre"), centre)
        return op(x, words, channels=channels, **constants, **attributes)

    def _apply_dense(self, x, key, switch, layer, norm=None, activation=None, **arguments):
        return self._apply(
            ops.binary_dense, x, key, switch, layer, norm, activation, arrange=np.transpose,
            channels=layer.kernel.shape[0], **arguments,
        )

    def _apply_memory(self, x, key, switch, layer, norm=None, activation=None, **arguments):
        return self._apply(
            ops.memory_filter, x, key, switch, layer, norm, activation, arrange=np.transpose,
            channels=layer.kernel.shape[-1] // layer.depth_multiplier, look_back=layer.look_back,
            stride_back=layer.stride_back, stride_ahead=layer.stride_ahead, **arguments,
        )


def deployed_form(layer):
    """What the layer's activations are to the operators, see `Binarizer.deployed`.

    Raises:
        ConversionError: If the operators do not have it.
    """
    with tf.init_scope():
        form = layer.binarizer.deployed(layer.binarizer_variables)
    if form is None:
        raise ConversionError(
            "The operators binarize an activation to the sign of its difference from a constant "
            "per channel, or to two such signs (docs/ops.md). This binarizer scales by the mean "
            "of a whole clip, has a zero between its signs, or leaves activations real. "
            f"Received: binarizer={type(layer.binarizer).__name__}, {layer.binarizer.name!r}"
        )
    return form


def centre_of(layer):
    """What an activation is besides its signs, in units of their sum, where padding is 0 instead.

    None if that is the same for all outputs, and so a part of the bias.
    """
    form = deployed_form(layer)
    if form.offset is None or not (layer.binarizer.pads_zero and layer.has_padding):
        return None
    return -value_of(form.offset) / value_of(form.scale)


def packed_shift(layer, channels):
    """What a layer's producer of so many channels compares with to hand it bits, or None."""
    form = deployed_form(layer)
    shifts = form.shifts
    if not shifts:
        return np.zeros(channels, np.float32)
    if len(shifts) > 1 or form.step is not None or shifts[0].shape[0] != channels:
        return None  # needs the values, or its shifts differ within a channel
    return np.asarray(value_of(shifts[0]), np.float32)


def check_convertible(model, thin, allow_untrained):
    """Checks that a model can be deployed and returns its switches to convert.

    Raises:
        ConversionError: If not.
    """
    deployment = Deployment.class_for(model)
    deployment.check(model)
    switches = model.switches if thin is None else (
        (thin,) if isinstance(thin, (int, float)) else tuple(thin)
    )
    if not switches:
        raise ConversionError("`thin` should name at least one switch. Received: thin=()")
    indices = []
    for switch in switches:
        try:
            indices.append(model.switch_index(switch))
        except ValueError as error:
            raise ConversionError(str(error)) from error
    if len(set(indices)) != len(indices):
        raise ConversionError(f"`thin` should not repeat a switch. Received: thin={thin}")
    switches = tuple(model.switches[index] for index in sorted(indices))
    for variable in model.weights:
        if not np.isfinite(np.asarray(variable, np.float64)).all():
            raise ConversionError(
                "The model's parameters should be finite; it may have diverged in training. "
                f"Received: {variable.path} with values that are not"
            )
    for switch in switches if model.binarizer is not None and not allow_untrained else ():
        if not deployment.is_trained(model, switch):
            raise ConversionError(
                f"Switch {switch} was never trained: its normalizations hold their initial "
                "values. Train all switches with ThinnableDistiller, convert fewer with `thin`, "
                f"or, from Python, pass allow_untrained=True. Received: thin={switch}"
            )
    return switches
