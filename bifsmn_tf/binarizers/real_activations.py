"""1-bit weights with real activations: which of the two costs the accuracy."""

import keras

from bifsmn_tf.binarizers.base import Activation
from bifsmn_tf.binarizers.wrapper import Wrapper


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class RealActivations(Wrapper):
    r"""Another binarizer's weights; activations stay real: $\hat x = x$.

    The counterpart of `weight_scale="official"`, whose pointwise weights are real and whose
    activations are binarized. No kernel computes it: for experiments.

    Args:
        binarizer: The wrapped one: name, instance or configuration.
    """

    def activation(self, x, variables=None, scale_axes=()):
        return Activation(((x, None),))
