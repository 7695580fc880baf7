"""`DFSMNBlock` against its formula in numpy."""

import numpy as np
import pytest
import tensorflow as tf
from layer_contract import check_gradients, check_layer, randomize, signs

from bifsmn_tf.layers import DFSMNBlock
from bifsmn_tf.models.variables import variables_by_path

MEMORY, HIDDEN, FRAMES = 4, 6, 8
PLAIN = 6 * MEMORY + (MEMORY + 1) * HIDDEN + (HIDDEN + 1) * MEMORY
NORMS = 4 * (2 * MEMORY + HIDDEN)


def features(batch=3, seed=0):
    shape = (batch, FRAMES, MEMORY)
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def linear(x, weights, name, binary):
    kernel, bias = weights[f"{name}/kernel"], weights[f"{name}/bias"]
    if binary:
        return signs(x) @ signs(kernel) * np.abs(kernel).mean(axis=0) + bias
    return x @ kernel + bias


def memory(x, weights, binary):
    kernel, bias = weights["memory/kernel"], weights["memory/bias"]
    scale = np.abs(kernel).mean(axis=0) if binary else 1.0
    if binary:
        x, kernel = signs(x), signs(kernel)
    y = np.zeros_like(x)
    for t in range(FRAMES):
        for tap in range(5):
            if 0 <= t + tap - 2 < FRAMES:
                y[:, t] += kernel[tap] * x[:, t + tap - 2]
    return y * scale + bias


def normalize(x, weights, name):
    mean, variance = weights[f"{name}/moving_mean"], weights[f"{name}/moving_variance"]
    scale = weights[f"{name}/gamma"] / np.sqrt(variance + 1e-5)
    return (x - mean) * scale + weights[f"{name}/beta"]


def prelu(x, weights, name):
    return np.where(x >= 0, x, weights[f"{name}/slope"] * x)


def reference(x, weights, binary, switch=0, inner=0):
    """y = x + f(BN(memory x)), z = y + f(BN(U f(BN(V y))))."""
    m = normalize(memory(x, weights, binary), weights, f"memory_norm/bn{inner}")
    y = x + prelu(m, weights, "memory_activation")
    h = normalize(linear(y, weights, "hidden", binary), weights, f"hidden_norm/bn{inner}")
    h = prelu(h, weights, "hidden_activation")
    z = normalize(linear(h, weights, "projection", binary), weights, f"output_norm/bn{switch}")
    return y + prelu(z, weights, f"output_activation{switch}")


@pytest.mark.parametrize(
    "arguments, count",
    [
        ({}, PLAIN + NORMS + 3),
        ({"binarizer": None}, PLAIN + NORMS + 3),
        ({"weight_scale": "official"}, PLAIN + NORMS + 3),
        ({"num_switches": 3}, PLAIN + NORMS + 3 + 2 * (4 * MEMORY + 1)),
        ({"num_switches": 2, "switch_all_bn": True}, PLAIN + 2 * NORMS + 4),
        ({"hidden_activation": "relu", "output_activation": "relu"}, PLAIN + NORMS + 1),
        ({"look_back": 1, "look_ahead": 0, "stride_back": 2}, PLAIN - 3 * MEMORY + NORMS + 3),
        ({"hidden_dropout": 0.2, "output_dropout": 0.1}, PLAIN + NORMS + 3),
    ],
)
def test_contract(arguments, count, tmp_path):
    shape = (3, FRAMES, MEMORY)
    check_layer(lambda: DFSMNBlock(HIDDEN, **arguments), shape, shape, count, tmp_path)


@pytest.mark.parametrize("binarizer", ["vanilla", None])
@pytest.mark.parametrize("switch_all_bn", [False, True])
def test_equals_the_formula(binarizer, switch_all_bn):
    block = DFSMNBlock(
        HIDDEN, binarizer=binarizer, num_switches=2, switch_all_bn=switch_all_bn, name="b"
    )
    x = features()
    block(x)
    randomize(block)
    weights = {path: np.asarray(v) for path, v in variables_by_path(block).items()}
    for switch in (0, 1):
        inner = switch if switch_all_bn else 0
        expected = reference(x, weights, binarizer is not None, switch, inner)
        np.testing.assert_allclose(block(x, switch=switch), expected, rtol=1e-4, atol=1e-4)


def test_gradients_reach_everything():
    block = DFSMNBlock(HIDDEN, name="b")
    check_gradients(block, 0.3 * features(8))


def test_residual_connections_pass_the_stream_on():
    block = DFSMNBlock(HIDDEN)
    x = features()
    block(x)
    for norm in (block.memory_norm, block.output_norm):
        norm.of(0).gamma.assign(tf.zeros(MEMORY))
    np.testing.assert_array_equal(block(x), x)


def test_dropout_acts_in_training_only():
    block = DFSMNBlock(HIDDEN, binarizer=None, hidden_dropout=0.5, output_dropout=0.5)
    x = features()
    np.testing.assert_array_equal(block(x, training=False), block(x, training=False))
    assert np.abs(block(x, training=True) - block(x, training=True)).max() > 1e-3


def test_parameters_of_the_published_block():
    block = DFSMNBlock(256, binarizer=None, hidden_activation="relu")
    block.build((None, 8, 128))
    slopes = 2
    count = sum(int(np.prod(v.shape)) for v in block.trainable_variables)
    assert count == 67712 + slopes


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"hidden_size": 0}, "should be a positive integer"),
        ({"hidden_size": 6, "memory_activation": "gelu"}, "Activation should be one of"),
        ({"hidden_size": 6, "hidden_activation": None}, "Activation should be one of"),
        ({"hidden_size": 6, "output_activation": "tanh"}, "Activation should be one of"),
        ({"hidden_size": 6, "look_back": -1}, "`look_back` should be an integer"),
        ({"hidden_size": 6, "stride_ahead": 0}, "`stride_ahead` should be an integer"),
        ({"hidden_size": 6, "num_switches": 0}, "`num_switches` should be a positive"),
        ({"hidden_size": 6, "binarizer": "x"}, "`binarizer` should be one of"),
        ({"hidden_size": 6, "weight_scale": "x"}, "`weight_scale` should be one of"),
        ({"hidden_size": 6, "hidden_dropout": 1.5}, "between 0 and 1"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=f"{message}(.|\n)*[Rr]eceived"):
        DFSMNBlock(**arguments)


def test_wrong_input_shape_and_switch():
    for shape in ((None, 4), (None, 8, None)):
        with pytest.raises(ValueError, match="`DFSMNBlock` expects.*Received: input_shape"):
            DFSMNBlock(HIDDEN).build(shape)
    for switch in (2, -1):
        with pytest.raises(ValueError, match="switch.*Received"):
            DFSMNBlock(HIDDEN, num_switches=2)(features(), switch=switch)
