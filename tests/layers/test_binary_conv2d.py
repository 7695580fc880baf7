"""`BinaryConv2D`."""

import numpy as np
import pytest
import tensorflow as tf
from layer_contract import check_gradients, check_layer, signs

from bifsmn_tf.layers import BinaryConv2D


def convolve(x, kernel, strides, padding):
    """Direct convolution in float64 with zero padding, NHWC."""
    rows, columns = padding
    x = np.pad(x.astype(np.float64), ((0, 0), (rows, rows), (columns, columns), (0, 0)))
    height, width = kernel.shape[:2]
    out_height = (x.shape[1] - height) // strides[0] + 1
    out_width = (x.shape[2] - width) // strides[1] + 1
    result = np.zeros((len(x), out_height, out_width, kernel.shape[3]))
    for i in range(out_height):
        for j in range(out_width):
            top, left = i * strides[0], j * strides[1]
            patch = x[:, top : top + height, left : left + width]
            result[:, i, j] = np.tensordot(patch, kernel, axes=3)
    return result


MODES = (
    {"binarizer": "vanilla"},
    {"binarizer": "vanilla", "weight_scale": "official"},
    {"binarizer": None},
)
GEOMETRIES = (
    # kernel, strides, padding, input, output
    (5, 2, 2, (16, 16), (8, 8)),
    (3, 2, 1, (8, 8), (4, 4)),
    (3, 1, 0, (5, 7), (3, 5)),
    ((1, 3), (2, 1), (0, 1), (7, 6), (4, 6)),
    ((3, 5), (1, 3), (2, 0), (4, 11), (6, 3)),
    (1, 1, 0, (3, 3), (3, 3)),
)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kernel, strides, padding, size, out", GEOMETRIES[:4:3])
def test_contract(mode, kernel, strides, padding, size, out, tmp_path):
    taps = kernel**2 if isinstance(kernel, int) else np.prod(kernel)
    check_layer(
        lambda: BinaryConv2D(6, kernel, strides, padding, **mode),
        (3, *size, 2),
        (3, *out, 6),
        taps * 2 * 6 + 6,
        tmp_path,
    )


@pytest.mark.parametrize("mode", MODES)
def test_gradients_reach_everything(mode):
    x = np.random.default_rng(0).uniform(-1, 1, (2, 6, 6, 2)).astype(np.float32)
    check_gradients(BinaryConv2D(3, 3, 2, 1, **mode), x)


@pytest.mark.parametrize("kernel, strides, padding, size, out", GEOMETRIES)
@pytest.mark.parametrize("binarizer", ["vanilla", None])
def test_equals_a_direct_convolution_padded_after_binarization(
    kernel, strides, padding, size, out, binarizer
):
    rng = np.random.default_rng(1)
    layer = BinaryConv2D(4, kernel, strides, padding, binarizer=binarizer)
    x = rng.normal(size=(2, *size, 3)).astype(np.float32)
    x[0, 0, 0] = (0.0, -0.0, 1e-30)
    y = np.asarray(layer(x))
    assert y.shape == (2, *out, 4)
    weights = np.asarray(layer.kernel)
    if binarizer is None:
        expected = convolve(x, weights, layer.strides, layer.padding)
    else:
        dot = convolve(signs(x), signs(weights), layer.strides, layer.padding)
        np.testing.assert_array_equal(dot, np.round(dot))
        expected = dot * np.abs(weights).mean(axis=(0, 1, 2))
    np.testing.assert_allclose(y, expected + np.asarray(layer.bias), rtol=1e-5, atol=1e-5)


def test_padded_taps_contribute_nothing():
    layer = BinaryConv2D(1, 3, padding=1, bias_initializer="zeros")
    layer.build((None, 4, 4, 1))
    layer.kernel.assign(tf.ones((3, 3, 1, 1)))
    expected = [[4, 6, 6, 4], [6, 9, 9, 6], [6, 9, 9, 6], [4, 6, 6, 4]]
    for value in (0.0, -0.0, 3.0):
        y = layer(np.full((1, 4, 4, 1), value, np.float32))[0, :, :, 0]
        np.testing.assert_array_equal(y, expected)
    y = layer(np.full((1, 4, 4, 1), -2.0, np.float32))[0, :, :, 0]
    np.testing.assert_array_equal(y, -np.array(expected))


def test_official_scale_is_per_input_and_output_of_centred_weights():
    layer = BinaryConv2D(4, 3, 2, 1, weight_scale="official")
    x = np.random.default_rng(2).normal(size=(2, 8, 8, 3)).astype(np.float32)
    layer(x)
    layer.kernel.assign(layer.kernel + 0.03)
    kernel = np.asarray(layer.kernel)
    kernel = kernel - kernel.mean()
    kernel = np.abs(kernel).mean(axis=(0, 1), keepdims=True) * np.sign(kernel)
    expected = convolve(signs(x), kernel, (2, 2), (1, 1)) + np.asarray(layer.bias)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-4, atol=1e-5)


def test_weight_gradient_is_not_multiplied_by_the_scaling_factor():
    layer = BinaryConv2D(2, 3)
    x = signs(np.random.default_rng(3).normal(size=(4, 3, 3, 2)))
    layer.build(x.shape)
    layer.kernel.assign(np.random.default_rng(4).normal(size=(3, 3, 2, 2)))
    upstream = np.random.default_rng(5).normal(size=(4, 1, 1, 2)).astype(np.float32)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(x) * upstream)
    expected = np.einsum("bhwi,bo->hwio", x, upstream[:, 0, 0])
    expected = expected * (np.abs(np.asarray(layer.kernel)) <= 1)
    np.testing.assert_allclose(tape.gradient(loss, layer.kernel), expected, rtol=1e-4, atol=1e-5)


def test_unknown_height_and_width():
    layer = BinaryConv2D(3, 3, 2, 1)
    run = tf.function(lambda x: layer(x), input_signature=[tf.TensorSpec((None, None, None, 2))])
    assert run(np.ones((1, 6, 10, 2), np.float32)).shape == (1, 3, 5, 3)
    assert layer.compute_output_shape((None, None, 10, 2)) == (None, None, 5, 3)


@pytest.mark.parametrize("filters", [0, -2, 1.5, "4"])
def test_wrong_filters(filters):
    with pytest.raises(ValueError, match="`filters` should be a positive integer.*Received"):
        BinaryConv2D(filters, 3)


@pytest.mark.parametrize(
    "name, value",
    [
        ("kernel_size", 0),
        ("kernel_size", (3, 3, 3)),
        ("kernel_size", (3, 0)),
        ("kernel_size", 2.5),
        ("kernel_size", None),
        ("strides", 0),
        ("strides", (1, -1)),
        ("padding", -1),
        ("padding", "same"),
        ("padding", (1, 0.5)),
    ],
)
def test_wrong_geometry(name, value):
    arguments = {"filters": 2, "kernel_size": 3, name: value}
    with pytest.raises(ValueError, match=f"`{name}` should be an integer.*Received: {name}="):
        BinaryConv2D(**arguments)


def test_wrong_binarizer_weight_scale_and_input_shape():
    with pytest.raises(ValueError, match="`binarizer` should be one of.*Received: 7"):
        BinaryConv2D(2, 3, binarizer=7)
    with pytest.raises(ValueError, match="`weight_scale` should be one of.*Received: None"):
        BinaryConv2D(2, 3, weight_scale=None)
    for shape in ((None, 8, 8), (None, 8, 8, None)):
        with pytest.raises(ValueError, match="`BinaryConv2D` expects.*Received: input_shape"):
            BinaryConv2D(2, 3).build(shape)
