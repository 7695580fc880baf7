r"""What a network costs: bits, bytes and multiply-accumulates, and the papers' own count.

Both counts come from one forward pass per switch over a single clip, during which the calls of
all layers are recorded: what is counted is what was computed, whatever the network is built of.
A layer with a kernel of $n$ weights and $c$ output channels costs $n / c$ multiply-accumulates
(MACs) per output value, padding included.
"""

import contextlib
import dataclasses
import inspect
import math

import keras
from keras import ops

from bifsmn_tf import text_table
from bifsmn_tf.layers import BinaryConv2D, BinaryDense, BinaryPointwise

# The papers' figures are operations of this many clips.
_PAPER_CLIPS = 128
# Operations per output value for the scaling factors, by binarizer (1 for all others).
_SCALE_OPERATIONS = {"bnn": 0, "rad": 0, "xnor_net": 2}
_FLOAT_BYTES = 4
# Layer within which the papers' counter met dense layers of Audiomer several times, and how often.
_REPEATED, _REPETITIONS = "transformer", 4


@dataclasses.dataclass(frozen=True)
class _Call:
    """One call of a layer: shapes without the batch axis, and which tensors went in and out."""

    layer: keras.layers.Layer
    input_shape: tuple
    output_shape: tuple
    input_id: int
    output_id: int


@contextlib.contextmanager
def _recorded_calls():
    """Yields a list that receives a `_Call` for every layer called within the block."""
    calls, kept = [], []
    original = keras.layers.Layer.__call__

    def recording(layer, *args, **kwargs):
        outputs = original(layer, *args, **kwargs)
        inputs = args[0] if args else next(iter(kwargs.values()), None)
        if all(hasattr(x, "shape") for x in (inputs, outputs)):
            # Identities are only good while the tensors live.
            kept.extend((inputs, outputs))
            calls.append(
                _Call(
                    layer, tuple(inputs.shape[1:]), tuple(outputs.shape[1:]), id(inputs),
                    id(outputs),
                )
            )  # fmt: skip
        return outputs

    keras.layers.Layer.__call__ = recording
    try:
        yield calls
    finally:
        keras.layers.Layer.__call__ = original


def _switches(model):
    return tuple(getattr(model, "switches", (1.0,)))


def _input_shape(model):
    config = model.get_build_config() or {}
    shape = config.get("input_shape") or getattr(model, "input_shape", None)
    if not isinstance(shape, (tuple, list)) or None in shape[1:]:
        raise ValueError(
            "The model should be built for inputs of one known shape. "
            f"Received: {type(model).__name__} with input_shape={shape!r}"
        )
    return tuple(shape[1:])


def _calls_of(model, thin):
    """Calls of one forward pass of one clip."""
    if not isinstance(model, keras.Model):
        raise ValueError(f"`model` should be a Keras model. Received: {model!r}")
    if "thin" in inspect.signature(model.call).parameters:
        arguments = {"thin": thin}
    elif thin == 1.0:
        arguments = {}
    else:
        raise ValueError(f"This model has no switches. Received: thin={thin!r}")
    clip = ops.zeros((1, *_input_shape(model)))
    with _recorded_calls() as calls:
        model(clip, training=False, **arguments)
    return calls


def _is_linear(layer):
    """Whether the counter of the papers takes a layer for a linear one, not a convolution."""
    binary = isinstance(layer, BinaryDense) and not isinstance(layer, BinaryPointwise)
    return binary or isinstance(layer, keras.layers.Dense)


def _binarizer(layer):
    return getattr(layer, "binarizer", None)


def _has_bias(layer):
    return getattr(layer, "bias", None) is not None


def _kernel_macs(call):
    """Multiply-accumulates of a layer with a kernel, as if it were real-valued."""
    positions = math.prod(call.output_shape[:-1])
    return positions * math.prod(call.layer.kernel.shape)


