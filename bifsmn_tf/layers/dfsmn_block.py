"""The D-FSMN block: a memory over time and two pointwise layers, with two residual connections."""

import keras
from keras import layers

from bifsmn_tf import binarizers, scales
from bifsmn_tf.layers.binary_dense import BinaryPointwise
from bifsmn_tf.layers.memory_filter import MemoryFilter
from bifsmn_tf.layers.scalar_prelu import ScalarPReLU
from bifsmn_tf.layers.switchable_batch_norm import SwitchableBatchNorm

ACTIVATIONS = ("relu", "prelu")


def make_activation(kind, name):
    """Returns a ReLU or a scalar PReLU layer."""
    if kind not in ACTIVATIONS:
        raise ValueError(f"Activation should be one of {ACTIVATIONS}. Received: {kind!r}")
    return layers.ReLU(name=name) if kind == "relu" else ScalarPReLU(name=name)


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class DFSMNBlock(layers.Layer):
    r"""One D-FSMN block, float or binarized.

    $$y = x + f_m(\mathrm{BN}(\mathrm{memory}(x))), \qquad
      z = y + f_o(\mathrm{BN}_o(U\, f_h(\mathrm{BN}(V y))))$$

    (BiFSMN, Eq. (3) and (4), as the released code arranges them: the FIR filter acts on the
    residual stream, and every linear step is followed by batch normalization and a
    nonlinearity.) The last normalization and PReLU exist once per switch.

    Args:
        hidden_size: Width between the two pointwise layers.
        look_back, look_ahead, stride_back, stride_ahead: Memory filter, see `MemoryFilter`.
        memory_activation, hidden_activation, output_activation: "relu" or "prelu".
        hidden_dropout, output_dropout: Dropout rates after the two pointwise layers' activations.
        num_switches: Number of switches that have a last BN + activation of their own.
        switch_all_bn: Give the other two normalizations of the block one set per switch, too.
        binarizer: Name or instance; None for a float block.
        weight_scale: See `bifsmn_tf.scales`.

    Input shape: `(batch, frames, memory_size)`. Output shape: the same.

    Call arguments:
        inputs: Tensor.
        switch: Index of the switch, a Python integer.
        training: Python boolean.
    """

    def __init__(
        self,
        hidden_size,
        look_back=2,
        look_ahead=2,
        stride_back=1,
        stride_ahead=1,
        memory_activation="prelu",
        hidden_activation="prelu",
        output_activation="prelu",
        hidden_dropout=0.0,
        output_dropout=0.0,
        num_switches=1,
        switch_all_bn=False,
        binarizer="vanilla",
        weight_scale="channel",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self._config = {
            "hidden_size": hidden_size,
            "look_back": look_back,
            "look_ahead": look_ahead,
            "stride_back": stride_back,
            "stride_ahead": stride_ahead,
            "memory_activation": memory_activation,
            "hidden_activation": hidden_activation,
            "output_activation": output_activation,
            "hidden_dropout": hidden_dropout,
            "output_dropout": output_dropout,
            "num_switches": num_switches,
            "switch_all_bn": switch_all_bn,
            "weight_scale": scales.check_weight_scale(weight_scale),
        }
        self.hidden_size = hidden_size
        self.num_switches = num_switches
        self.binarizer = binarizers.get(binarizer)
        inner_switches = num_switches if switch_all_bn else 1
        bits = {"binarizer": self.binarizer, "weight_scale": weight_scale}

        self.memory = MemoryFilter(
            look_back, look_ahead, stride_back, stride_ahead, name="memory", **bits
        )
        self.memory_norm = SwitchableBatchNorm(inner_switches, name="memory_norm")
        self.memory_activation = make_activation(memory_activation, "memory_activation")
        self.hidden_norm = SwitchableBatchNorm(inner_switches, name="hidden_norm")
        self.hidden = BinaryPointwise(hidden_size, name="hidden", **bits)
        self.hidden_activation = make_activation(hidden_activation, "hidden_activation")
        self.hidden_dropout = layers.Dropout(hidden_dropout, name="hidden_dropout")
        self.output_norm = SwitchableBatchNorm(num_switches, name="output_norm")
        self.output_activations = [
            make_activation(output_activation, f"output_activation{i}")
            for i in range(num_switches)
        ]
        self.output_dropout = layers.Dropout(output_dropout, name="output_dropout")
        self._bits = bits

    def build(self, input_shape):
        if len(input_shape) != 3 or input_shape[-1] is None:
            raise ValueError(
                "`DFSMNBlock` expects inputs of shape (batch, frames, memory_size). "
                f"Received: input_shape={tuple(input_shape)}"
            )
        hidden_shape = (*input_shape[:-1], self.hidden_size)
        # The output width is the input's, known only now.
        self.projection = BinaryPointwise(input_shape[-1], name="projection", **self._bits)
        for layer in (self.memory, self.memory_norm, self.memory_activation, self.hidden):
            layer.build(input_shape)
        for layer in (self.hidden_norm, self.hidden_activation, self.projection):
            layer.build(hidden_shape)
        for layer in (self.output_norm, *self.output_activations):
            layer.build(input_shape)

    def call(self, inputs, switch=0, training=None):
        if not isinstance(switch, int) or not 0 <= switch < self.num_switches:
            raise ValueError(
                f"`switch` should be an integer from 0 to {self.num_switches - 1}. "
                f"Received: switch={switch!r}"
            )
        memory = self.memory(inputs, training=training)
        memory = self.memory_norm(memory, switch=switch, training=training)
        x = inputs + self.memory_activation(memory)
        hidden = self.hidden(x, training=training)
        hidden = self.hidden_norm(hidden, switch=switch, training=training)
        hidden = self.hidden_dropout(self.hidden_activation(hidden), training=training)
        output = self.projection(hidden, training=training)
        output = self.output_norm(output, switch=switch, training=training)
        output = self.output_activations[switch](output)
        return x + self.output_dropout(output, training=training)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            **self._config,
            "binarizer": binarizers.serialize(self.binarizer),
        }
