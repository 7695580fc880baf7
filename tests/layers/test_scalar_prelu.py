"""`ScalarPReLU`."""

import numpy as np
import pytest
import tensorflow as tf
from layer_contract import check_layer

from bifsmn_tf.layers import ScalarPReLU


@pytest.mark.parametrize("shape", [(3, 4), (2, 5, 4), (2, 3, 5, 4)])
def test_contract(shape, tmp_path):
    check_layer(ScalarPReLU, shape, shape, 1, tmp_path)


def test_values():
    x = np.array([[-2.0, -0.5, 0.0, 3.0]], np.float32)
    layer = ScalarPReLU()
    np.testing.assert_array_equal(layer(x), [[-0.5, -0.125, 0.0, 3.0]])
    layer.slope.assign(-1.0)
    np.testing.assert_array_equal(layer(x), [[2.0, 0.5, 0.0, 3.0]])


def test_initial_slope_is_kept_in_the_configuration():
    layer = ScalarPReLU.from_config(ScalarPReLU(initial_slope=0.1).get_config())
    np.testing.assert_allclose(layer(np.array([[-1.0]], np.float32)), [[-0.1]], rtol=1e-6)


def test_gradients():
    x = tf.constant([[-2.0, -0.5, 0.0, 3.0]])
    layer = ScalarPReLU()
    upstream = tf.constant([[1.0, 2.0, 3.0, 4.0]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_sum(layer(x) * upstream)
    by_input, by_slope = tape.gradient(loss, [x, layer.slope])
    np.testing.assert_allclose(by_input, [[0.25, 0.5, 3.0, 4.0]])
    assert float(by_slope) == -2.0 * 1 - 0.5 * 2


def test_wrong_slope():
    with pytest.raises((TypeError, ValueError)):
        ScalarPReLU(initial_slope="steep")
