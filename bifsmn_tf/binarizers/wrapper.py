"""What binarizers that change the activations of another one have in common."""

import keras

from bifsmn_tf.binarizers.base import Binarizer


class Wrapper(Binarizer):
    """Another binarizer's weights and variables; subclasses have activations of their own.

    Args:
        binarizer: The wrapped one: name, instance or configuration.
    """

    def __init__(self, binarizer):
        from bifsmn_tf import binarizers

        self.binarizer = binarizers.get(binarizer)
        if self.binarizer is None:
            raise ValueError(
                f"`{type(self).__name__}` needs a binarizer. Received: binarizer=None"
            )

    @property
    def name(self):
        return self.binarizer.name

    def create_variables(self, add_weight, channels):
        return self.binarizer.create_variables(add_weight, channels)

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
