"""What all binarized layers share: dual-scale activations, biases, groups, official arithmetic."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from layer_contract import check_gradients, check_layer, randomize, signs

from bifsmn_tf import binarizers
from bifsmn_tf.layers import (
    BinaryConv2D,
    BinaryDense,
    BinaryDepthwiseConv2D,
    BinaryPointwise,
    MemoryFilter,
)

# make(**mode), input shape, output shape, axes of the scale found at run time
LAYERS = {
    "dense": (lambda **mode: BinaryDense(5, **mode), (3, 12), (3, 5), (-1,)),
    "pointwise": (lambda **mode: BinaryPointwise(5, **mode), (3, 7, 12), (3, 7, 5), (-1,)),
    "memory": (lambda **mode: MemoryFilter(2, 1, 2, 1, 2, **mode), (3, 7, 4), (3, 7, 8), (1,)),
    "conv2d": (
        lambda **mode: BinaryConv2D(6, (3, 2), (2, 1), (1, 0), **mode),
        (3, 8, 7, 4), (3, 4, 6, 6), (1, 2, 3),
    ),
    "groups": (
        lambda **mode: BinaryConv2D(6, (3, 2), (2, 1), (1, 0), groups=2, **mode),
        (3, 8, 7, 4), (3, 4, 6, 6), (1, 2, 3),
    ),
}  # fmt: skip
all_layers = pytest.mark.parametrize("name", LAYERS)


def inputs_for(name, seed=0):
    shape = LAYERS[name][1]
    return np.random.default_rng(seed).normal(0.2, 1.0, shape).astype(np.float32)


def built(name, **mode):
    layer = LAYERS[name][0](**mode)
    layer.build(LAYERS[name][1])
    randomize(layer)
    return layer


def float_twin(name, kernel, bias):
    """The linear map alone, without any binarization."""
    layer = built(name, binarizer=None)
    layer.kernel.assign(kernel)
    layer.bias.assign(bias)
    return lambda x: np.asarray(layer(x.astype(np.float32)), np.float64)


def dual_scale(x, variables, axes):
    """BiFSMNv2's activation, in float64."""
    theta = [np.asarray(variables[f"threshold{i}"], np.float64) for i in range(3)]
    first = signs(x - theta[0])
    residual = x - first - theta[1]
    second = np.abs(residual).mean(axis=axes, keepdims=True) * signs(residual)
    return first, second, theta[2]


def shift_sum(name, kernel, shift):
    """What the shift takes from every output: its contraction with a whole window of weights."""
    if name == "memory":
        return (kernel * np.repeat(shift, 2)).sum(axis=0)
    if name == "groups":
        halves = zip(np.split(kernel, 2, axis=-1), np.split(shift, 2))
        return np.concatenate([np.einsum("hwio,i->o", k, s) for k, s in halves])
    return shift @ kernel.reshape(-1, *kernel.shape[-2:]).sum(axis=0)


@all_layers
def test_dual_scale_equals_its_formula(name):
    layer = built(name, binarizer="lpb")
    x = inputs_for(name)
    kernel, bias = np.asarray(layer.kernel), np.asarray(layer.bias)
    binary = np.abs(kernel).mean(axis=tuple(range(kernel.ndim - 1))) * signs(kernel)
    first, second, shift = dual_scale(x, layer.binarizer_variables, LAYERS[name][3])
    linear = float_twin(name, binary, bias)
    expected = linear(first + second) - shift_sum(name, binary, shift)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-4, atol=1e-4)


@all_layers
@pytest.mark.parametrize(
    "mode",
    [
        {"binarizer": "lpb"},
        {"binarizer": binarizers.LPB(dual=False)},
        {"binarizer": "lpb", "weight_scale": "official"},
        {"binarizer": "lpb", "use_bias": False},
        {"binarizer": "vanilla", "use_bias": False},
        {"binarizer": None, "use_bias": False},
    ],
)
def test_contract(name, mode, tmp_path):
    make, shape, output_shape, _ = LAYERS[name]
    kernel = built(name).kernel
    count = int(np.prod(kernel.shape))
    if mode.get("use_bias", True):
        count += kernel.shape[-1]
    binarizer = binarizers.get(mode["binarizer"])
    if isinstance(binarizer, binarizers.LPB):
        count += 3 * shape[-1] + 3 if binarizer.dual else 2 * shape[-1] + 2
    check_layer(lambda: make(**mode), shape, output_shape, count, tmp_path)


