"""`MemoryFilter` against a plain loop over frames and taps."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from layer_contract import check_gradients, check_layer, signs

from bifsmn_tf.layers import MemoryFilter

MODES = (
    {"binarizer": "vanilla"},
    {"binarizer": "vanilla", "weight_scale": "official"},
    {"binarizer": None},
)
# look_back, look_ahead, stride_back, stride_ahead, depth_multiplier
ORDERS = (
    (2, 2, 1, 1, 1),
    (0, 0, 1, 1, 1),
    (3, 0, 1, 1, 1),
    (0, 2, 1, 3, 1),
    (2, 1, 2, 1, 1),
    (1, 2, 3, 2, 2),
    (2, 2, 1, 1, 3),
    (4, 5, 3, 2, 1),
)


def loop_filter(x, kernel, look_back, look_ahead, stride_back, stride_ahead, multiplier):
    """sum_i a_i x[t - s1 i] + sum_j c_j x[t + s2 j], nothing outside the clip.

    Row r of the kernel belongs to the tap look_back - r steps back, then ahead.
    """
    batch, frames, channels = x.shape
    y = np.zeros((batch, frames, channels * multiplier))
    for t in range(frames):
        for row in range(look_back + 1 + look_ahead):
            back = look_back - row
            source = t - stride_back * back if back >= 0 else t + stride_ahead * -back
            if not 0 <= source < frames:
                continue
            for c in range(channels):
                for j in range(multiplier):
                    out = c * multiplier + j
                    y[:, t, out] += kernel[row, out] * x[:, source, c]
    return y


def make(order, **mode):
    return MemoryFilter(*order, **mode)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("order", [ORDERS[0], ORDERS[5]])
def test_contract(order, mode, tmp_path):
    taps, multiplier = order[0] + order[1] + 1, order[4]
    check_layer(
        lambda: make(order, **mode),
        (3, 8, 4),
        (3, 8, 4 * multiplier),
        (taps + 1) * 4 * multiplier,
        tmp_path,
    )


@pytest.mark.parametrize("mode", MODES)
def test_gradients_reach_everything(mode):
    x = np.random.default_rng(0).uniform(-1, 1, (4, 6, 3)).astype(np.float32)
    check_gradients(MemoryFilter(**mode), x)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("binarizer", ["vanilla", None])
@pytest.mark.parametrize("frames", [8, 1, 3])
def test_equals_the_loop(order, binarizer, frames):
    rng = np.random.default_rng(sum(order) + frames)
    layer = make(order, binarizer=binarizer)
    x = rng.normal(size=(2, frames, 3)).astype(np.float32)
    x[0, 0] = (0.0, -0.0, -1e-30)
    y = np.asarray(layer(x))
    kernel, bias = np.asarray(layer.kernel), np.asarray(layer.bias)
    if binarizer is None:
        expected = loop_filter(x, kernel, *order)
    else:
        dot = loop_filter(signs(x), signs(kernel), *order)
        np.testing.assert_array_equal(dot, np.round(dot))
        expected = dot * np.abs(kernel).mean(axis=0)
    np.testing.assert_allclose(y, expected + bias, rtol=1e-5, atol=1e-5)


def test_official_weights_are_centred_and_scaled_per_channel():
    layer = MemoryFilter(weight_scale="official")
    x = np.random.default_rng(3).normal(size=(2, 8, 4)).astype(np.float32)
    layer(x)
    layer.kernel.assign(layer.kernel + 0.2)
    kernel = np.asarray(layer.kernel)
    kernel = kernel - kernel.mean()
    kernel = np.abs(kernel).mean(axis=0) * np.sign(kernel)
    expected = loop_filter(signs(x), kernel, 2, 2, 1, 1, 1) + np.asarray(layer.bias)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-4, atol=1e-5)


def test_frames_outside_the_clip_contribute_nothing():
    layer = MemoryFilter()
    layer.build((None, 8, 1))
    layer.kernel.assign(tf.ones((5, 1)))
    layer.bias.assign(tf.zeros(1))
    for value, sign in ((0.0, 1), (-0.0, 1), (-1.0, -1)):
        y = layer(np.full((1, 8, 1), value, np.float32))[0, :, 0]
        np.testing.assert_array_equal(y, sign * np.array([3, 4, 5, 5, 5, 5, 4, 3]))


def test_offsets():
    assert MemoryFilter().offsets == [-2, -1, 0, 1, 2]
    assert MemoryFilter(2, 1, 3, 4).offsets == [-6, -3, 0, 4]
    assert MemoryFilter(0, 0).offsets == [0]


def test_float_filter_agrees_with_depthwise_convolution_of_keras():
    layer = MemoryFilter(binarizer=None, depth_multiplier=2)
    x = np.random.default_rng(4).normal(size=(2, 9, 3)).astype(np.float32)
    layer(x)
    conv = keras.layers.DepthwiseConv1D(5, padding="same", depth_multiplier=2)
    conv(x)
    conv.set_weights([np.asarray(layer.kernel).reshape(5, 3, 2), np.asarray(layer.bias)])
    np.testing.assert_allclose(layer(x), conv(x), rtol=1e-4, atol=1e-5)


def test_unknown_number_of_frames():
    layer = MemoryFilter()
    run = tf.function(lambda x: layer(x), input_signature=[tf.TensorSpec((None, None, 3))])
    x = np.random.default_rng(5).normal(size=(2, 11, 3)).astype(np.float32)
    np.testing.assert_allclose(run(x), layer(x), rtol=1e-6)
    assert tuple(layer(keras.Input((None, 3))).shape) == (None, None, 3)


def test_weight_gradient_is_not_multiplied_by_the_scaling_factor():
    layer = MemoryFilter(1, 0)
    x = signs(np.random.default_rng(6).normal(size=(3, 4, 2)))
    layer.build(x.shape)
    layer.kernel.assign([[0.5, -1.2], [1.0, -0.1]])
    upstream = np.random.default_rng(7).normal(size=(3, 4, 2)).astype(np.float32)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(x) * upstream)
    previous = (upstream[:, 1:] * x[:, :-1]).sum(axis=(0, 1))
    current = (upstream * x).sum(axis=(0, 1))
    expected = np.stack([previous, current]) * np.array([[1, 0], [1, 1]])
    np.testing.assert_allclose(tape.gradient(loss, layer.kernel), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "name, values",
    [
        ("look_back", (-1, 1.0, "2")),
        ("look_ahead", (-1, None)),
        ("stride_back", (0, -3)),
        ("stride_ahead", (0, 0.5)),
        ("depth_multiplier", (0, "1")),
    ],
)
def test_wrong_order(name, values):
    for value in values:
        with pytest.raises(ValueError, match=f"`{name}` should be an integer.*Received: {name}="):
            MemoryFilter(**{name: value})


def test_wrong_binarizer_weight_scale_and_input_shape():
    with pytest.raises(ValueError, match="`binarizer` should be one of.*Received"):
        MemoryFilter(binarizer="x")
    with pytest.raises(ValueError, match="`weight_scale` should be one of.*Received"):
        MemoryFilter(weight_scale="x")
    for shape in ((None, 4), (None, 8, None), (None, 8, 4, 1)):
        with pytest.raises(ValueError, match="`MemoryFilter` expects.*Received: input_shape"):
            MemoryFilter().build(shape)
