"""Batch normalization with one set of statistics and parameters per switch."""

import keras
from keras import layers


def batch_norm(name, **kwargs):
    """Batch normalization with the constants of the official networks (not Keras' defaults)."""
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=name, **kwargs)


def check_switch(switch, num_switches):
    """Checks the index of a switch; a shared layer (one switch) serves every index."""
    if not isinstance(switch, int) or switch < 0 or 1 < num_switches <= switch:
        raise ValueError(
            f"`switch` should be the index of one of {num_switches} switches. "
            f"Received: switch={switch!r}"
        )


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class SwitchableBatchNorm(layers.Layer):
    """Holds one batch normalization per switch of a thinnable network and applies the chosen one.

    The variants of a thinnable network see different activations, so sharing statistics mixes
    them (BiFSMN, section 3.3). With `num_switches=1` all switches share one normalization.

    Args:
        num_switches: Number of normalizations.

    Input shape: any, channels last. Output shape: the same.

    Call arguments:
        inputs: Tensor.
        switch: Index of the switch, a Python integer.
        training: Whether batch statistics are used and tracked.
    """

    def __init__(self, num_switches=1, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(num_switches, int) or num_switches < 1:
            raise ValueError(
                "`num_switches` should be a positive integer. "
                f"Received: num_switches={num_switches!r}"
            )
        self.num_switches = num_switches
        self.norms = [batch_norm(f"bn{i}") for i in range(num_switches)]

    def of(self, switch):
        """The batch normalization that serves a switch."""
        check_switch(switch, self.num_switches)
        return self.norms[0 if self.num_switches == 1 else switch]

    def build(self, input_shape):
        for norm in self.norms:
            norm.build(input_shape)

    def call(self, inputs, switch=0, training=None):
        return self.of(switch)(inputs, training=training)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "num_switches": self.num_switches}