@all_layers
@pytest.mark.parametrize("weight_scale", ["channel", "official"])
def test_gradients_reach_everything(name, weight_scale):
    layer = LAYERS[name][0](binarizer="lpb", weight_scale=weight_scale)
    check_gradients(layer, 0.5 * inputs_for(name))


@all_layers
def test_kernel_and_bias_start_with_different_values(name):
    layer = LAYERS[name][0]()
    layer.build(LAYERS[name][1])
    assert not np.isin(np.asarray(layer.bias), np.asarray(layer.kernel)).any()


@all_layers
def test_no_bias_means_a_bias_of_zero(name):
    for mode in ({"binarizer": "vanilla"}, {"binarizer": "lpb"}, {"binarizer": None}):
        with_bias, without = built(name, **mode), built(name, use_bias=False, **mode)
        with_bias.bias.assign(np.zeros(with_bias.bias.shape))
        without.set_weights([w for v, w in zip(with_bias.weights, with_bias.get_weights())
                             if v is not with_bias.bias])  # fmt: skip
        assert without.bias is None and len(without.weights) == len(with_bias.weights) - 1
        x = inputs_for(name)
        np.testing.assert_allclose(without(x), with_bias(x), rtol=1e-6, atol=1e-6)


@all_layers
def test_input_gradient_of_the_dual_scale_activation(name):
    layer = built(name, binarizer="lpb")
    layer.binarizer_variables["window1"].assign(0.7)
    layer.binarizer_variables["window2"].assign(1.3)
    x = inputs_for(name)
    upstream = np.random.default_rng(5).normal(size=LAYERS[name][2]).astype(np.float32)

    def gradient(function):
        source = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(source)
            loss = tf.reduce_sum(function(source) * upstream)
        return tape.gradient(loss, source).numpy()

    linear = built(name, binarizer=None)
    kernel = np.asarray(layer.kernel)
    axes = tuple(range(kernel.ndim - 1))
    linear.kernel.assign(np.abs(kernel).mean(axis=axes) * signs(kernel))
    first, _, _ = dual_scale(x, layer.binarizer_variables, LAYERS[name][3])
    theta = [np.asarray(layer.binarizer_variables[f"threshold{i}"]) for i in range(3)]
    window1 = 0.7 * (np.abs(0.7 * (x - theta[0])) <= 1)
    window2 = 1.3 * (np.abs(1.3 * (x - first - theta[1])) <= 1)
    expected = gradient(linear) * (window1 + window2 * (1 - window1))
    np.testing.assert_allclose(gradient(layer), expected, rtol=1e-3, atol=1e-4)


def test_gradients_of_the_variables_of_lpb():
    layer = built("dense", binarizer="lpb")
    windows = {1: 0.7, 2: 1.3, 3: 0.9}
    variables = layer.binarizer_variables
    for i, value in windows.items():
        variables[f"window{i}"].assign(value)
    x = inputs_for("dense")
    upstream = np.random.default_rng(6).normal(size=(3, 5)).astype(np.float32)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(x) * upstream)
    gradients = tape.gradient(loss, [layer.kernel, *variables.values()])
    gradients = dict(zip(["kernel", *variables], gradients))

    kernel = np.asarray(layer.kernel)
    first, second, shift = dual_scale(x, variables, (-1,))
    theta = [np.asarray(variables[f"threshold{i}"]) for i in range(3)]
    residual = x - first - theta[1]
    open1, open2, open3 = (
        (np.abs(windows[i] * v) <= 1) for i, v in ((1, x - theta[0]), (2, residual), (3, kernel))
    )
    into = upstream @ (np.abs(kernel).mean(axis=0) * signs(kernel)).T
    slope1, slope2 = windows[1] * open1, windows[2] * open2
    into_kernel = (first + second - shift).T @ upstream
    expected = {
        "kernel": windows[3] * open3 * into_kernel,
        "threshold0": -(into * slope1 * (1 - slope2)).sum(axis=0),
        "threshold1": -(into * slope2).sum(axis=0),
        "threshold2": -into.sum(axis=0),
        "window1": (into * (x - theta[0]) * open1 * (1 - slope2)).sum(),
        "window2": (into * residual * open2).sum(),
        "window3": (into_kernel * kernel * open3).sum(),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(gradients[name], value, rtol=1e-3, atol=1e-4, err_msg=name)


def test_groups_are_independent_convolutions():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(2, 5, 6, 4)).astype(np.float32)
    for binarizer in ("vanilla", None):
        layer = BinaryConv2D(6, 3, 1, 1, binarizer=binarizer, groups=2)
        together = layer(x)
        halves = []
        for half in range(2):
            part = BinaryConv2D(3, 3, 1, 1, binarizer=binarizer)
            part.build((None, 5, 6, 2))
            part.kernel.assign(layer.kernel[..., 3 * half : 3 * half + 3])
            part.bias.assign(layer.bias[3 * half : 3 * half + 3])
            halves.append(part(x[..., 2 * half : 2 * half + 2]))
        np.testing.assert_allclose(together, np.concatenate(halves, axis=-1), atol=1e-5)


