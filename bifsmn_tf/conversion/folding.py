"""Folds what follows a linear layer into per-output constants.

A layer, its scaling factors, its bias and the batch normalization behind it are one affine map of
the integer (or real) sum of products. Folding is done in float64 and rounded once to float32.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from bifsmn_tf.conversion.errors import ConversionError


def value_of(variable):
    """Value of a Keras variable as float64, also while a function is being traced."""
    with tf.init_scope():
        return np.asarray(variable, np.float64)


def batch_norm_affine(norm):
    """Batch normalization in inference mode as `(factor, offset)`, float64 vectors."""
    gamma = 1.0 if norm.gamma is None else value_of(norm.gamma)
    offset = 0.0 if norm.beta is None else value_of(norm.beta)
    factor = gamma / np.sqrt(value_of(norm.moving_variance) + norm.epsilon)
    return factor, offset - value_of(norm.moving_mean) * factor


def fold(scale, bias, norm, outputs=None):
    """Folds scaling factors, bias and an optional batch normalization.

    Args:
        scale: Scaling factor per output, or 1.
        bias: Bias per output, variable or array, or None.
        norm: Keras batch normalization or None.
        outputs: Number of outputs, needed without a bias.

    Returns:
        `(multiplier, offset)`, float64 vectors.
    """
    scale = np.asarray(scale, np.float64)
    bias = np.zeros(outputs) if bias is None else value_of(bias)
    if norm is None:
        return np.broadcast_to(scale, bias.shape), bias
    factor, offset = batch_norm_affine(norm)
    return scale * factor, bias * factor + offset


def slope_of(activation):
    """Negative slope of a scalar PReLU (its slope), a ReLU (0) or no activation (1)."""
    if activation is None:
        return 1.0
    slope = getattr(activation, "slope", None)
    return 0.0 if slope is None or isinstance(slope, (int, float)) else float(value_of(slope))


@dataclasses.dataclass(frozen=True)
class Epilogue:
    """The float32 constants behind one binary layer, in the order in which they are applied."""

    multiplier: np.ndarray
    bias: np.ndarray
    slope: float

    def __call__(self, dot):
        """Float32 result for integer sums `(..., outputs)`, rounded as the operators round."""
        value = np.float32(dot) * self.multiplier
        value = value + self.bias
        return np.where(value >= 0, value, value * np.float32(self.slope))


def make_epilogue(scale, bias, norm, activation):
    """Epilogue of a binary layer followed by batch normalization and activation (both optional).

    Raises:
        ConversionError: If a folded constant is not finite.
    """
    multiplier, offset = fold(scale, bias, norm)
    epilogue = Epilogue(
        multiplier.astype(np.float32), offset.astype(np.float32), slope_of(activation)
    )
    for array in (epilogue.multiplier, epilogue.bias, np.float32(epilogue.slope)):
        if not np.isfinite(array).all():
            raise ConversionError(
                "The model's parameters should be finite; it may have diverged in training. "
                f"Received {np.count_nonzero(~np.isfinite(array))} folded constants that are not"
            )
    return epilogue


def integer_thresholds(epilogue, channels, shift=0.0):
    """Thresholds that replace an epilogue whose result is only binarized.

    The epilogue grows with the sum as long as neither its multiplier nor its slope is negative
    (with a negative slope it never is), so it passes the shift at one integer, found by
    evaluating the float32 epilogue itself: the bits are the same.

    Args:
        epilogue: `Epilogue` with no negative multiplier, and no negative slope but for shift 0.
        channels: Number of products summed; sums lie in [-channels, channels].
        shift: Float32 per output: what the result is compared with.

    Returns:
        int16 array: the smallest sum whose result is at least the shift, or `channels + 1` if
        there is none.
    """
    low = np.full(epilogue.multiplier.shape, -channels)
    high = np.full(epilogue.multiplier.shape, channels + 1)
    while (low < high).any():
        middle = (low + high) // 2
        reached = epilogue(middle) >= shift
        high = np.where(reached, middle, high)
        low = np.where(reached, low, np.minimum(middle + 1, high))
    return low.astype(np.int16)
