"""What binarizers make of taps outside of the input."""

import numpy as np
import pytest
import tensorflow as tf

from bifsmn_tf import binarizers
from bifsmn_tf.layers import BinaryConv2D, MemoryFilter

THRESHOLD, STEP = np.linspace(-1.0, 2.0, 6, dtype=np.float32), 0.8


def built(layer, shape, **variables):
    layer.build((None, *shape))
    rng = np.random.default_rng(1)
    layer.kernel.assign(rng.normal(size=layer.kernel.shape))
    for key, value in variables.items():
        layer.binarizer_variables[key].assign(value)
    return layer


def four_levels(x):
    return THRESHOLD + STEP * (np.clip(np.floor((x - THRESHOLD) / STEP), -2, 1) + 0.5)


def weights(layer):
    binary, scale = layer.binary_weight()
    return np.asarray(binary) * np.asarray(scale)


@pytest.mark.parametrize("training", [False, True])
def test_four_levels_are_padded_with_zeros_in_a_memory(training):
    x = np.random.default_rng(0).normal(size=(2, 7, 6)).astype(np.float32)
    layer = built(
        MemoryFilter(2, 1, 1, 2, depth_multiplier=2, binarizer="lsq"), x.shape[1:],
        threshold=THRESHOLD, step=STEP,
    )  # fmt: skip
    padded = np.repeat(np.pad(four_levels(x), [(0, 0), (2, 2), (0, 0)]), 2, axis=-1)
    kernel = weights(layer)
    expected = sum(padded[:, at : at + 7] * kernel[i] for i, at in enumerate((0, 1, 2, 4)))
    expected = expected + np.asarray(layer.bias)
    np.testing.assert_allclose(layer(x, training=training), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("training", [False, True])
def test_four_levels_are_padded_with_zeros_in_a_convolution(training):
    x = np.random.default_rng(0).normal(size=(2, 5, 4, 6)).astype(np.float32)
    layer = built(
        BinaryConv2D(3, 3, strides=(2, 1), padding=1, binarizer="lsq"), x.shape[1:],
        threshold=THRESHOLD, step=STEP,
    )  # fmt: skip
    padded = np.pad(four_levels(x), [(0, 0), (1, 1), (1, 1), (0, 0)])
    expected = tf.nn.conv2d(padded.astype("f"), weights(layer), (1, 2, 1, 1), "VALID")
    expected = expected + np.asarray(layer.bias)
    np.testing.assert_allclose(layer(x, training=training), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name, pads_zero", [("lsq", True), ("lpb", False)])
def test_a_wrapped_binarizer_pads_as_it_does_alone(name, pads_zero):
    assert binarizers.ZeroPreserving(name).pads_zero is pads_zero


def test_terms_of_lpb_are_zero_in_the_padding_and_its_shift_is_not():
    """As in the released code."""
    shift = np.linspace(-0.5, 0.5, 6, dtype=np.float32)
    x = np.random.default_rng(0).normal(size=(1, 4, 6)).astype(np.float32)
    layer = built(
        MemoryFilter(2, 1, binarizer="lpb"), x.shape[1:], threshold2=np.zeros(6, "f")
    )
    difference = -np.asarray(layer(x))
    layer.binarizer_variables["threshold2"].assign(shift)
    difference += np.asarray(layer(x))
    expected = np.broadcast_to(-shift * weights(layer).sum(axis=0), (1, 4, 6))
    np.testing.assert_allclose(difference, expected, rtol=1e-4, atol=1e-5)
