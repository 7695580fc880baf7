"""`BinaryDense` and `BinaryPointwise`."""

import numpy as np
import pytest
import tensorflow as tf
from layer_contract import check_gradients, check_layer, randomize, signs

from bifsmn_tf import binarizers
from bifsmn_tf.layers import BinaryDense, BinaryPointwise

LAYERS = (BinaryDense, BinaryPointwise)
MODES = (
    {"binarizer": "vanilla"},
    {"binarizer": "vanilla", "weight_scale": "official"},
    {"binarizer": None},
)


def effective_kernel(layer, inputs):
    """Recovers the weights from outside: flipping input k changes the output by 2 w_k."""
    ones = np.ones((1, inputs), np.float32)
    flipped = ones - 2 * np.eye(inputs, dtype=np.float32)
    return (np.asarray(layer(ones)) - np.asarray(layer(flipped))) / 2


@pytest.mark.parametrize("cls", LAYERS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", [(4, 6), (4, 5, 6), (2, 3, 5, 6)])
def test_contract(cls, mode, shape, tmp_path):
    check_layer(lambda: cls(7, **mode), shape, (*shape[:-1], 7), 6 * 7 + 7, tmp_path)


@pytest.mark.parametrize("cls", LAYERS)
@pytest.mark.parametrize("mode", MODES)
def test_gradients_reach_everything(cls, mode):
    check_gradients(cls(3, **mode), np.linspace(-0.9, 0.9, 40, dtype=np.float32).reshape(5, 8))


def test_dynamic_frames():
    layer = BinaryPointwise(3)
    run = tf.function(lambda x: layer(x), input_signature=[tf.TensorSpec((None, None, 4))])
    assert run(np.ones((2, 5, 4), np.float32)).shape == (2, 5, 3)
    assert run(np.ones((1, 9, 4), np.float32)).shape == (1, 9, 3)


@pytest.mark.parametrize("size", [5, 128, 256, 400])
def test_equals_an_integer_dot_product_exactly(size):
    rng = np.random.default_rng(size)
    layer = BinaryDense(9)
    x = rng.normal(size=(6, size)).astype(np.float32)
    x[0, :3] = (0.0, -0.0, 1e-30)
    layer.build(x.shape)
    # All magnitudes equal: the scaling factor is exactly one half.
    layer.kernel.assign(0.5 * signs(rng.normal(size=(size, 9))))
    bits_x = (signs(x) < 0).astype(np.int64)
    bits_w = (np.asarray(layer.kernel) < 0).astype(np.int64)
    popcount = (bits_x[:, :, None] ^ bits_w[None]).sum(axis=1)
    expected = (size - 2 * popcount).astype(np.float32) * np.float32(0.5)
    np.testing.assert_array_equal(np.asarray(layer(x)) - 0, expected + np.asarray(layer.bias))


@pytest.mark.parametrize("cls", LAYERS)
def test_scaling_factor_is_the_mean_magnitude_of_each_output(cls):
    rng = np.random.default_rng(1)
    layer = cls(5)
    x = rng.normal(size=(4, 11)).astype(np.float32)
    layer(x)
    kernel, bias = np.asarray(layer.kernel), np.asarray(layer.bias)
    expected = signs(x) @ signs(kernel) * np.abs(kernel).mean(axis=0) + bias
    np.testing.assert_allclose(layer(x), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("cls", LAYERS)
def test_effective_weights_have_two_values_per_output(cls):
    layer = cls(6)
    layer.build((None, 32))
    kernel = effective_kernel(layer, 32)
    alpha = np.abs(np.asarray(layer.kernel)).mean(axis=0)
    np.testing.assert_allclose(np.abs(kernel), np.broadcast_to(alpha, kernel.shape), atol=1e-5)
    np.testing.assert_array_equal(np.sign(kernel), signs(layer.kernel))
    for column in kernel.T:
        assert len(np.unique(np.round(column, 4))) == 2


def test_official_pointwise_weights_are_the_centred_real_weights():
    layer = BinaryPointwise(6, weight_scale="official")
    layer.build((None, 32))
    kernel = np.asarray(layer.kernel)
    effective = effective_kernel(layer, 32)
    np.testing.assert_allclose(effective, kernel - kernel.mean(), atol=1e-5)
    assert len(np.unique(np.round(np.abs(effective[:, 0]), 5))) > 16


def test_official_dense_weights_are_scaled_signs_without_centring():
    layer = BinaryDense(6, weight_scale="official")
    layer.build((None, 32))
    layer.kernel.assign(layer.kernel + 0.05)
    kernel = np.asarray(layer.kernel)
    expected = np.abs(kernel).mean(axis=0) * np.sign(kernel)
    np.testing.assert_allclose(effective_kernel(layer, 32), expected, atol=1e-5)


@pytest.mark.parametrize("cls", LAYERS)
def test_float_layer_is_an_affine_map(cls):
    layer = cls(5, binarizer=None)
    x = np.random.default_rng(2).normal(size=(4, 3, 7)).astype(np.float32)
    layer(x)
    randomize(layer)
    expected = x @ np.asarray(layer.kernel) + np.asarray(layer.bias)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("cls", LAYERS)
def test_weight_gradient_is_not_multiplied_by_the_scaling_factor(cls):
    layer = cls(2)
    x = signs(np.random.default_rng(3).normal(size=(5, 4)))
    layer.build(x.shape)
    layer.kernel.assign([[0.1, -1.0], [1.5, 0.3], [-0.2, 1.0], [-3.0, -0.01]])
    upstream = np.random.default_rng(4).normal(size=(5, 2)).astype(np.float32)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(x) * upstream)
    window = np.abs(np.asarray(layer.kernel)) <= 1
    gradient = tape.gradient(loss, layer.kernel)
    np.testing.assert_allclose(gradient, (x.T @ upstream) * window, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("cls", LAYERS)
def test_an_all_zero_kernel_is_harmless(cls):
    layer = cls(2, kernel_initializer="zeros", bias_initializer="ones")
    x = tf.ones((3, 4))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(x))
    np.testing.assert_allclose(layer(x), 1.0, atol=1e-6)
    assert np.isfinite(tape.gradient(loss, layer.kernel)).all()


def test_default_initializers_are_uniform_in_the_inverse_root_of_the_fan_in():
    layer = BinaryDense(400)
    layer.build((None, 100))
    for values in (np.asarray(layer.kernel), np.asarray(layer.bias)):
        assert np.abs(values).max() <= 0.1
        assert np.abs(values).max() > 0.09
        assert abs(values.std() - 0.1 / np.sqrt(3)) < 0.005


def test_initializers_are_configurable_and_survive_the_configuration():
    layer = BinaryDense(3, kernel_initializer="he_normal", bias_initializer="zeros")
    layer.build((None, 4))
    assert not np.asarray(layer.bias).any()
    twin = BinaryDense.from_config(layer.get_config())
    assert type(twin.kernel_initializer).__name__ == "HeNormal"
    assert type(twin.bias_initializer).__name__ == "Zeros"


def test_binarizer_instance_is_accepted():
    layer = BinaryDense(3, binarizer=binarizers.Vanilla())
    assert isinstance(BinaryDense.from_config(layer.get_config()).binarizer, binarizers.Vanilla)


@pytest.mark.parametrize("cls", LAYERS)
@pytest.mark.parametrize("units", [0, -1, 2.5, "3", None])
def test_wrong_units(cls, units):
    with pytest.raises(ValueError, match="`units` should be a positive integer.*Received"):
        cls(units)


@pytest.mark.parametrize("cls", LAYERS)
def test_wrong_binarizer_and_weight_scale(cls):
    with pytest.raises(ValueError, match="`binarizer` should be one of.*Received: 'bnn9'"):
        cls(3, binarizer="bnn9")
    with pytest.raises(ValueError, match="`weight_scale` should be one of.*Received: 'layer'"):
        cls(3, weight_scale="layer")


@pytest.mark.parametrize("cls", LAYERS)
@pytest.mark.parametrize("shape", [(4,), (4, None)])
def test_wrong_input_shape(cls, shape):
    with pytest.raises(ValueError, match=f"`{cls.__name__}` expects.*Received: input_shape"):
        cls(3).build(shape)