def _macs(call):
    """Multiply-accumulates that a call really takes."""
    if _has_kernel(call.layer):
        return _kernel_macs(call) * _passes(call.layer)
    return call.layer.product_macs(call.input_shape[0])


def _has_kernel(layer):
    # Wrappers such as blocks have layers with kernels, not a kernel.
    return getattr(layer, "kernel", None) is not None


def _multiplies(layer):
    """Whether a layer has MACs; attention multiplies activations by each other."""
    return _has_kernel(layer) or hasattr(layer, "product_macs")


def _is_norm(layer):
    return isinstance(layer, keras.layers.BatchNormalization)


def paper_flops(model, thin=1.0, counting_fault=True):
    r"""Operations in millions, counted as in the papers' tables ("FLOPs (M)").

    The unit is 128 clips. Per clip:

    *   a convolution (pointwise and memory filters too): its MACs, and one operation per output
        value for a bias; a dense layer: its MACs only;
    *   a binarized layer: the above divided by 64, and s operations per output value for the
        scaling factors, with s = 0 for BNN and RAD, 2 for XNOR-Net, 1 for all others;
    *   batch normalization: 2 operations per value, never divided; all else: none.

    With these rules every printed figure of Tables 1 to 3 of BiFSMN is met to its last digit,
    except the 45.04 of XNOR-Net with 20 classes: that is the figure of 12 classes, and the rules
    give 46.09. They say nothing about a second activation scale or the products of attention,
    which are not counted here; `summary` counts them.

    Args:
        model: A Keras model; built for one known input shape.
        thin: The switch.
        counting_fault: Count the dense layers in Audiomer's transformers four times, as the
            papers' counter did, which met each of them that often. False counts them once;
            other networks have none.

    Returns:
        Millions of operations, a float.

    Raises:
        ValueError: If the model has no such switch or its input shape is not known.
    """
    operations = 0.0
    for call in _calls_of(model, thin):
        layer = call.layer
        if _is_norm(layer):
            operations += 2 * math.prod(call.input_shape)
        elif _has_kernel(layer):
            outputs = math.prod(call.output_shape)
            cost = _kernel_macs(call)
            if _has_bias(layer) and not _is_linear(layer):
                cost += outputs
            if counting_fault and _is_linear(layer) and _REPEATED in layer.path.split("/"):
                cost, outputs = _REPETITIONS * cost, _REPETITIONS * outputs
            binarizer = _binarizer(layer)
            if binarizer is not None:
                cost = cost / 64 + _SCALE_OPERATIONS.get(binarizer.name, 1) * outputs
            operations += cost
    return _PAPER_CLIPS * operations / 1e6


@dataclasses.dataclass(frozen=True)
class LayerCost:
    """Cost of one layer.

    Attributes:
        name: Path inside the model.
        kind: Name of its class.
        output_shape: Without the batch axis.
        weights: Number of weights of its kernel; 0 for the products of attention.
        bits: Bits per weight: 1, or 32 for a float layer.
        bytes: As deployed, see `Summary`.
        macs: `{switch: MACs per clip}`, 0 where a switch skips the layer. A binary layer with
            two activation scales counts twice: it makes two passes over its weights.
    """

    name: str
    kind: str
    output_shape: tuple
    weights: int
    bits: int
    bytes: int
    macs: dict


