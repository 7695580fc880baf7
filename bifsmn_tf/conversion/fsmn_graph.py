"""The deployed FSMN, float or binarized."""

import tensorflow as tf

from bifsmn_tf.conversion.folding import batch_norm_affine, value_of
from bifsmn_tf.conversion.graph import Deployment, deployed_form
from bifsmn_tf.models import FSMN


class FSMNDeployment(Deployment, model=FSMN):
    """`FSMN`: the layer's dense map is the residual of its memory's projection."""

    @classmethod
    def check(cls, model):
        if model.binarizer is not None:
            deployed_form(model.projections[0])

    def stem(self, features):
        """The normalized features and the first, real-valued dense map."""
        frames, bands = features.shape[1:3]
        x = tf.reshape(features, (1, 1, frames, bands))
        if self.model.input_norm is not None:
            factor, offset = batch_norm_affine(self.model.input_norm)
            x = x * self._constant(("input_norm", "factor"), factor)
            x = x + self._constant(("input_norm", "offset"), offset)
        return x, self._float_dense(x, self.model.linears[0], exact=True)

    def tail(self, x, thin=1.0, collect=None):
        model = self.model
        model.switch_index(thin)
        outputs = [] if collect is None else collect
        layers = zip(model.linears, model.memories, model.projections, model.activations)
        x, mapped = x
        if model.binarizer is None:
            for linear, memory, projection, activation in layers:
                if linear is not model.linears[0]:
                    mapped = self._float_dense(x, linear)
                filtered = self._memory(x, (memory.name,), memory)
                x = self._activate(mapped + self._float_dense(filtered, projection), activation)
        else:
            x, mapped = (tf.reshape(value, value.shape[1:]) for value in (x, mapped))
            for linear, memory, projection, activation in layers:
                if linear is not model.linears[0]:
                    mapped = self._apply_dense(x, (linear.name,), 0, linear)
                    outputs.append(mapped)
                filtered = self._apply_memory(
                    x, (memory.name,), 0, memory, packed_for=projection
                )
                x = self._apply_dense(
                    filtered, (projection.name,), 0, projection, activation=activation,
                    residual=mapped, residual_first=True,
                )
                outputs += [filtered, x]
        return self._scores(x, value_of(model.classifier.kernel), value_of(model.classifier.bias))

    def _float_dense(self, x, layer, exact=False):
        bias = None if layer.bias is None else value_of(layer.bias)
        kernel = value_of(layer.kernel)
        return self._pointwise(
            x, (layer.name,), kernel if exact else self._rounded(kernel), bias
        )
