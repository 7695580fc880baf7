"""The deployed network: what a model computes after folding, for one switch.

Feature maps are time-major (frames before mel bands), so that the vector of a frame is contiguous
and nothing needs to be transposed after the input. Activations that are only binarized travel as
packed bits.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from bifsmn_tf.conversion import ops
from bifsmn_tf.conversion.errors import ConversionError
from bifsmn_tf.conversion.folding import (
    batch_norm_affine,
    fold,
    integer_thresholds,
    make_epilogue,
    slope_of,
    value_of,
)
from bifsmn_tf.conversion.op_reference import WORD_BITS
from bifsmn_tf.layers import MemoryFilter
from bifsmn_tf.models.skeleton import DFSMNSkeleton

# Binarizers whose activation is the sign, without a threshold or a scale.
_CONVERTIBLE = ("vanilla", "bnn", "dorefa", "bi_real", "ir_net", "rad")


def _activate(x, activation):
    slope = slope_of(activation)
    if slope == 1.0:
        return x
    return tf.nn.relu(x) if slope == 0.0 else tf.nn.leaky_relu(x, alpha=slope)


@dataclasses.dataclass(frozen=True)
class _BinaryWeights:
    """Packed weights of one binary layer, shared by all switches."""

    words: np.ndarray
    length: int  # products summed for one output
    scale: np.ndarray  # scaling factor per output, negative where the row is stored negated


class Deployment:
    """A model's folded constants and its forward function per switch.

    Weights are created once and referred to by the functions of all switches.

    Args:
        model: `bifsmn_tf.models.DFSMN` or `BiFSMN`.
    """

    def __init__(self, model):
        self.model = model
        self._constants = {}
        self._binary = {}

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
        """The first, real-valued convolution: what comes before any custom operator."""
        model = self.model
        return self._float_convolution(features, model.conv1, model.norm1, model.activation1)

    def tail(self, x, thin=1.0, collect=None):
        """Everything behind the stem.

        Args:
            x: Output of `stem`.
            thin: The switch.
            collect: Optional list to which the output of every custom operator is appended.

        Returns:
            Probabilities, tensor `(1, num_classes)`.
        """
        model = self.model
        switch = model.switch_index(thin)
        if model.binarizer is None:
            x = self._float_convolution(x, model.conv2, model.norm2, model.activation2)
            x = self._float_fc1(x)
            for index in model.active_blocks(thin):
                x = self._float_block(x, model.blocks[index], switch)
        else:
            outputs = [] if collect is None else collect
            outputs.append(self._binary_convolution(x))
            outputs.append(self._binary_fc1(outputs[-1]))
            for index in model.active_blocks(thin):
                outputs += self._binary_block(outputs[-1], model.blocks[index], switch)
            x = outputs[-1]
        return tf.nn.softmax(self._classify(x))

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

    # ---------------------------------------------------------------- float layers

    def _float_convolution(self, x, layer, norm, activation):
        factor, offset = fold(1.0, layer.bias, norm)
        kernel = value_of(layer.kernel) * factor
        rows, columns = layer.padding
        x = tf.pad(x, [[0, 0], [columns, columns], [rows, rows], [0, 0]])
        x = tf.nn.conv2d(
            x,
            self._constant((layer.name, "kernel"), kernel.transpose(1, 0, 2, 3)),
            strides=layer.strides[::-1],
            padding="VALID",
        )
        return _activate(x + self._constant((layer.name, "bias"), offset), activation)

    def _pointwise(self, x, key, kernel, bias, activation):
        kernel = self._constant((*key, "kernel"), kernel[None, None])
        x = tf.nn.conv2d(x, kernel, strides=1, padding="VALID")
        return _activate(x + self._constant((*key, "bias"), bias), activation)

    def _float_fc1(self, x):
        frames, bands, channels = x.shape[1:]
        layer = self.model.fc1
        x = tf.reshape(x, (1, 1, frames, bands * channels))
        kernel = _band_major(value_of(layer.kernel), bands, channels)
        return self._pointwise(
            x, ("fc1",), kernel, value_of(layer.bias), self.model.fc1_activation
        )

    def _float_block(self, x, block, switch):
        key = (block.name, switch)
        memory = block.memory
        factor, offset = fold(1.0, memory.bias, block.memory_norm.of(switch))
        offsets = memory.offsets
        taps = np.zeros((1, offsets[-1] - offsets[0] + 1, x.shape[-1], 1))
        for tap, position in zip(value_of(memory.kernel), offsets):
            taps[0, position - offsets[0], :, 0] = tap * factor
        padded = tf.pad(x, [[0, 0], [0, 0], [-offsets[0], offsets[-1]], [0, 0]])
        filtered = tf.nn.depthwise_conv2d(
            padded, self._constant((*key, "memory"), taps), (1, 1, 1, 1), padding="VALID"
        )
        filtered = filtered + self._constant((*key, "memory bias"), offset)
        y = x + _activate(filtered, block.memory_activation)
        hidden = y
        for layer, norm, activation in (
            (block.hidden, block.hidden_norm, block.hidden_activation),
            (block.projection, block.output_norm, block.output_activations[switch]),
        ):
            factor, offset = fold(1.0, layer.bias, norm.of(switch))
            kernel = value_of(layer.kernel) * factor
            hidden = self._pointwise(hidden, (*key, layer.name), kernel, offset, activation)
        return y + hidden

    def _classify(self, x):
        frames, channels = x.shape[-2:]
        kernel = value_of(self.model.classifier.kernel)
        # The model flattens channel-major, this graph frame-major.
        kernel = kernel.reshape(channels, frames, -1).transpose(1, 0, 2)
        kernel = kernel.reshape(frames * channels, -1)
        logits = tf.matmul(
            tf.reshape(x, (1, frames * channels)), self._constant(("classifier",), kernel)
        )
        bias = value_of(self.model.classifier.bias)
        return logits + self._constant(("classifier bias",), bias)

    # --------------------------------------------------------------- binary layers

    def _weights(self, key, layer, arrange, negate_with=None):
        """Packed weights and scaling factors of a layer, made once.

        A threshold stands for a growing function of the sum. Rows to which the normalization
        `negate_with` gives a negative factor are therefore stored negated.
        """
        if key not in self._binary:
            with tf.init_scope():
                kernel, scale = layer.binary_weight()
            rows, scale = arrange(np.asarray(kernel)), np.asarray(scale, np.float64)
            if negate_with is not None:
                signs = np.where(batch_norm_affine(negate_with)[0] < 0, -1.0, 1.0)
                rows, scale = rows * signs[:, None], scale * signs
            # The memory filter is stored as one plane of bits per tap.
            bits = rows.T if isinstance(layer, MemoryFilter) else rows
            self._binary[key] = _BinaryWeights(ops.pack_bits(bits), rows.shape[1], scale)
        return self._binary[key]

    def _apply(self, op, x, key, switch, layer, norm, activation, *, arrange,
               channels, packed=False, residual=None, **attributes):
        """Runs one custom operator with the constants of a layer, its norm and activation.

        `norm` holds the normalization of the first switch and of this one. `packed` asks for
        bits instead of floats, where that is possible.
        """
        weights = self._weights(key, layer, arrange, norm[0] if packed else None)
        epilogue = make_epilogue(weights.scale, layer.bias, norm[1], activation)
        words = self._constant((*key, "weights"), weights.words)
        # Switches of their own normalization may disagree on the sign of a multiplier; such a
        # layer hands on floats.
        if packed and (epilogue.multiplier >= 0).all():
            thresholds = integer_thresholds(epilogue, weights.length)
            constants = {
                "threshold": self._constant((*key, switch, "threshold"), thresholds)
            }
        else:
            constants = {
                "multiplier": self._constant((*key, switch, "multiplier"), epilogue.multiplier),
                "bias": self._constant((*key, switch, "bias"), epilogue.bias),
                "residual": residual,
                "slope": epilogue.slope,
            }
        return op(x, words, channels=channels, **constants, **attributes)

    def _binary_convolution(self, x):
        model = self.model
        layer = model.conv2

        def arrange(kernel):  # (mel, time, in, out) -> rows of (time, mel, in)
            return kernel.transpose(3, 1, 0, 2).reshape(kernel.shape[-1], -1)

        return self._apply(
            ops.binary_conv2d, x, ("conv2",), 0, layer, (model.norm2, model.norm2),
            model.activation2, arrange=arrange, channels=x.shape[-1],
            # Only whole words can be flattened into the vector of a frame.
            packed=layer.filters % WORD_BITS == 0,
            kernel_size=layer.kernel_size[::-1], strides=layer.strides[::-1],
            padding=layer.padding[::-1],
        )

    def _binary_fc1(self, x):
        layer = self.model.fc1
        channels = self.model.conv2.filters
        inputs = layer.kernel.shape[0]

        def arrange(kernel):
            return _band_major(kernel, inputs // channels, channels).T

        return self._apply(
            ops.binary_dense, x, ("fc1",), 0, layer, (None, None), self.model.fc1_activation,
            arrange=arrange, channels=inputs,
        )

    def _binary_block(self, x, block, switch):
        """Outputs of the block's three operators."""

        def norms(norm):
            return norm.of(0), norm.of(switch)

        memory = block.memory
        y = self._apply(
            ops.memory_filter, x, (block.name, "memory"), switch, memory,
            norms(block.memory_norm), block.memory_activation,
            arrange=np.transpose, channels=x.shape[-1], residual=x,
            look_back=memory.look_back, stride_back=memory.stride_back,
            stride_ahead=memory.stride_ahead,
        )
        hidden = self._apply(
            ops.binary_dense, y, (block.name, "hidden"), switch, block.hidden,
            norms(block.hidden_norm), block.hidden_activation,
            arrange=np.transpose, channels=y.shape[-1], packed=True,
        )
        output = self._apply(
            ops.binary_dense, hidden, (block.name, "projection"), switch, block.projection,
            norms(block.output_norm), block.output_activations[switch],
            arrange=np.transpose, channels=block.hidden_size, residual=y,
        )
        return y, hidden, output