@dataclasses.dataclass(frozen=True)
class Summary:
    """Cost of a network, by layer and in total.

    Bytes are those of the parameters as deployed: one bit per binary weight, packed without
    padding; float32 for all else. What follows a layer linearly is folded into it: scaling
    factors, bias and batch normalization leave a factor and an offset per output channel, once
    for every normalization that switches have of their own. Thresholds of activations stay; what
    only training needs is not counted, nor are the structure of a file, labels and integer
    thresholds: `bifsmn_tf.conversion` reports a real file.

    MACs of normalization, activations and additions are none.

    Attributes:
        name: Name of the model's class.
        input_shape: Of one clip.
        switches: The switches.
        parameters: Number of trainable parameters, every one counted as one.
        layers: `LayerCost` of every layer that multiplies, in the order of execution.
        other_floats: Float parameters outside of these layers, such as slopes.
    """

    name: str
    input_shape: tuple
    switches: tuple
    parameters: int
    layers: tuple
    other_floats: int

    @property
    def binary_weights(self):
        """Number of 1-bit weights."""
        return sum(layer.weights for layer in self.layers if layer.bits == 1)

    @property
    def bytes(self):
        """Bytes of all parameters as deployed."""
        return sum(layer.bytes for layer in self.layers) + _FLOAT_BYTES * self.other_floats

    @property
    def bit_bytes(self):
        """Bytes of the packed 1-bit weights."""
        return sum(_packed(layer.weights) for layer in self.layers if layer.bits == 1)

    @property
    def equivalent_weights(self):
        """Trainable parameters with a 1-bit weight counted as 1/32."""
        return self.parameters - self.binary_weights * 31 / 32

    @property
    def binary_macs(self):
        """`{switch: MACs of 1-bit weights per clip}`."""
        return self._macs(1)

    @property
    def float_macs(self):
        """`{switch: MACs of real weights per clip}`."""
        return self._macs(32)

    def _macs(self, bits):
        return {
            switch: sum(layer.macs[switch] for layer in self.layers if layer.bits == bits)
            for switch in self.switches
        }

    def to_dict(self):
        """Plain numbers and lists, for JSON."""
        return {
            "name": self.name,
            "input_shape": list(self.input_shape),
            "parameters": self.parameters,
            "equivalent_weights": self.equivalent_weights,
            "binary_weights": self.binary_weights,
            "bytes": self.bytes,
            "bit_bytes": self.bit_bytes,
            "other_floats": self.other_floats,
            "switches": {
                str(switch): {
                    "binary_macs": self.binary_macs[switch],
                    "float_macs": self.float_macs[switch],
                }
                for switch in self.switches
            },
            "layers": [
                {
                    **dataclasses.asdict(layer),
                    "output_shape": list(layer.output_shape),
                    "macs": {str(switch): value for switch, value in layer.macs.items()},
                }
                for layer in self.layers
            ],
        }

    def __str__(self):
        rows = [("layer", "kind", "output", "weights", "bits", "bytes", "MACs", "switches")]
        for layer in self.layers:
            used = [str(switch) for switch in self.switches if layer.macs[switch]]
            rows.append(
                (
                    layer.name, layer.kind, "x".join(map(str, layer.output_shape)),
                    f"{layer.weights:,}", str(layer.bits), f"{layer.bytes:,}",
                    f"{max(layer.macs.values()):,}", " ".join(used),
                )
            )  # fmt: skip
        other = f"{_FLOAT_BYTES * self.other_floats:,}"
        rows.append(("other", "", "", f"{self.other_floats:,}", "32", other, "", ""))
        lines = text_table.aligned(rows, right=(3, 4, 5, 6))
        lines.insert(1, "-" * max(map(len, lines)))
        shape = "x".join(map(str, self.input_shape))
        lines.insert(0, f"{self.name}, input {shape}")
        lines.append(
            f"{self.parameters:,} trainable parameters, {self.binary_weights:,} of them of one "
            f"bit: {self.equivalent_weights:,.0f} with these at 1/32"
        )
        lines.append(
            f"{self.bytes:,} bytes deployed: {self.bit_bytes:,} of packed bits, "
            f"{self.bytes - self.bit_bytes:,} of float32 (scales, biases and normalization folded)"
        )
        for switch in self.switches:
            lines.append(
                f"switch {switch}: {self.binary_macs[switch]:,} binary and "
                f"{self.float_macs[switch]:,} float MACs per clip"
            )
        return "\n".join(lines)


