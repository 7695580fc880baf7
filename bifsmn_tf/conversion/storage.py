"""Real constants in fewer bits: what `storage="compact"` stores.

Weights of real-valued layers become int8 with one factor per output, folded parameters of binary
layers float16. Both are rounded here, before anything is traced, to numbers that the small type
holds exactly.
"""

import numpy as np

STORAGES = ("float32", "compact")
_LEVELS = 127
# A factor of 11 significant bits times an integer of 7 fits the 24 of a float32: no rounding.
_FACTOR_BITS = 11
_HALF_ERROR = 2.0**-11


def int8_factors(weights, axis=-1):
    """Factors of a symmetric int8 quantization, one per entry of `axis`.

    Args:
        weights: Array of weights.
        axis: The axis of the outputs.

    Returns:
        float32 vector. `factor * integer` is exact in float32 for integers from -127 to 127.
    """
    weights = np.abs(np.moveaxis(np.asarray(weights, np.float64), axis, -1))
    largest = weights.reshape(-1, weights.shape[-1]).max(axis=0)
    mantissa, exponent = np.frexp(largest / _LEVELS)
    # Upwards: the largest weight then is 127 factors, and factors are found again from weights
    # that are rounded already.
    mantissa = np.ceil(np.ldexp(mantissa, _FACTOR_BITS))
    factors = np.ldexp(mantissa, exponent - _FACTOR_BITS).astype(np.float32)
    # An output without weights, or with weights of next to nothing.
    return np.where(factors < np.finfo(np.float32).tiny, np.float32(1), factors)


def to_int8(weights, axis=-1):
    """Integers from -127 to 127 next to `weights / int8_factors(weights)`.

    Returns:
        `(int8 array of the weights' shape, float32 factors)`.
    """
    factors = int8_factors(weights, axis)
    weights = np.asarray(weights, np.float64)
    shape = [1] * weights.ndim
    shape[axis] = -1
    return np.rint(weights / factors.reshape(shape).astype(np.float64)).astype(np.int8), factors


def from_int8(integers, factors, axis=-1):
    """float32 weights, the inverse of `to_int8`."""
    shape = [1] * np.ndim(integers)
    shape[axis] = -1
    return np.float32(integers) * np.reshape(factors, shape)


def round_to_int8(weights, axis=-1):
    """float32 weights that int8 with one factor per entry of `axis` holds exactly."""
    return from_int8(*to_int8(weights, axis), axis)


def to_float16(vector):
    """A vector as float16, or as float32 if float16 is too narrow for it.

    It is too narrow where a number overflows, or where rounding errs by more than 2^-11 of the
    largest number of the vector (all of them are then next to nothing).
    """
    vector = np.asarray(vector, np.float32)
    with np.errstate(over="ignore"):
        half = vector.astype(np.float16)
    error = np.abs(half.astype(np.float64) - vector)
    fits = (error <= _HALF_ERROR * np.abs(vector).max(initial=0)).all()
    return half if fits else vector
