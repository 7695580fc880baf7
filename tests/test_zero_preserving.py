"""sign(0) = 0 as a wrapper of other binarizers."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from bifsmn_tf import binarizers
from bifsmn_tf.layers import BinaryDense


def test_values():
    x = np.array([[-2.0, -1e-20, -0.0, 0.0, 1e-20, 3.0]], np.float32)
    (binary, scale), = binarizers.ZeroPreserving("vanilla").activation(x).terms
    np.testing.assert_array_equal(binary, [[-1, -1, 0, 0, 1, 1]])
    assert scale is None


@pytest.mark.parametrize(
    "name",
    ["vanilla", "bnn", "xnor_net", "dorefa", "bi_real", "ir_net", "rad", "react_net", "lpb", "lsq"],
)
def test_only_exact_zeros_differ(name):
    plain = BinaryDense(3, binarizer=name)
    wrapped = BinaryDense(3, binarizer=binarizers.ZeroPreserving(name))
    x = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    plain(x), wrapped(x)
    wrapped.set_weights(plain.get_weights())

    def run(layer):
        inputs = tf.convert_to_tensor(x)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs)
            loss = tf.reduce_sum(outputs**2)
        return [outputs, *tape.gradient(loss, [inputs, *layer.trainable_variables])]

    for ours, theirs in zip(run(wrapped), run(plain), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_threshold_decides_where_there_is_one():
    binarizer = binarizers.ZeroPreserving(binarizers.LPB(dual=False))
    layer = BinaryDense(2, binarizer=binarizer)
    layer(np.zeros((1, 3), np.float32))
    layer.binarizer_variables["threshold0"].assign([0.5, 0.0, -0.5])
    x = np.zeros((1, 3), np.float32)
    (binary, _), = binarizer.activation(x, layer.binarizer_variables, (-1,)).terms
    np.testing.assert_array_equal(binary, [[-1, 0, 1]])


def test_it_passes_for_the_wrapped_binarizer():
    wrapper = binarizers.ZeroPreserving(binarizers.LPB(dual=True))
    assert (wrapper.name, wrapper.dual) == ("lpb", True)
    config = json.loads(json.dumps(binarizers.serialize(wrapper)))
    twin = binarizers.get(config)
    assert isinstance(twin, binarizers.ZeroPreserving) and twin.binarizer.dual
    assert json.loads(json.dumps(binarizers.serialize(twin))) == config
    with pytest.raises(AttributeError):
        wrapper.nonsense
    with pytest.raises(ValueError, match="needs a binarizer. Received"):
        binarizers.ZeroPreserving(None)


def test_saving(tmp_path):
    inputs = keras.Input((5,))
    model = keras.Model(
        inputs, BinaryDense(3, binarizer=binarizers.ZeroPreserving("vanilla"))(inputs)
    )
    path = str(tmp_path / "model.keras")
    model.save(path)
    x = np.zeros((1, 5), np.float32)
    np.testing.assert_array_equal(keras.models.load_model(path)(x), model(x))