def summary(model):
    """Counts weights, bytes and multiply-accumulates of a network, per layer and switch.

    Args:
        model: A Keras model; built for one known input shape.

    Returns:
        A `Summary`; print it for a table.

    Raises:
        ValueError: If it is no such model.
    """
    switches = _switches(model)
    calls = {switch: _calls_of(model, switch) for switch in switches}
    costly = {}  # first call of every layer with MACs, in the order of execution
    macs, norms, folded = {}, {}, set()
    for switch, recorded in calls.items():
        by_output = {call.output_id: call for call in recorded if _has_kernel(call.layer)}
        for call in recorded:
            key = id(call.layer)
            if _multiplies(call.layer):
                costly.setdefault(key, call)
                macs.setdefault(key, dict.fromkeys(switches, 0))[switch] += _macs(call)
            elif _is_norm(call.layer) and call.input_id in by_output:
                norms.setdefault(id(by_output[call.input_id].layer), set()).add(key)
                folded.add(key)
    layers = tuple(
        LayerCost(
            name=call.layer.path.removeprefix(f"{model.name}/"),
            kind=type(call.layer).__name__,
            output_shape=call.output_shape,
            weights=math.prod(call.layer.kernel.shape) if _has_kernel(call.layer) else 0,
            bits=_bits(call.layer),
            bytes=_bytes(call, len(norms.get(key, ()))),
            macs=macs[key],
        )
        for key, call in costly.items()
    )
    others = {
        id(call.layer): call.layer
        for recorded in calls.values()
        for call in recorded
        if id(call.layer) not in costly and id(call.layer) not in folded
    }
    return Summary(
        name=type(model).__name__,
        input_shape=_input_shape(model),
        switches=switches,
        parameters=sum(math.prod(v.shape) for v in model.trainable_variables),
        layers=layers,
        other_floats=sum(_own_floats(layer) for layer in others.values()),
    )


def _packed(weights):
    return -(-weights // 8)


def _passes(layer):
    """Passes over the weights: two where activations have two scales."""
    binarizer = _binarizer(layer)
    return 1 if binarizer is None else binarizer.passes


def _bits(layer):
    """Bits that a weight needs for the layer to compute what it computes."""
    if _binarizer(layer) is None or not _has_kernel(layer):
        return 32
    # The released code's scales vary within one output's sum: that takes real weights.
    real = isinstance(layer, (BinaryPointwise, BinaryConv2D))
    official = getattr(layer, "weight_scale", "channel") == "official"
    return 32 if official and real else 1


def _bytes(call, num_norms):
    layer, channels = call.layer, call.output_shape[-1]
    if not _has_kernel(layer):
        return _FLOAT_BYTES * _own_floats(layer)
    weights = math.prod(layer.kernel.shape)
    affine = 2 * channels * max(num_norms, 1)
    if _bits(layer) == 1:
        # What a binarizer learns and needs when deployed; the rest folds or only trains.
        binarizer, variables = _binarizer(layer), getattr(layer, "binarizer_variables", {})
        deployed = binarizer.deployed(variables)
        if deployed is None:
            shifts = [variables[name] for name in binarizer.thresholds if name in variables]
        else:
            shifts = list(deployed.shifts)
            if binarizer.pads_zero and layer.has_padding and deployed.offset is not None:
                shifts.append(deployed.offset)  # which no bias holds for all positions
        thresholds = sum(math.prod(shift.shape) for shift in shifts)
        return _packed(weights) + _FLOAT_BYTES * (affine + thresholds)
    if num_norms > 1:
        return _FLOAT_BYTES * (weights + affine)
    # A real kernel takes the factor in.
    has_offset = num_norms or _has_bias(layer)
    return _FLOAT_BYTES * (weights + (channels if has_offset else 0))


def _own_floats(layer):
    """Float parameters of a layer itself, without those of its sublayers."""
    if _is_norm(layer):
        return 2 * math.prod(layer.moving_mean.shape)  # factor and offset
    own = (v for v in layer.weights if v.path.rpartition("/")[0] == layer.path)
    return sum(math.prod(v.shape) for v in own)
