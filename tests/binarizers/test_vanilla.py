"""Binarizers: forward values and closed-form gradients."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from bifsmn_tf import binarizers

EDGES = np.array(
    [-3.0, -1.0000001, -1.0, -0.5, -1e-30, -0.0, 0.0, 1e-30, 0.5, 1.0, 1.0000001, 3.0], np.float32
)
EDGE_SIGNS = np.array([-1, -1, -1, -1, -1, 1, 1, 1, 1, 1, 1, 1], np.float32)


def gradient(function, x, upstream):
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_sum(function(x) * upstream)
    return tape.gradient(loss, x).numpy()


def binarized(x):
    """The one term of a plain sign."""
    ((binary, scale),), shift = binarizers.Vanilla().activation(x)
    assert scale is None and shift is None
    return binary


def test_sign_has_two_values_and_both_zeros_are_positive():
    np.testing.assert_array_equal(binarizers.sign(tf.constant(EDGES)), EDGE_SIGNS)


def test_activation_forward():
    result = binarized(tf.constant(EDGES)).numpy()
    np.testing.assert_array_equal(result, EDGE_SIGNS)
    noise = 100 * np.random.default_rng(0).normal(size=1000).astype(np.float32)
    values = binarized(tf.constant(noise)).numpy()
    assert set(values) == {-1.0, 1.0}


def test_activation_gradient_is_one_within_plus_minus_one():
    upstream = np.arange(1.0, len(EDGES) + 1, dtype=np.float32)
    window = np.array([0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0], np.float32)
    result = gradient(binarized, EDGES, upstream)
    np.testing.assert_array_equal(result, upstream * window)


def test_the_same_inside_a_compiled_function():
    function = tf.function(binarized, jit_compile=True)
    np.testing.assert_array_equal(function(tf.constant(EDGES)), EDGE_SIGNS)


@pytest.mark.parametrize(
    "shape, axis", [((40, 4), 0), ((30, 6), (0,)), ((3, 3, 4, 8), (0, 1, 2)), ((4, 6), 1)]
)
def test_weight_forward(shape, axis):
    kernel = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    binary, scale = binarizers.Vanilla().weight(tf.constant(kernel), axis=axis)
    assert set(np.unique(binary)) == {-1.0, 1.0}
    np.testing.assert_array_equal(binary, np.sign(kernel))
    np.testing.assert_allclose(scale, np.abs(kernel).mean(axis=axis), rtol=1e-6)
    if axis != 1:
        effective = (binary * scale).numpy().reshape(-1, shape[-1])
        for output in effective.T:
            assert len(np.unique(output)) == 2
            assert np.unique(output).sum() == 0


def test_weight_gradient_is_upstream_within_plus_minus_one():
    rng = np.random.default_rng(2)
    kernel = rng.normal(size=(6, 5)).astype(np.float32)
    kernel[0, 0], kernel[1, 0], kernel[2, 0] = 1.0, -1.0, 0.0
    upstream = rng.normal(size=(6, 5)).astype(np.float32)

    def effective(weights):
        binary, scale = binarizers.Vanilla().weight(weights, axis=0)
        return binary * scale

    result = gradient(effective, kernel, upstream)
    np.testing.assert_allclose(result, upstream * (np.abs(kernel) <= 1), rtol=1e-5)


def test_no_gradient_flows_through_the_scaling_factor():
    kernel = np.random.default_rng(3).normal(size=(6, 5)).astype(np.float32)
    variable = tf.Variable(kernel)
    with tf.GradientTape() as tape:
        _, scale = binarizers.Vanilla().weight(variable, axis=0)
        loss = tf.reduce_sum(scale)
    assert tape.gradient(loss, variable) is None


def test_scaling_factor():
    kernel = np.array([[1.0, -2.0], [-3.0, 0.0]], np.float32)
    np.testing.assert_allclose(binarizers.scaling_factor(kernel, 0), [2.0, 1.0])
    np.testing.assert_allclose(binarizers.scaling_factor(kernel, (0, 1)), 1.5)


def test_straight_through_and_clipped_identity():
    x = np.array([-2.0, -1.0, 0.3, 1.0, 2.0], np.float32)
    np.testing.assert_array_equal(
        binarizers.clipped_identity(tf.constant(x)), np.float32([0, -1, 0.3, 1, 0])
    )
    upstream = np.ones(5, np.float32)

    def function(v):
        return binarizers.straight_through(v * 7, tf.square(v))

    np.testing.assert_allclose(function(tf.constant(x)), 7 * x)
    np.testing.assert_allclose(gradient(function, x, upstream), 2 * x)


def test_get():
    assert binarizers.get(None) is None
    assert isinstance(binarizers.get("vanilla"), binarizers.Vanilla)
    instance = binarizers.Vanilla()
    assert binarizers.get(instance) is instance


def test_serialization():
    config = json.loads(json.dumps(binarizers.serialize(binarizers.Vanilla())))
    assert isinstance(binarizers.get(config), binarizers.Vanilla)
    assert binarizers.get(binarizers.serialize(None)) is None
    restored = keras.saving.deserialize_keras_object(config)
    assert isinstance(restored, binarizers.Vanilla)


@pytest.mark.parametrize("identifier", ["Vanilla ", "", 3, True, object, ["vanilla"]])
def test_unknown_binarizer(identifier):
    with pytest.raises(ValueError, match="`binarizer` should be one of.*'vanilla'.*Received"):
        binarizers.get(identifier)


def test_base_class_does_nothing():
    base = binarizers.Binarizer()
    with pytest.raises(NotImplementedError):
        base.activation(tf.zeros(3))
    with pytest.raises(NotImplementedError):
        base.weight(tf.zeros((3, 2)), axis=0)