def _band_major(kernel, bands, channels):
    """Rows of a kernel from channel-major (c * bands + f) to band-major (f * channels + c)."""
    return kernel.reshape(channels, bands, -1).transpose(1, 0, 2).reshape(bands * channels, -1)


def check_convertible(model, thin, allow_untrained):
    """Checks that a model can be deployed and returns its switches to convert.

    Raises:
        ConversionError: If not.
    """
    if not isinstance(model, DFSMNSkeleton):
        raise ConversionError(
            "`model` should be a bifsmn_tf DFSMN or BiFSMN (of a ThinnableDistiller, pass its "
            f"`student`). Received: {type(model).__module__}.{type(model).__name__}"
        )
    if model.weight_scale != "channel":
        raise ConversionError(
            "A model with weight_scale='official' has real-valued pointwise weights, as the "
            "released code does, and cannot be stored in bits. Train with "
            f"weight_scale='channel'. Received: weight_scale={model.weight_scale!r}"
        )
    if model.binarizer is not None and model.binarizer.name not in _CONVERTIBLE:
        raise ConversionError(
            f"The operators binarize activations as {sorted(_CONVERTIBLE)} do. "
            f"Received: binarizer={model.binarizer.name!r}"
        )
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
    if model.binarizer is not None and not allow_untrained:
        for switch in switches:
            _check_trained(model, switch)
    return switches


def _check_trained(model, switch):
    """A switch whose own normalizations still hold their initial values was never trained."""
    index = model.switch_index(switch)
    for block in model.active_blocks(switch):
        factor, offset = batch_norm_affine(model.blocks[block].output_norm.of(index))
        if np.ptp(factor) > 0 or np.ptp(offset) > 0:
            return
    raise ConversionError(
        f"Switch {switch} was never trained: its normalizations hold their initial values. Train "
        "all switches with ThinnableDistiller, convert fewer with `thin`, or pass "
        f"allow_untrained=True. Received: thin={switch}"
    )
