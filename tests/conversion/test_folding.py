"""Folded constants against the layers they replace."""

import keras
import numpy as np
import pytest

from bifsmn_tf.conversion.folding import (
    Epilogue,
    batch_norm_affine,
    integer_thresholds,
    make_epilogue,
)
from bifsmn_tf.layers import ScalarPReLU


def test_batch_norm_affine_is_keras_batch_norm():
    norm = keras.layers.BatchNormalization(epsilon=1e-5)
    norm.build((None, 7))
    random = np.random.default_rng(0)
    norm.set_weights([random.normal(size=7), random.normal(size=7), random.normal(size=7),
                      random.uniform(0.1, 3, 7)])
    x = random.normal(size=(20, 7))
    factor, offset = batch_norm_affine(norm)
    np.testing.assert_allclose(x * factor + offset, np.asarray(norm(x)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("slope", [0.25, 0.0, -0.5, 1.0])
def test_thresholds_give_the_epilogues_bits(slope):
    random = np.random.default_rng(1)
    channels = 100
    multiplier = np.abs(random.normal(size=400)).astype(np.float32) * 0.02
    multiplier[:20] = 0
    bias = random.normal(size=400).astype(np.float32)
    bias[20:40] = 0
    bias[40:50] = 1000
    bias[50:60] = -1000
    # Ties: the sum at which the result is exactly zero.
    bias[60:80] = -(multiplier[60:80] * np.float32(7))
    epilogue = Epilogue(multiplier, bias, slope)
    thresholds = integer_thresholds(epilogue, channels)
    assert thresholds.dtype == np.int16
    for dot in range(-channels, channels + 1):
        value = np.float32(dot) * multiplier + bias
        value = np.where(value >= 0, value, value * np.float32(slope))
        np.testing.assert_array_equal(dot >= thresholds, value >= 0)


def test_epilogue_needs_finite_constants():
    with pytest.raises(ValueError, match="finite"):
        make_epilogue(np.array([np.inf]), np.zeros(1), None, None)


def test_epilogue_of_prelu():
    activation = ScalarPReLU(0.5)
    activation.build((None, 2))
    epilogue = make_epilogue(np.array([2.0, -1.0]), np.array([1.0, 0.5]), None, activation)
    np.testing.assert_array_equal(epilogue(np.array([-3, 4])), np.float32([-2.5, -1.75]))
