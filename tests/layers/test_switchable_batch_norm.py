"""`SwitchableBatchNorm`."""

import numpy as np
import pytest
from layer_contract import check_layer

from bifsmn_tf.layers import SwitchableBatchNorm


@pytest.mark.parametrize("switches", [1, 3])
def test_contract(switches, tmp_path):
    check_layer(
        lambda: SwitchableBatchNorm(switches), (4, 5, 6), (4, 5, 6), 4 * 6 * switches, tmp_path
    )


def batch(seed=0):
    return np.random.default_rng(seed).normal(2.0, 3.0, (16, 5, 4)).astype(np.float32)


def test_epsilon_and_momentum_are_those_of_the_official_networks():
    layer = SwitchableBatchNorm()
    x = batch()
    np.testing.assert_allclose(layer(x), x / np.sqrt(1 + 1e-5), rtol=1e-6)
    tiny = 1e-3 * x
    normalized = (tiny - tiny.mean((0, 1))) / np.sqrt(tiny.var((0, 1)) + 1e-5)
    np.testing.assert_allclose(layer(tiny, training=True), normalized, rtol=1e-3, atol=1e-4)
    norm = layer.of(0)
    np.testing.assert_allclose(norm.moving_mean, 0.1 * tiny.mean((0, 1)), rtol=1e-3)
    np.testing.assert_allclose(norm.moving_variance, 0.9 + 0.1 * tiny.var((0, 1)), rtol=1e-3)


def test_a_switch_tracks_only_its_own_statistics():
    layer = SwitchableBatchNorm(3)
    layer.build((None, 5, 4))
    before = [np.asarray(v) for v in layer.weights]
    layer(batch(), switch=1, training=True)
    for variable, old in zip(layer.weights, before):
        moved = not np.array_equal(variable, old)
        assert moved == ("bn1" in variable.path and "moving" in variable.path), variable.path


def test_a_switch_uses_its_own_parameters():
    layer = SwitchableBatchNorm(2)
    x = batch()
    layer(x)
    layer.of(1).gamma.assign(np.full(4, 2.0))
    layer.of(1).beta.assign(np.full(4, -1.0))
    np.testing.assert_allclose(layer(x, switch=1), 2 * layer(x, switch=0) - 1, rtol=1e-5)


def test_one_normalization_serves_every_switch():
    layer = SwitchableBatchNorm(1)
    x = batch()
    layer(x, switch=0, training=True)
    np.testing.assert_array_equal(layer(x, switch=2), layer(x, switch=0))


@pytest.mark.parametrize("switches", [0, -1, 1.5, "2"])
def test_wrong_number_of_switches(switches):
    with pytest.raises(ValueError, match="`num_switches` should be a positive.*Received"):
        SwitchableBatchNorm(switches)


@pytest.mark.parametrize("switch", [2, -1, 0.5])
def test_wrong_switch(switch):
    layer = SwitchableBatchNorm(2)
    with pytest.raises(ValueError, match="switch.*Received"):
        layer(batch(), switch=switch)
