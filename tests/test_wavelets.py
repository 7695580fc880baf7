"""Wavelet split against PyWavelets itself and closed forms."""

import numpy as np
import pytest
import pywt
import tensorflow as tf

from bifsmn_tf import wavelets


def image(rows, columns, batch=3):
    rng = np.random.default_rng(rows * 100 + columns)
    return rng.normal(size=(batch, rows, columns)).astype(np.float32)


def low_by_pywavelets(x, wavelet, level):
    """Analysis over `level` steps, details dropped, synthesis; one image at a time."""
    results = []
    for one in x.astype(np.float64):
        shapes, approximation = [], one
        for _ in range(level):
            shapes.append(approximation.shape)
            approximation, _ = pywt.dwt2(approximation, wavelet, mode="zero")
        for rows, columns in reversed(shapes):
            approximation = pywt.idwt2((approximation, (None,) * 3), wavelet, mode="zero")
            approximation = approximation[:rows, :columns]
        results.append(approximation)
    return np.stack(results)


@pytest.mark.parametrize("wavelet", ["haar", "db2", "sym4", "coif1"])
@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize("size", [(8, 32), (8, 8), (7, 12), (8, 9), (5, 3), (1, 4)])
def test_equals_pywavelets(wavelet, level, size):
    x = image(*size)
    low, high = wavelets.split(tf.constant(x), wavelet, level)
    expected = low_by_pywavelets(x, wavelet, level)
    assert low.shape == x.shape and high.shape == x.shape
    np.testing.assert_allclose(low, expected, atol=2e-5)
    np.testing.assert_allclose(high, x - expected, atol=2e-5)
    np.testing.assert_allclose(low + high, x, atol=1e-6)


@pytest.mark.parametrize("level", [1, 2, 3])
def test_haar_low_part_is_the_block_mean(level):
    x, block = image(8, 32), 2**level
    means = x.reshape(3, 8 // block, block, 32 // block, block).mean(axis=(2, 4))
    expected = np.repeat(np.repeat(means, block, axis=1), block, axis=2)
    low, high = wavelets.split(tf.constant(x), "haar", level)
    np.testing.assert_allclose(low, expected, atol=1e-5)
    np.testing.assert_allclose(high, x - expected, atol=1e-5)


def test_default_is_one_haar_step():
    x = tf.constant(image(4, 6))
    for ours, theirs in zip(wavelets.split(x), wavelets.split(x, "haar", 1)):
        np.testing.assert_array_equal(ours, theirs)


def test_parts_of_even_haar_maps_are_orthogonal_and_keep_the_energy():
    x = image(8, 32)
    low, high = (np.asarray(part, np.float64) for part in wavelets.split(tf.constant(x)))
    assert abs((low * high).sum()) < 1e-3
    np.testing.assert_allclose((low**2).sum() + (high**2).sum(), (x**2).sum(), rtol=1e-5)


def test_splitting_twice_changes_nothing():
    low, high = wavelets.split(tf.constant(image(8, 16)))
    np.testing.assert_allclose(wavelets.split(low)[0], low, atol=1e-5)
    np.testing.assert_allclose(wavelets.split(high)[0], np.zeros_like(high), atol=1e-5)


def test_gradient_of_the_low_part():
    x = tf.constant(image(4, 4, batch=1))
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_sum(wavelets.split(x)[0][0, 0, :2])
    expected = np.zeros((1, 4, 4))
    expected[0, :2, :2] = 0.5
    np.testing.assert_allclose(tape.gradient(loss, x), expected, atol=1e-6)


def test_unknown_batch_size():
    run = tf.function(
        lambda x: wavelets.split(x)[1], input_signature=[tf.TensorSpec((None, 8, 32))]
    )
    for batch in (1, 4):
        assert run(tf.zeros((batch, 8, 32))).shape == (batch, 8, 32)


@pytest.mark.parametrize("wavelet", ["bior2.2", "rbio1.3"])
def test_non_orthogonal_wavelets_are_refused(wavelet):
    with pytest.raises(ValueError, match=f"orthogonal.*Received: wavelet='{wavelet}'"):
        wavelets.split(tf.zeros((1, 4, 4)), wavelet)


@pytest.mark.parametrize("wavelet", ["haarr", "mexh"])
def test_unknown_wavelets_are_refused(wavelet):
    with pytest.raises(ValueError, match="wavelet"):
        wavelets.split(tf.zeros((1, 4, 4)), wavelet)


@pytest.mark.parametrize("level", [0, -1, 1.0, "1", None])
def test_wrong_level(level):
    with pytest.raises(ValueError, match="`level` should be a positive integer.*Received"):
        wavelets.split(tf.zeros((1, 4, 4)), "haar", level)


@pytest.mark.parametrize("shape", [(4, 4), (1, 4, 4, 1)])
def test_wrong_rank(shape):
    with pytest.raises(ValueError, match="`x` should have shape.*Received: shape"):
        wavelets.split(tf.zeros(shape))


def test_unknown_size():
    with pytest.raises(ValueError, match="known rows and columns.*Received"):
        tf.function(wavelets.split, input_signature=[tf.TensorSpec((1, None, 4))])(
            tf.zeros((1, 4, 4))
        )
