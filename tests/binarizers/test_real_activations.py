"""1-bit weights with real activations."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from bifsmn_tf import binarizers
from bifsmn_tf.conversion import ConversionError, convert
from bifsmn_tf.layers import BinaryDense
from bifsmn_tf.models import BiFSMN


@pytest.fixture
def inputs():
    return np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)


@pytest.mark.parametrize("name", ["vanilla", "bnn", "lpb"])
def test_weights_are_binarized_and_activations_are_not(inputs, name):
    layer = BinaryDense(3, binarizer=binarizers.RealActivations(name))
    with tf.GradientTape() as tape:
        x = tf.constant(inputs)
        tape.watch(x)
        y = layer(x, training=True)
    kernel, bias = layer.kernel.numpy(), layer.bias.numpy()
    scale = 1.0 if name == "bnn" else np.abs(kernel).mean(axis=0)
    weights = np.where(kernel >= 0, 1, -1) * scale
    np.testing.assert_allclose(y, inputs @ weights + bias, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        tape.gradient(y, x), np.tile(weights.sum(axis=1), (4, 1)), rtol=1e-5, atol=1e-5
    )


def test_weights_train_as_the_wrapped_ones_do(inputs):
    wrapped = BinaryDense(3, binarizer=binarizers.RealActivations("lpb"))
    plain = BinaryDense(3, binarizer="lpb")
    signs = np.where(inputs >= 0, 1, -1).astype(np.float32)
    gradients = []
    for layer in (wrapped, plain):
        layer.build(inputs.shape)
        layer.set_weights([0.5 * np.ones(w.shape) for w in layer.get_weights()])
        with tf.GradientTape() as tape:
            binary, scale = layer.binary_weight()
            y = tf.reduce_sum(tf.square(signs @ (binary * scale)))
        gradients.append(tape.gradient(y, layer.kernel))
    np.testing.assert_array_equal(*gradients)
    assert np.any(gradients[0] != 0)


def test_it_is_saved_with_its_model_and_not_converted(tmp_path):
    model = BiFSMN(
        3, variant="S", num_blocks=2, switches=(1.0,), labels=["a", "b", "c"],
        binarizer=binarizers.RealActivations(binarizers.LPB(dual=False)),
    )  # fmt: skip
    x = np.random.default_rng(1).normal(size=(2, 32, 32, 1)).astype(np.float32)
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    assert isinstance(again.binarizer, binarizers.RealActivations)
    assert again.binarizer.binarizer.dual is False
    np.testing.assert_array_equal(again(x), model(x))
    with pytest.raises(ConversionError, match="RealActivations, 'lpb'"):
        convert(model)


def test_it_needs_a_binarizer():
    with pytest.raises(ValueError, match="Received: binarizer=None"):
        binarizers.RealActivations(None)
