"""Normalization to a learned length."""

import numpy as np
import tensorflow as tf
from layer_contract import check_gradients, check_layer

from bifsmn_tf.layers import ScaleNorm


def test_contract(tmp_path):
    check_layer(ScaleNorm, (3, 4, 5), (3, 4, 5), 1, tmp_path)


def test_values_and_gradients():
    layer = ScaleNorm()
    x = np.random.default_rng(0).normal(size=(2, 3, 5)).astype(np.float32)
    layer(x)
    layer.length.assign(2.5)
    np.testing.assert_allclose(np.linalg.norm(layer(x), axis=-1), 2.5, rtol=1e-5)
    np.testing.assert_allclose(layer(1e-7 * x), 2.5e-2 * x, rtol=1e-4)
    check_gradients(layer, x)


def test_a_zero_vector_is_harmless():
    layer = ScaleNorm()
    x = tf.zeros((1, 2, 3))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
    assert not np.asarray(y).any()
    assert np.isfinite(tape.gradient(y, x)).all()
