"""1-bit weights with real activations: which of the two costs the accuracy."""

import keras

from bifsmn_tf import binarizers
from bifsmn_tf.binarizers.base import Activation, Binarizer


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class RealActivations(Binarizer):
    r"""Another binarizer's weights; activations stay real: $\hat x = x$.

    The counterpart of `weight_scale="official"`, whose pointwise weights are real and whose
    activations are binarized. No kernel computes it: for experiments.

    Args:
        binarizer: The wrapped one: name, instance or configuration.
    """

    def __init__(self, binarizer):
        self.binarizer = binarizers.get(binarizer)
        if self.binarizer is None:
            raise ValueError(
                "`RealActivations` needs a binarizer. Received: binarizer=None"
            )

    @property
    def name(self):
        return self.binarizer.name

    def create_variables(self, add_weight, channels):
        return self.binarizer.create_variables(add_weight, channels)

    def activation(self, x, variables=None, scale_axes=()):
        return Activation(((x, None),))

    def weight(self, kernel, axis, variables=None):
        return self.binarizer.weight(kernel, axis, variables)

    def weight_surrogate(self, kernel, variables=None):
        return self.binarizer.weight_surrogate(kernel, variables)

    def weight_window(self, variables=None):
        return self.binarizer.weight_window(variables)

    def schedule(self, variables, progress):
        self.binarizer.schedule(variables, progress)

    def get_config(self):
        return {"binarizer": keras.saving.serialize_keras_object(self.binarizer)}
