"""IR-Net: standardized weights, and a surrogate that sharpens over the training."""

import keras
import numpy as np
from keras import initializers, ops

from bifsmn_tf.binarizers.base import (
    Activation,
    Binarizer,
    Deployed,
    at_least_min_scale,
    sign,
    straight_through,
)

# Keeps the deviation of a constant filter from dividing by zero, and its gradient finite.
_MIN_VARIANCE = 1e-12


def standardize(kernel, axis):
    r"""Weights with mean 0 and (unbiased) standard deviation 1 over the fan-in `axis`.

    One or two weights have no distribution to speak of (one has no deviation at all, two always
    become $\pm 1/\sqrt 2$): a fan-in below 3 is left as it is.
    """
    axis = (axis,) if isinstance(axis, int) else tuple(axis)
    count = int(np.prod([kernel.shape[i] for i in axis]))
    if count < 3:
        return ops.convert_to_tensor(kernel)
    centred = kernel - ops.mean(kernel, axis=axis, keepdims=True)
    variance = ops.sum(ops.square(centred), axis=axis, keepdims=True) / (count - 1)
    return centred / ops.sqrt(ops.maximum(variance, _MIN_VARIANCE))


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class IRNet(Binarizer):
    r"""Information retention: Libra parameter binarization and error decay estimator.

    Forward, with $\mu$ and $\sigma$ the mean and the unbiased standard deviation of the weights
    of one output:

    $$b_x = \operatorname{sign}(x), \qquad \hat w_{std} = \frac{w - \mu}{\sigma}, \qquad
      \hat w = 2^s \operatorname{sign}(\hat w_{std}), \quad
      s = \operatorname{round}\big(\log_2 \operatorname{mean}|\hat w_{std}|\big).$$

    Outputs with fewer than 3 weights are not standardized. Backward:

    $$\frac{\partial b_x}{\partial x} = k t\,(1 - \tanh^2(t x)), \qquad
      \frac{\partial \hat w}{\partial \hat w_{std}} =
          2^s k t\,(1 - \tanh^2(t \hat w_{std})),$$

    and on through the standardization; none flows through $2^s$. Over the training, from
    progress p = 0 to 1, the estimator goes from nearly the identity to nearly the sign:

    $$t = t_{\min} (t_{\max} / t_{\min})^{p}, \qquad k = \max(1/t, 1).$$

    t and k are variables of each layer, not trained but saved. `ThinnableDistiller.fit` moves
    them; for the `fit` of any other model pass `bifsmn_tf.training.BinarizerSchedule`.

    Args:
        t_min: t at the beginning.
        t_max: t at the end.

    Reference:
        [Forward and Backward Information Retention for Accurate Binary Neural
        Networks](https://arxiv.org/abs/1909.10788)
    """

    name = "ir_net"

    def __init__(self, t_min=0.1, t_max=10.0):
        if not 0 < t_min <= t_max:
            raise ValueError(
                "Expected 0 < t_min <= t_max. "
                f"Received: t_min={t_min!r}, t_max={t_max!r}"
            )
        self.t_min = t_min
        self.t_max = t_max

    def _estimator(self, progress):
        t = self.t_min * (self.t_max / self.t_min) ** progress
        return {"t": t, "k": max(1.0 / t, 1.0)}

    def create_variables(self, add_weight, channels):
        return {
            name: add_weight(
                name=name, shape=(), initializer=initializers.Constant(value), trainable=False
            )
            for name, value in self._estimator(0.0).items()
        }

    def schedule(self, variables, progress):
        for name, value in self._estimator(progress).items():
            variables[name].assign(value)

    def _sign(self, x, variables):
        return straight_through(sign(x), variables["k"] * ops.tanh(variables["t"] * x))

    def activation(self, x, variables=None, scale_axes=()):
        return Activation(((self._sign(x, variables), None),))

    def deployed(self, variables=None):
        return Deployed()

    def weight(self, kernel, axis, variables=None):
        standard = standardize(kernel, axis)
        magnitude = at_least_min_scale(ops.mean(ops.abs(standard), axis=axis))
        scale = ops.stop_gradient(ops.power(2.0, ops.round(ops.log2(magnitude))))
        return self._sign(standard, variables), scale

    def weight_window(self, variables=None):
        return None

    def get_config(self):
        return {"t_min": self.t_min, "t_max": self.t_max}
