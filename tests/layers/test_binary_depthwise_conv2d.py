"""Depthwise convolution, float and binarized, against sums written out."""

import numpy as np
import pytest
from layer_contract import check_gradients, check_layer, randomize, signs

from bifsmn_tf.layers import BinaryDepthwiseConv2D


def data(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def reference(x, kernel, strides, padding, dilation):
    (above, left), (down, right) = padding, dilation
    x = np.pad(x, ((0, 0), (above, above), (left, left), (0, 0)))
    rows, columns, _ = kernel.shape
    height = (x.shape[1] - down * (rows - 1) - 1) // strides[0] + 1
    width = (x.shape[2] - right * (columns - 1) - 1) // strides[1] + 1
    y = np.zeros((x.shape[0], height, width, x.shape[3]))
    for i in range(height):
        for j in range(width):
            for a in range(rows):
                for b in range(columns):
                    row, column = i * strides[0] + a * down, j * strides[1] + b * right
                    y[:, i, j] += x[:, row, column] * kernel[a, b]
    return y


CASES = [
    {"kernel_size": (3, 1), "strides": (2, 1), "padding": (1, 0)},
    {"kernel_size": (3, 1), "strides": (2, 1), "padding": (1, 0), "use_bias": False},
    {"kernel_size": (1, 3), "padding": (0, 4), "dilation": (1, 4)},
    {"kernel_size": (5, 1), "strides": (4, 1), "padding": (1, 0)},
    {"kernel_size": (2, 3), "strides": (2, 3), "padding": 2, "dilation": (3, 2)},
    {"kernel_size": 1},
]


def pair(value):
    return (value, value) if isinstance(value, int) else value


@pytest.mark.parametrize("binarizer", [None, "vanilla"])
@pytest.mark.parametrize("case", CASES)
def test_values(case, binarizer):
    layer = BinaryDepthwiseConv2D(binarizer=binarizer, **case)
    x = data((2, 9, 8, 4))
    layer(x)
    randomize(layer)
    kernel = np.asarray(layer.kernel)
    bias = np.asarray(layer.bias) if case.get("use_bias", True) else 0.0
    scale = 1.0
    inputs = x
    if binarizer:
        scale = np.abs(kernel).mean((0, 1))
        inputs, kernel = signs(x), signs(kernel)
    geometry = [pair(case.get(k, d)) for k, d in (("strides", 1), ("padding", 0), ("dilation", 1))]
    expected = reference(inputs, kernel, *geometry) * scale + bias
    np.testing.assert_allclose(layer(x), expected, rtol=1e-5, atol=1e-5)
    assert layer.compute_output_shape(x.shape) == expected.shape


def test_in_double_precision():
    layer = BinaryDepthwiseConv2D((3, 1), (2, 1), (1, 0), binarizer=None, dtype="float64")
    x = data((1, 6, 5, 3)).astype(np.float64)
    expected = reference(x, np.asarray((layer(x), layer.kernel)[1]), (2, 1), (1, 0), (1, 1))
    np.testing.assert_allclose(layer(x) - np.asarray(layer.bias), expected, rtol=1e-12)


def test_contract(tmp_path):
    check_layer(
        lambda: BinaryDepthwiseConv2D((3, 1), (2, 1), (1, 0), name="depthwise"),
        (2, 6, 5, 4), (2, 3, 5, 4), 3 * 4 + 4, tmp_path,
    )  # fmt: skip


@pytest.mark.parametrize("binarizer", [None, "vanilla", "lpb"])
def test_gradients(binarizer):
    layer = BinaryDepthwiseConv2D((1, 3), padding=(0, 2), dilation=(1, 2), binarizer=binarizer)
    x = data((2, 4, 6, 3))
    layer(x)
    check_gradients(layer, x)


def test_dual_scale_activation():
    layer = BinaryDepthwiseConv2D((3, 1), padding=(1, 0), binarizer="lpb")
    x = data((2, 5, 4, 3))
    layer(x)
    randomize(layer)
    variables = {name: np.asarray(v) for name, v in layer.binarizer_variables.items()}
    first = signs(x - variables["threshold0"])
    rest = x - first - variables["threshold1"]
    second = np.abs(rest).mean((1, 2), keepdims=True) * signs(rest)
    # The shift applies to the padding, too.
    padded = np.pad(first + second, ((0, 0), (1, 1), (0, 0), (0, 0))) - variables["threshold2"]
    kernel = np.asarray(layer.kernel)
    expected = reference(padded, signs(kernel), (1, 1), (0, 0), (1, 1))
    expected = expected * np.abs(kernel).mean((0, 1)) + np.asarray(layer.bias)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-4, atol=1e-4)


def test_errors():
    with pytest.raises(ValueError, match="`dilation` should be an integer of at least 1"):
        BinaryDepthwiseConv2D(3, dilation=0)
    with pytest.raises(ValueError, match="shape .batch, height, width, channels.*Received"):
        BinaryDepthwiseConv2D(3).build((1, 2, 3))
