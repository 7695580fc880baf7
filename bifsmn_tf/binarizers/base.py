"""What all binarizers are built from: the sign, surrogates of its gradient, and the interface."""

from typing import NamedTuple

import keras
from keras import ops

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


def at_least_min_scale(scale):
    """A scale by which can be divided."""
    return ops.maximum(scale, _MIN_SCALE)


def scaling_factor(kernel, axis):
    r"""Scaling factor of Eq. (2): $\alpha_w = \lVert w \rVert_1 / n$ over the fan-in `axis`.

    Args:
        kernel: Real-valued weights, any shape.
        axis: Axes that one output sums over.

    Returns:
        Mean magnitude, with `axis` removed. No gradient flows through it.
    """
    return ops.stop_gradient(at_least_min_scale(ops.mean(ops.abs(kernel), axis=axis)))


class Activation(NamedTuple):
    """A binarized activation: the sum of scaled -1/+1 tensors, less a shift.

    Attributes:
        terms: Pairs `(binary, scale)`: -1/+1 values of the activation's shape, and None for 1 or
            factors, found at run time and without gradient, that have length 1 along the axes
            they were averaged over.
        shift: None, or one value per channel that is subtracted from the sum.
    """

    terms: tuple
    shift: object = None


class Deployed(NamedTuple):
    """A binarized activation as the custom operators make it (docs/ops.md).

    Attributes:
        shifts: None to two values per channel: nothing for sign(x), `(shift,)` for
            sign(x - shift), `(shift0, shift1)` for two signs of which the second has the scale of
            what the first is off by (the terms of `LPB`).
        offset: None, or one value per channel that is subtracted from the sum.
        scale: What the sum of the signs is multiplied by, before `offset` is subtracted.
        step: None, or, with one shift, the distance of the borders between four levels: two signs,
            sign(x - shift) and that of what x exceeds the next border by, of half the weight
            (`LSQ`).
    """

    shifts: tuple = ()
    offset: object = None
    scale: object = 1.0
    step: object = None


class Binarizer:
    """Base class: what a layer asks of a binarizer.

    A binarizer is an immutable description that any number of layers share; what it learns or
    schedules lives in variables of each layer.
    """

    name = None
    thresholds = ()  # Keys of the variables that are thresholds of activations.
    passes = 1  # Over the weights: terms of an activation.
    # Whether a padded tap is an activation of 0. Otherwise its terms alone are 0, not its shift.
    pads_zero = False

    def create_variables(self, add_weight, channels):
        """Creates the variables of one layer.

        Args:
            add_weight: The layer's `add_weight`.
            channels: Length of the last axis of the layer's input.

        Returns:
            Dictionary that the layer passes back to the other methods.
        """
        return {}

    def activation(self, x, variables=None, scale_axes=()):
        """Binarizes activations to -1/+1 with a surrogate gradient.

        Args:
            x: Real-valued activations `(batch, ..., channels)`.
            variables: The layer's, from `create_variables`.
            scale_axes: Axes of `x` over which a scale that is found at run time is averaged, so
                that it is constant over what one output sums.

        Returns:
            An `Activation`.
        """
        raise NotImplementedError

    def deployed(self, variables=None):
        """What `activation` is to the custom operators, for conversion.

        Args:
            variables: The layer's, from `create_variables`.

        Returns:
            A `Deployed`, or None if the operators do not compute it.
        """
        return None

    def weight(self, kernel, axis, variables=None):
        """Binarizes weights.

        Args:
            kernel: Real-valued weights.
            axis: Axes that one output sums over.
            variables: The layer's, from `create_variables`.

        Returns:
            `(binary, scale)`: -1/+1 values of the kernel's shape, and positive factors of the
            kernel's shape without `axis`.
        """
        raise NotImplementedError

    def weight_surrogate(self, kernel, variables=None):
        r"""Function of the weights whose gradient stands for that of the scaled sign."""
        return clipped_identity(kernel)

    def weight_window(self, variables=None):
        """Largest magnitude of a weight that gets a gradient.

        Args:
            variables: The layer's, from `create_variables`.

        Returns:
            A float; None if weights of all sizes get one.
        """
        return 1.0

    def centre(self, variables, middle, deviation):
        """Moves the thresholds of a layer's activations, if it learns any.

        Args:
            variables: The layer's, from `create_variables`.
            middle: What should become the border between the signs, one value per channel.
            deviation: Root mean square distance of the layer's inputs from it, one number.
        """

    def activation_loss(self, x):
        """Regularization term of a layer's activations before the sign, or None."""
        return None

    def schedule(self, variables, progress):
        """Assigns the variables of a layer that change with the training.

        Args:
            variables: The layer's, from `create_variables`.
            progress: Position in the training, from 0 to 1.
        """

    def get_config(self):
        return {}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


class ScaledSignWeights(Binarizer):
    r"""Binarizers whose weights are $\hat w = \alpha_w \operatorname{sign}(w)$.

    The gradient with respect to $\hat w$ reaches $w$ through `weight_surrogate`, not multiplied by
    $\alpha_w = \lVert w \rVert_1 / n$, and none flows through $\alpha_w$ itself.
    """

    def weight(self, kernel, axis, variables=None):
        scale = scaling_factor(kernel, axis)
        # The layer multiplies by `scale`, which would also scale the gradient: divide it out.
        surrogate = self.weight_surrogate(kernel, variables) / ops.expand_dims(scale, axis)
        return straight_through(sign(kernel), surrogate), scale


class AtLeast(keras.constraints.Constraint):
    """Keeps a variable at or above a bound."""

    def __init__(self, bound):
        self.bound = bound

    def __call__(self, value):
        return ops.maximum(value, self.bound)

    def get_config(self):
        return {"bound": self.bound}
