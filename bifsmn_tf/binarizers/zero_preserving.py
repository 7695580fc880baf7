"""The sign of the machine learning frameworks, which is zero at zero."""

import keras
from keras import ops

from bifsmn_tf.binarizers.wrapper import Wrapper

# Far below any activation, far above the smallest normal float32.
_TINY = 1e-30


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class ZeroPreserving(Wrapper):
    r"""Another binarizer with sign(0) = 0 for activations.

    $$b_0(x) = \tfrac12 \Big(b(x) + \lim_{\epsilon \to 0+} b(x - \epsilon)\Big)$$

    Where the argument of a sign is exactly zero, its two one-sided limits cancel; everything
    else, gradients included, is the wrapped binarizer's. Behind a ReLU the activations are then
    0 and 1, with information in them, instead of +1 everywhere. Such activations are no -1/+1
    bits: the layer does not run on XNOR kernels as it is.

    Args:
        binarizer: The wrapped one: name, instance or configuration.
    """

    @property
    def passes(self):
        return self.binarizer.passes

    @property
    def pads_zero(self):
        return self.binarizer.pads_zero

    def __getattr__(self, attribute):
        if attribute == "binarizer":  # not there yet
            raise AttributeError(attribute)
        return getattr(self.binarizer, attribute)

    def activation(self, x, variables=None, scale_axes=()):
        here = self.binarizer.activation(x, variables, scale_axes)
        below = self.binarizer.activation(ops.stop_gradient(x) - _TINY, variables, scale_axes)
        terms = tuple(
            (binary + 0.5 * ops.stop_gradient(lower - binary), scale)
            for (binary, scale), (lower, _) in zip(here.terms, below.terms)
        )
        return here._replace(terms=terms)

    def activation_loss(self, x):
        return self.binarizer.activation_loss(x)
