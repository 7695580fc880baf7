"""Real constants in fewer bits."""

import numpy as np
import pytest

from bifsmn_tf.conversion import storage


def kernels():
    random = np.random.default_rng(0)
    yield random.standard_normal((40, 12)), -1
    yield random.standard_normal((12, 5, 5, 3)) * np.exp(5 * random.normal(size=(12, 1, 1, 1))), 0
    yield random.standard_normal((1, 9, 7, 1)), 2


@pytest.mark.parametrize("weights,axis", kernels(), ids=["dense", "convolution", "depthwise"])
def test_int8_rounds_to_the_nearest_of_255_levels(weights, axis):
    integers, factors = storage.to_int8(weights, axis)
    assert integers.dtype == np.int8 and factors.shape == (weights.shape[axis],)
    rows = np.moveaxis(integers, axis, 0).reshape(len(factors), -1).astype(int)
    real = np.moveaxis(weights, axis, 0).reshape(len(factors), -1)
    # The largest weight of every output has the largest integer.
    assert (np.abs(rows).max(axis=1) == 127).all()
    # 11 significant bits cost at most a 1024th of the finest factor.
    finest = np.abs(real).max(axis=1) / 127
    assert (factors >= finest).all() and (factors <= finest * (1 + 2.0**-10)).all()
    assert (np.abs(rows * factors[:, None].astype(float) - real) <= factors[:, None] / 2).all()


@pytest.mark.parametrize("weights,axis", kernels(), ids=["dense", "convolution", "depthwise"])
def test_rounded_weights_are_held_exactly(weights, axis):
    rounded = storage.round_to_int8(weights, axis)
    assert rounded.dtype == np.float32
    integers, factors = storage.to_int8(rounded, axis)
    again = storage.from_int8(integers, factors, axis)
    assert again.tobytes() == rounded.tobytes()
    # No product was rounded.
    shape = [1] * weights.ndim
    shape[axis] = -1
    exact = integers.astype(np.float64) * factors.astype(np.float64).reshape(shape)
    np.testing.assert_array_equal(rounded.astype(np.float64), exact)


def test_an_output_without_weights():
    weights = np.stack([np.zeros(3), [1, -2, 3], np.full(3, 1e-44)], axis=1)
    rounded = storage.round_to_int8(weights)
    np.testing.assert_array_equal(rounded[:, [0, 2]], 0)
    np.testing.assert_allclose(rounded[:, 1], [1, -2, 3], atol=0.02)


def test_float16_where_it_is_precise_enough():
    vector = np.random.default_rng(1).normal(0, 3, 1000)
    half = storage.to_float16(vector)
    assert half.dtype == np.float16
    np.testing.assert_allclose(half.astype(float), vector, rtol=2.0**-11, atol=2.0**-25)
    # A small number next to a large one may lose all its bits.
    assert storage.to_float16([1.0, 1e-9]).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("vector", [[1.0, 7e4], [1e-6, 2e-7]], ids=["overflow", "subnormal"])
def test_float32_where_float16_is_too_narrow(vector):
    kept = storage.to_float16(vector)
    assert kept.dtype == np.float32
    assert kept.tolist() == np.float32(vector).tolist()


def test_no_numbers():
    assert storage.to_float16([]).shape == (0,)
