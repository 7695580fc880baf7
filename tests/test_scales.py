"""Weight scales: the arithmetic of the released code, and the checks of the option."""

import numpy as np
import pytest
import tensorflow as tf

from bifsmn_tf import scales


def kernel_of(shape, seed=0):
    return np.random.default_rng(seed).normal(0.1, 0.6, size=shape).astype(np.float32)


def test_known_scales():
    assert set(scales.WEIGHT_SCALES) == {"channel", "official"}
    for name in scales.WEIGHT_SCALES:
        assert scales.check_weight_scale(name) == name


@pytest.mark.parametrize("name", ["Channel", "", None, 1, "xnor"])
def test_unknown_scale(name):
    with pytest.raises(ValueError, match="`weight_scale` should be one of.*channel.*Received"):
        scales.check_weight_scale(name)


def test_empty_axis_restores_the_centred_real_weights():
    kernel = kernel_of((8, 6))
    result = scales.official_weight(tf.constant(kernel), axis=(), centre=True).numpy()
    np.testing.assert_allclose(result, kernel - kernel.mean(), atol=1e-6)
    assert len(np.unique(np.abs(result))) > 40
    result = scales.official_weight(tf.constant(kernel), axis=(), centre=False)
    np.testing.assert_allclose(result, kernel, atol=1e-6)


@pytest.mark.parametrize("shape, axis", [((5, 7), (0,)), ((3, 3, 2, 4), (0, 1))])
@pytest.mark.parametrize("centre", [True, False])
def test_magnitude_is_averaged_over_the_axis(shape, axis, centre):
    kernel = kernel_of(shape)
    expected = kernel - kernel.mean() if centre else kernel
    expected = np.abs(expected).mean(axis=axis, keepdims=True) * np.sign(expected)
    result = scales.official_weight(tf.constant(kernel), axis=axis, centre=centre)
    assert result.shape == shape
    np.testing.assert_allclose(result, expected, atol=1e-6)


def test_exact_zero_stays_zero():
    kernel = np.array([[0.0, -0.5], [1.0, -0.0]], np.float32)
    result = scales.official_weight(tf.constant(kernel), axis=(0,), centre=False)
    np.testing.assert_array_equal(result, [[0.0, -0.25], [0.5, 0.0]])


def test_gradient_without_centring():
    kernel = tf.constant([[0.5, -1.5], [1.0, -1.0]])
    upstream = tf.constant([[1.0, 2.0], [3.0, 4.0]])
    with tf.GradientTape() as tape:
        tape.watch(kernel)
        weights = scales.official_weight(kernel, axis=(0,), centre=False)
        loss = tf.reduce_sum(weights * upstream)
    np.testing.assert_array_equal(tape.gradient(loss, kernel), [[1.0, 0.0], [3.0, 4.0]])


def test_gradient_with_centring_goes_through_the_mean():
    kernel = kernel_of((9, 4))
    upstream = kernel_of((9, 4), seed=1)
    variable = tf.Variable(kernel)
    with tf.GradientTape() as tape:
        weights = scales.official_weight(variable, axis=(), centre=True)
        loss = tf.reduce_sum(weights * upstream)
    passed = upstream * (np.abs(kernel - kernel.mean()) <= 1)
    np.testing.assert_allclose(
        tape.gradient(loss, variable), passed - passed.mean(), rtol=1e-4, atol=1e-5
    )