def test_wrong_groups():
    for groups in (0, 4, 1.5, "2"):
        with pytest.raises(ValueError, match="`groups` should be.*Received: groups="):
            BinaryConv2D(6, 3, groups=groups)
    with pytest.raises(ValueError, match="`groups` should divide.*Received: groups=2"):
        BinaryConv2D(6, 3, groups=2).build((None, 8, 8, 3))


def test_variables_of_lpb():
    layer = BinaryPointwise(5, binarizer="lpb")
    layer.build((None, 8, 40))
    variables = layer.binarizer_variables
    assert set(variables) == {f"{kind}{i}" for kind, numbers in
                              (("threshold", range(3)), ("window", (1, 2, 3))) for i in numbers}
    for name, variable in variables.items():
        value = np.asarray(variable)
        assert variable.learning_rate_multiplier == 0.1
        assert variable.weight_decay_multiplier == 0.0
        if name.startswith("threshold"):
            assert value.shape == (40,) and value.min() >= 0 and 0.0005 < value.max() <= 0.001
        else:
            assert value.shape == () and value == 1.0


def test_windows_stay_positive_in_training():
    keras.utils.set_random_seed(0)
    layer = BinaryDense(3, binarizer="lpb")
    model = keras.Sequential([keras.Input((4,)), layer])
    model.compile(keras.optimizers.SGD(1e6), "mse")
    x = np.random.default_rng(0).uniform(-1, 1, (32, 4)).astype(np.float32)
    model.fit(x, x[:, :3], epochs=2, verbose=0)
    windows = [float(layer.binarizer_variables[f"window{i}"]) for i in (1, 2, 3)]
    assert min(windows) == np.float32(1e-3)


def test_official_arithmetic_is_that_of_the_released_binarizers_only():
    class Other(binarizers.Vanilla):
        name = "other"

    with pytest.raises(ValueError, match="exists for.*'lpb', 'vanilla'.*Received.*'other'"):
        BinaryDense(3, binarizer=Other(), weight_scale="official")


MERGED = {
    **{name: (make, shape) for name, (make, shape, _, _) in LAYERS.items()},
    "depthwise": (
        lambda **mode: BinaryDepthwiseConv2D((3, 2), (2, 1), (1, 0), (1, 2), **mode),
        (3, 8, 7, 4),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MERGED)
@pytest.mark.parametrize("use_bias", [True, False])
def test_training_adds_terms_first_and_gives_the_same(name, use_bias):
    make, shape = MERGED[name]
    layer = make(binarizer="lpb", use_bias=use_bias)
    layer.build(shape)
    randomize(layer)
    rng = np.random.default_rng(3)
    x = tf.constant(rng.normal(0.2, 0.7, shape).astype(np.float32))
    slope = rng.normal(size=layer(x).shape).astype(np.float32)

    def run(training):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=training)
            loss = tf.reduce_sum(y * slope)
        return y, tape.gradient(loss, [x, *layer.trainable_variables])

    (apart, expected), (merged, gradients) = run(False), run(True)
    np.testing.assert_allclose(merged, apart, rtol=1e-5, atol=1e-5 * np.abs(apart).max())
    paths = ["inputs", *(variable.path for variable in layer.trainable_variables)]
    for path, a, b in zip(paths, gradients, expected, strict=True):
        scale = np.abs(b).max()
        assert scale > 0, path
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * scale, err_msg=path)


def test_training_contracts_once():
    layer = built("dense", binarizer="lpb", use_bias=False)
    calls = []
    contract = layer._contract
    layer._contract = lambda x, kernel: calls.append(x.shape) or contract(x, kernel)
    counts = []
    for training in (False, True):
        calls.clear()
        layer(inputs_for("dense"), training=training)
        counts.append(len(calls))
    assert counts[1] == counts[0] - 1


@pytest.mark.parametrize("name", ["dense", "memory", "conv2d"])
def test_one_term_is_the_same_to_the_last_bit_in_training(name):
    for binarizer in ("vanilla", binarizers.LPB(dual=False)):
        layer = built(name, binarizer=binarizer)
        x = inputs_for(name)
        np.testing.assert_array_equal(layer(x, training=True), layer(x, training=False))
