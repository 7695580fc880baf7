"""Every binarizer in a dense layer: values and gradients against their closed forms."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from bifsmn_tf import binarizers
from bifsmn_tf.layers import BinaryDense, MemoryFilter

INPUTS, UNITS, BATCH = 40, 7, 16


def signs(x):
    return np.where(x >= 0, 1.0, -1.0)


def within(x):
    return (np.abs(x) <= 1).astype(float)


def quadratic(x):
    return np.maximum(0.0, 2 - 2 * np.abs(x))


def estimator(x, t=0.1, k=10.0):
    return k * t * (1 - np.tanh(t * x) ** 2)


def mean_magnitude(w):
    return np.abs(w).mean(axis=0)


def sample_scale(x):
    return np.abs(x).mean(axis=1, keepdims=True)


BETA = np.linspace(-0.5, 0.5, INPUTS)
STEP = 0.7


class Vanilla:
    """Closed forms of a binarizer; this one's are also the others' defaults."""

    variables = {}  # Values, in the order of the layer's.

    @staticmethod
    def variable_gradients(x, upstream):
        return []

    @staticmethod
    def activation(x):
        return signs(x)

    @staticmethod
    def activation_gradient(x, upstream):
        return upstream * within(x)

    @staticmethod
    def weight(w):
        return mean_magnitude(w) * signs(w)

    @staticmethod
    def weight_gradient(w, upstream):
        return upstream * within(w)


class BNN(Vanilla):
    @staticmethod
    def weight(w):
        return signs(w)


class XNORNet(Vanilla):
    @staticmethod
    def activation(x):
        return sample_scale(x) * signs(x)

    @staticmethod
    def activation_gradient(x, upstream):
        return upstream * sample_scale(x) * within(x)


class DoReFa(Vanilla):
    @staticmethod
    def weight_gradient(w, upstream):
        return upstream


class BiReal(Vanilla):
    @staticmethod
    def activation_gradient(x, upstream):
        return upstream * quadratic(x)


class ReActNet(Vanilla):
    variables = {"beta": BETA}

    @staticmethod
    def activation(x):
        return signs(x + BETA)

    @staticmethod
    def activation_gradient(x, upstream):
        return upstream * quadratic(x + BETA)

    @classmethod
    def variable_gradients(cls, x, upstream):
        return [cls.activation_gradient(x, upstream).sum(axis=0)]


class IRNet(Vanilla):
    @staticmethod
    def activation_gradient(x, upstream):
        return upstream * estimator(x)

    @staticmethod
    def weight(w):
        standard = (w - w.mean(axis=0)) / w.std(axis=0, ddof=1)
        return 2.0 ** np.round(np.log2(mean_magnitude(standard))) * signs(standard)

    @staticmethod
    def weight_gradient(w, upstream):
        deviation = w.std(axis=0, ddof=1)
        standard = (w - w.mean(axis=0)) / deviation
        scale = 2.0 ** np.round(np.log2(mean_magnitude(standard)))
        g = upstream * scale * estimator(standard)
        along = (g * standard).sum(axis=0) / (len(w) - 1)
        return (g - g.mean(axis=0) - along * standard) / deviation


class LSQ(Vanilla):
    variables = {"threshold": BETA, "step": STEP}

    @staticmethod
    def levels(x):
        y = (x - BETA) / STEP
        return y, np.clip(np.floor(y), -2, 1) + 0.5

    @classmethod
    def activation(cls, x):
        return STEP * cls.levels(x)[1] + BETA

    @classmethod
    def activation_gradient(cls, x, upstream):
        return upstream * (np.abs(cls.levels(x)[0]) <= 2)

    @classmethod
    def variable_gradients(cls, x, upstream):
        y, levels = cls.levels(x)
        inside = np.abs(y) <= 2
        return [(upstream * ~inside).sum(axis=0), (upstream * (levels - y * inside)).sum()]


CLOSED_FORMS = {
    "vanilla": Vanilla, "bnn": BNN, "xnor_net": XNORNet, "dorefa": DoReFa, "bi_real": BiReal,
    "ir_net": IRNet, "rad": BNN, "react_net": ReActNet, "lsq": LSQ,
}  # fmt: skip
every = pytest.mark.parametrize("name", CLOSED_FORMS)
NAMES = (*CLOSED_FORMS, "lpb")


def dense(name):
    layer = BinaryDense(UNITS, binarizer=name)
    layer.build((None, INPUTS))
    rng = np.random.default_rng(1)
    layer.kernel.assign(rng.normal(0.1, 0.8, (INPUTS, UNITS)))
    for key, value in getattr(CLOSED_FORMS.get(name), "variables", {}).items():
        layer.binarizer_variables[key].assign(value)
    return layer


def inputs():
    return np.random.default_rng(2).normal(0.1, 1.2, (BATCH, INPUTS)).astype(np.float32)


@every
def test_forward_and_gradients(name):
    layer, x, form = dense(name), inputs(), CLOSED_FORMS[name]
    upstream = np.random.default_rng(3).normal(size=(BATCH, UNITS)).astype(np.float32)
    source = tf.constant(x)
    variables = [layer.kernel, layer.bias, *layer.binarizer_variables.values()]
    variables = [v for v in variables if v.trainable]
    with tf.GradientTape() as tape:
        tape.watch(source)
        y = layer(source)
        loss = tf.reduce_sum(y * upstream)
    dx, dw, db, *rest = tape.gradient(loss, [source, *variables])
    x, w = x.astype(float), np.asarray(layer.kernel, float)
    binary_x, binary_w = form.activation(x), form.weight(w)
    close = {"rtol": 1e-4, "atol": 1e-4}
    np.testing.assert_allclose(y, binary_x @ binary_w + np.asarray(layer.bias), **close)
    expected = form.activation_gradient(x, upstream @ binary_w.T)
    np.testing.assert_allclose(dx, expected, **close)
    np.testing.assert_allclose(dw, form.weight_gradient(w, binary_x.T @ upstream), **close)
    np.testing.assert_allclose(db, upstream.sum(axis=0), **close)
    for got, wanted in zip(rest, form.variable_gradients(x, upstream @ binary_w.T), strict=True):
        np.testing.assert_allclose(got, wanted, **close)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["activation", "weight"])
def test_values_are_plus_and_minus_one(name, kind):
    layer = dense(name)
    if kind == "weight":
        tensors = [layer.binary_weight()[0]]
    else:
        x = inputs()
        x[0, :3] = (0.0, -0.0, 1e-30)
        terms = layer.binarizer.activation(x, layer.binarizer_variables, (-1,)).terms
        assert len(terms) == layer.binarizer.passes == (2 if name in ("lpb", "lsq") else 1)
        tensors = [binary for binary, _ in terms]
    for tensor in tensors:
        assert set(np.unique(tensor)) == {-1.0, 1.0}


@pytest.mark.parametrize("name", NAMES)
def test_weights_have_one_positive_scale_per_output(name):
    binary, scale = dense(name).binary_weight()
    assert binary.shape == (INPUTS, UNITS) and scale.shape == (UNITS,)
    assert np.asarray(scale).min() > 0


def test_scales_of_ir_net_are_powers_of_two():
    _, scale = dense("ir_net").binary_weight()
    mantissa, _ = np.frexp(np.asarray(scale))
    np.testing.assert_array_equal(mantissa, 0.5)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fan_in", [1, 2, 3])
@pytest.mark.parametrize("weights", ["random", "constant", "zero"])
def test_few_weights_are_harmless(name, fan_in, weights):
    """Standardizing one weight would divide by zero, centring it leave nothing."""
    for layer, shape in (
        (BinaryDense(4, binarizer=name), (5, fan_in)),
        (MemoryFilter(fan_in - 1, 0, binarizer=name), (5, 6, 4)),
    ):
        layer.build(shape)
        rng = np.random.default_rng(0)
        value = {"random": rng.normal(size=layer.kernel.shape), "constant": -0.3, "zero": 0.0}
        layer.kernel.assign(np.broadcast_to(value[weights], layer.kernel.shape))
        x = rng.normal(size=shape).astype(np.float32)
        with tf.GradientTape() as tape:
            y = layer(x)
            loss = tf.reduce_sum(tf.square(y))
        gradients = tape.gradient(loss, layer.trainable_variables)
        for tensor in (y, *gradients):
            assert np.isfinite(tensor).all()
        if fan_in < 3 and weights != "zero":
            np.testing.assert_array_equal(layer.binary_weight()[0], signs(np.asarray(layer.kernel)))


@pytest.mark.parametrize("name", NAMES)
def test_the_same_when_compiled(name):
    layer, x = dense(name), inputs()
    compiled = tf.function(lambda v: layer(v), jit_compile=True)
    np.testing.assert_allclose(compiled(x), layer(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_get_and_serialize(name):
    binarizer = binarizers.get(name)
    assert binarizer.name == name
    restored = binarizers.get(binarizers.serialize(binarizer))
    assert type(restored) is type(binarizer)
    assert restored.get_config() == binarizer.get_config()


@pytest.mark.parametrize(
    "binarizer, config",
    [
        (binarizers.LPB(dual=False), {"dual": False}),
        (binarizers.IRNet(0.001, 5.0), {"t_min": 0.001, "t_max": 5.0}),
        (binarizers.RAD(coefficient=0.3), {"coefficient": 0.3}),
    ],
)
def test_arguments_are_serialized(binarizer, config):
    assert binarizers.get(binarizers.serialize(binarizer)).get_config() == config


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: binarizers.IRNet(0.0, 1.0), "0 < t_min <= t_max.*Received: t_min=0.0"),
        (lambda: binarizers.IRNet(2.0, 1.0), "0 < t_min <= t_max.*t_max=1.0"),
        (lambda: binarizers.RAD(-1.0), "`coefficient` should not be.*Received: coefficient=-1.0"),
        (lambda: binarizers.LPB(dual=1), "`dual` should be True or False.*Received: dual=1"),
    ],
)
def test_wrong_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_variables_belong_to_the_layer():
    binarizer = binarizers.get("react_net")
    first, second = (BinaryDense(3, binarizer=binarizer) for _ in range(2))
    first.build((None, 4))
    second.build((None, 6))
    assert first.binarizer_variables["beta"].shape == (4,)
    assert second.binarizer_variables["beta"].shape == (6,)
    first.binarizer_variables["beta"].assign(np.ones(4))
    assert not np.asarray(second.binarizer_variables["beta"]).any()


def rad_loss(x):
    mean = x.reshape(-1, x.shape[-1]).mean(axis=0)
    deviation = np.sqrt(x.reshape(-1, x.shape[-1]).var(axis=0) + 1e-10)
    margin = np.minimum(2 - mean - deviation, 2 + mean - deviation)
    first = (np.maximum(0, margin) ** 2).mean() + (np.maximum(0, deviation - 4) ** 2).mean()
    return first + np.maximum(0, mean**2 - deviation**2).mean()


@pytest.mark.parametrize("mean, deviation", [(0.0, 1.0), (0.3, 6.0), (2.5, 0.5), (-1.0, 0.2)])
def test_regularizer_of_rad(mean, deviation):
    x = np.random.default_rng(4).normal(mean, deviation, (6, 5, 8)).astype(np.float32)
    layer = BinaryDense(3, binarizer=binarizers.RAD(0.7))
    layer(x)
    (loss,) = layer.losses
    np.testing.assert_allclose(loss, 0.7 * rad_loss(x.astype(float)), rtol=1e-4)


def test_regularizer_of_rad_pulls_a_degenerate_channel_back():
    layer = keras.layers.Dense(4, bias_initializer=keras.initializers.Constant(3.0))
    model = keras.Sequential(
        [keras.Input((4,)), layer, BinaryDense(2, binarizer=binarizers.RAD(1.0))]
    )
    model.compile(keras.optimizers.SGD(0.1), loss=lambda y, p: 0.0 * tf.reduce_sum(p, axis=-1))
    x = np.random.default_rng(5).normal(size=(64, 4)).astype(np.float32)
    model.fit(x, x[:, :2], epochs=30, batch_size=64, verbose=0)
    assert (np.asarray(layer(x)) < 0).mean(axis=0).min() > 0.02
