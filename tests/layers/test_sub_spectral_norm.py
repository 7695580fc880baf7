"""Batch normalization per channel and sub-band."""

import numpy as np
import pytest
from layer_contract import check_gradients, check_layer, randomize

from bifsmn_tf.layers import SubSpectralNorm


def test_contract(tmp_path):
    check_layer(lambda: SubSpectralNorm(2), (3, 6, 4, 5), (3, 6, 4, 5), 4 * 2 * 5, tmp_path)


def test_gradients():
    layer = SubSpectralNorm(2)
    x = np.random.default_rng(0).normal(size=(2, 4, 3, 3)).astype(np.float32)
    layer(x)
    check_gradients(layer, x)


def test_equals_a_normalization_per_channel_and_sub_band():
    layer = SubSpectralNorm(3)
    x = np.random.default_rng(0).normal(size=(4, 6, 5, 2)).astype(np.float32) * 3 + 1
    layer(x)
    randomize(layer)
    norm = layer.norm
    gamma, beta, mean, variance = (
        np.asarray(v).reshape(3, 1, 2)
        for v in (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)
    )
    outputs, trained = np.asarray(layer(x)), np.asarray(layer(x, training=True))
    for band in range(3):
        rows = slice(2 * band, 2 * band + 2)
        expected = (x[:, rows] - mean[band]) / np.sqrt(variance[band] + 1e-5)
        expected = expected * gamma[band] + beta[band]
        np.testing.assert_allclose(outputs[:, rows], expected, rtol=1e-4, atol=1e-4)
        part = x[:, rows].astype(np.float64)
        batch = (part - part.mean((0, 1, 2))) / np.sqrt(part.var((0, 1, 2)) + 1e-5)
        np.testing.assert_allclose(
            trained[:, rows], batch * gamma[band] + beta[band],
            rtol=1e-3, atol=1e-3,
        )  # fmt: skip


def test_statistics_move_per_feature():
    layer = SubSpectralNorm(2)
    x = np.zeros((2, 4, 3, 2), np.float32)
    x[:, 2:, :, 0] = 7.0
    layer(x, training=True)
    # Feature s * channels + c: sub-band 1, channel 0 is number 2.
    np.testing.assert_allclose(layer.norm.moving_mean, [0, 0, 0.7, 0], atol=1e-6)


@pytest.mark.parametrize("shape", [(2, 5, 4, 3), (2, 6, 4), (2, None, 4, 3)])
def test_wrong_shape(shape):
    with pytest.raises(ValueError, match="a multiple of 2 rows. Received: input_shape="):
        SubSpectralNorm(2).build(shape)


def test_wrong_number_of_bands():
    with pytest.raises(ValueError, match="`sub_bands` should be a positive integer.*Received"):
        SubSpectralNorm(0)
