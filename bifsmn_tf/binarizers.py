r"""Binarizers: how real values become one bit, and how gradients pass through.

A binarizer has a forward and a backward side for activations and for weights. Every class here is
written with `keras.ops` only and uses one idiom for the straight-through estimator,

    value + (surrogate - stop_gradient(surrogate)),

whose forward result is exactly `value` (the bracket is exactly zero) and whose gradient is that of
`surrogate`.

Weights are returned in two factors, `binary` and `scale`, with `scale` constant over everything
that one output sums: a layer computes `contraction(x, binary) * scale`. The contraction of +-1
values is then an exact integer in float32, the same number an XNOR-popcount kernel finds.
"""

import keras
from keras import ops

from bifsmn_tf import _keras_registration

# Smallest scaling factor: keeps an all-zero filter from dividing by zero in the backward pass.
_MIN_SCALE = 1e-12


def sign(x):
    r"""Sign with two values, Eq. (1) of BiFSMN.

    $$\operatorname{sign}(x) = \begin{cases} +1 & x \ge 0 \\ -1 & x < 0 \end{cases}$$

    so `sign(0.0)` and `sign(-0.0)` are both +1. No gradient.
    """
    return ops.where(x >= 0, ops.ones_like(x), -ops.ones_like(x))


def straight_through(value, surrogate):
    """Returns `value` in the forward pass and the gradient of `surrogate` in the backward pass."""
    return ops.stop_gradient(value) + (surrogate - ops.stop_gradient(surrogate))


def clipped_identity(x):
    r"""Surrogate with the gradient $1_{|x| \le 1}$ (both ends included)."""
    return ops.where(ops.abs(x) <= 1, x, ops.zeros_like(x))


def scaling_factor(kernel, axis):
    r"""Scaling factor of Eq. (2): $\alpha_w = \lVert w \rVert_1 / n$ over the fan-in `axis`.

    Args:
        kernel: Real-valued weights, any shape.
        axis: Axes that one output sums over.

    Returns:
        Mean magnitude, with `axis` removed. No gradient flows through it.
    """
    return ops.stop_gradient(ops.maximum(ops.mean(ops.abs(kernel), axis=axis), _MIN_SCALE))


class Binarizer:
    """Base class: what a layer asks of a binarizer."""

    name = None

    def activation(self, x):
        """Binarizes activations to -1/+1 with a surrogate gradient."""
        raise NotImplementedError

    def weight(self, kernel, axis):
        """Binarizes weights.

        Args:
            kernel: Real-valued weights.
            axis: Axes that one output sums over.

        Returns:
            `(binary, scale)`: -1/+1 values of the kernel's shape, and positive factors of the
            kernel's shape without `axis`.
        """
        raise NotImplementedError

    def get_config(self):
        return {}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class Vanilla(Binarizer):
    r"""Sign with the clipped straight-through estimator and one scaling factor per output.

    Forward, Eq. (1) and (2) of BiFSMN:

    $$b_x = \operatorname{sign}(x), \qquad
      \hat w = \alpha_w \operatorname{sign}(w), \quad \alpha_w = \lVert w \rVert_1 / n.$$

    Backward:

    $$\frac{\partial b_x}{\partial x} = 1_{|x| \le 1}, \qquad
      \frac{\partial \hat w}{\partial w} = 1_{|w| \le 1},$$

    that is, the gradient with respect to the scaled binary weight reaches the real weight without
    being multiplied by $\alpha_w$, and none flows through $\alpha_w$ itself.

    Reference:
        [BiFSMN: Binary Neural Network for Keyword Spotting](https://arxiv.org/abs/2202.06483)
    """

    name = "vanilla"

    def activation(self, x):
        return straight_through(sign(x), clipped_identity(x))

    def weight(self, kernel, axis):
        scale = scaling_factor(kernel, axis)
        # The layer multiplies by `scale`, which would also scale the gradient: divide it out.
        surrogate = clipped_identity(kernel) / ops.expand_dims(scale, axis)
        return straight_through(sign(kernel), surrogate), scale


_BY_NAME = {cls.name: cls for cls in (Vanilla,)}


def get(identifier):
    """Resolves a binarizer.

    Args:
        identifier: A name ("vanilla"), a `Binarizer`, its serialized configuration, or None for
            no binarization (a float layer).

    Returns:
        A `Binarizer` or None.

    Raises:
        ValueError: If the identifier is not understood.
    """
    if identifier is None or isinstance(identifier, Binarizer):
        return identifier
    if isinstance(identifier, dict):
        return keras.saving.deserialize_keras_object(identifier)
    if isinstance(identifier, str) and identifier in _BY_NAME:
        return _BY_NAME[identifier]()
    raise ValueError(
        f"`binarizer` should be one of {sorted(_BY_NAME)}, a Binarizer, or None for a float "
        f"layer. Received: {identifier!r}"
    )


def serialize(binarizer):
    """Configuration of a binarizer from which `get` restores it."""
    return None if binarizer is None else keras.saving.serialize_keras_object(binarizer)


_keras_registration.register(__name__)
