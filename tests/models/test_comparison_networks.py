"""FSMN, VGG19bn, BC-ResNet and Audiomer: published sizes and values, both modes, saving."""

import json

import deterministic_fill as fill
import keras
import numpy as np
import pytest
import tensorflow as tf
from test_models import parameters, randomize

from bifsmn_tf import conversion, distillation, models
from bifsmn_tf.layers import BinaryDense
from bifsmn_tf.models.variables import variables_by_path
from bifsmn_tf.training import ThinnableDistiller, initialize_student

TINY = {
    "fsmn": {
        "memory_size": 8, "num_filters": 16, "num_blocks": 3, "num_mels": 8, "num_frames": 8,
    },
    "vgg19bn": {"widths": (4, 4, 6, 6, 8), "hidden_size": 12},
    "bcresnet": {"width": 1, "num_frames": 8},
    "audiomer": {"channels": (4, 6, 8), "num_samples": 64},
}
NETWORKS = tuple(TINY)
BINARIZERS = (
    "vanilla", "bnn", "xnor_net", "dorefa", "bi_real", "ir_net", "rad", "react_net", "lpb",
    "lsq",
)
MODES = ("faithful", "sound")


def tiny(network, num_classes=3, **kwargs):
    return models.get(network, num_classes=num_classes, **{**TINY[network], **kwargs})


def inputs(model, batch=3, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(batch, *model.clip_shape))
    scale, offset = (20, -40) if len(model.clip_shape) == 3 else (0.2, 0.0)
    return (scale * values + offset).astype(np.float32)


def linear_layers(model):
    """All layers that multiply by a kernel and can be binarized."""
    return [layer for layer in model._flatten_layers() if hasattr(layer, "kernel")]


def count(layers):
    return sum(int(np.prod(layer.kernel.shape)) for layer in layers)


def macs_by_layer(model):
    """Multiply-adds per clip of every layer with a kernel, from the shapes of its outputs."""
    macs = {}

    def watched(layer, call):
        def run(*args, **kwargs):
            outputs = call(*args, **kwargs)
            positions = int(np.prod(outputs.shape[1:-1]))
            macs[layer.path] = positions * int(np.prod(layer.kernel.shape))
            return outputs

        return run

    layers = linear_layers(model)
    for layer in layers:
        layer.call = watched(layer, layer.call)
    model(np.zeros((1, *model.clip_shape), np.float32))
    for layer in layers:
        del layer.call
    return macs


# Name, arguments, fill, input, logits, tolerance: published values have six decimals.
GOLDEN = {
    "fsmn": (
        {}, fill.fill_fsmn, lambda: fill.features(32),
        "220.804643 -317.752121 -299.210001 -296.970914 97.778831 -314.099116 -85.599796 "
        "-223.902080 -392.034929 41.918617 -248.336848 121.700193",
    ),
    "vgg19bn": (
        {}, fill.fill_vgg19bn, lambda: fill.features(32),
        "-2.182013 -0.223045 0.354633 -0.335084 -0.309043 -0.960178 -0.319723 0.062713 "
        "-0.417159 -0.589977 -0.250769 -0.288250",
    ),
    "bcresnet": (
        {}, fill.fill_bcresnet, lambda: fill.features(40),
        "158.973662 -52.845701 84.453751 -226.597889 -411.019171 -246.036305 -256.189617 "
        "360.182775 -677.328943 79.367073 -229.373346 -506.853834",
    ),
    "audiomer": (
        {}, fill.fill_audiomer, fill.waveform,
        "-0.233156 -0.131896 -0.171699 0.171132 -0.049493 -0.229803 0.096497 -0.163636 "
        "0.237108 -0.055453 -0.139571 -0.033027",
    ),
    "audiomer_silence": (
        {}, fill.fill_audiomer, lambda: 0 * fill.waveform(),
        "-0.276081 -0.142302 -0.094955 0.204714 -0.002705 -0.132559 0.108290 -0.122404 "
        "0.083888 -0.021290 -0.197547 0.094101",
    ),
}


@pytest.fixture
def double_precision():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_dtype_policy(before)


@pytest.mark.parametrize(
    "case", [pytest.param(c, marks=pytest.mark.slow) if c == "vgg19bn" else c for c in GOLDEN]
)
def test_published_logits(case, double_precision):
    arguments, assign, make_inputs, expected = GOLDEN[case]
    model = models.get(case.partition("_")[0], 12, **arguments)
    assign(model)
    logits = np.asarray(model(make_inputs()))[0]
    assert logits.dtype == np.float64
    np.testing.assert_allclose(logits, np.fromstring(expected, sep=" "), rtol=0, atol=1.01e-6)


@pytest.mark.parametrize("case", ["fsmn", "bcresnet"])
def test_published_logits_in_single_precision(case):
    _, assign, make_inputs, expected = GOLDEN[case]
    model = models.get(case, 12)
    assign(model)
    expected = np.fromstring(expected, sep=" ")
    logits = np.asarray(model(make_inputs().astype(np.float32)))[0]
    assert np.abs(logits - expected).max() < 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize(
    "name, arguments, total",
    [
        ("fsmn", {}, 445_460),
        ("fsmn", {"num_classes": 20}, 478_236),
        ("fsmn", {"num_classes": 35}, 539_691),
        pytest.param("vgg19bn", {}, 38_965_964, marks=pytest.mark.slow),
        ("bcresnet", {}, 348_576),
        ("bcresnet", {"groups": 160}, 320_576),
        ("audiomer", {}, 796_912),
        ("audiomer", {"context": False}, 796_912 - 55_523),
        ("audiomer", {"variant": "S"}, 180_236),
        ("audiomer", {"variant": "M"}, 278_760),
    ],
)
def test_published_parameter_counts(name, arguments, total):
    assert parameters(models.get(name, **{"num_classes": 12, **arguments})) == total


def test_vgg19bn_counts_by_hand():
    widths, hidden, classes = (4, 6, 8, 10, 12), 16, 3
    channels = (1, *np.repeat(widths, (2, 2, 4, 4, 4)))
    total = sum(9 * a * b + b + 2 * b for a, b in zip(channels, channels[1:]))
    total += (widths[-1] + 1) * hidden + (hidden + 1) * hidden + (hidden + 1) * classes
    model = models.VGG19BN(classes, widths=widths, hidden_size=hidden)
    assert parameters(model) == total


# Multiply-adds of all layers, of the first and the last, weights of the others, their number.
COSTS = {
    "fsmn": (12_697_600, 180_224, 391_168, 23),
    "vgg19bn": (415_875_072, 638_976, 38_891_520, 17),
    "bcresnet": (28_120_064, 2_051_072, 323_456, 42),
    "audiomer": (278_090_005, 23_109, 784_045, 165),
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(c, marks=pytest.mark.slow) if c in ("vgg19bn", "audiomer") else c for c in COSTS],
)
def test_costs_and_binarized_layers(name):
    total, first_and_last, weights, number = COSTS[name]
    model = models.get(name, 12, binarizer="vanilla")
    layers = linear_layers(model)
    binary = [layer for layer in layers if layer.binarizer is not None]
    real = [layer for layer in layers if layer.binarizer is None]
    assert (len(binary), count(binary), len(real)) == (number, weights, 2)
    macs = macs_by_layer(model)
    products = 0
    if name == "audiomer":
        products = sum(
            block.transformer.attention.product_macs(frames)
            for block, frames in zip(model.blocks, path_frames(model))
        )
        assert products == 237_852_780
    assert len(macs) == len(layers)
    assert sum(macs.values()) + products == total
    assert sum(macs[layer.path] for layer in real) == first_and_last


def path_frames(model):
    """Frames of every block's convolution path."""
    frames = []
    shape = (None, 128 + model.num_samples, 1)
    for block in model.blocks:
        shape = block.compute_output_shape(shape)
        frames.append(shape[1])
    return frames


def test_fsmn_by_hand():
    model = tiny("fsmn")
    randomize(model)
    x = inputs(model)
    logits, hidden = model(x, return_blocks=True)
    stream = x[..., 0].transpose(0, 2, 1)
    for number in range(3):
        linear, projection, memory = (
            np.asarray(layers[number].kernel)
            for layers in (model.linears, model.projections, model.memories)
        )
        padded = np.pad(np.repeat(stream, 16 // stream.shape[2], axis=2), ((0, 0), (3, 3), (0, 0)))
        filtered = sum(padded[:, i : i + 8] * memory[i] for i in range(7))
        state = stream @ linear + np.asarray(model.linears[number].bias) + filtered @ projection
        np.testing.assert_allclose(hidden[number], state, rtol=2e-4, atol=2e-3)
        slope = float(model.activations[number].slope)
        stream = np.where(state >= 0, state, slope * state)
    flat = stream.reshape(3, -1)
    expected = flat @ np.asarray(model.classifier.kernel) + np.asarray(model.classifier.bias)
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-2)


def assert_same_outputs(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("binarizer, mode", [(None, "faithful"), ("vanilla", "sound")])
def test_configuration_and_saving(name, binarizer, mode, tmp_path):
    model = tiny(name, binarizer=binarizer, mode=mode, labels=["a", "b", "c"], name="mine")
    randomize(model)
    config = json.loads(json.dumps(model.get_config()))
    twin = type(model).from_config(config)
    assert json.loads(json.dumps(twin.get_config())) == config
    path = str(tmp_path / "model.keras")
    model.save(path)
    loaded = keras.models.load_model(path)
    assert json.loads(json.dumps(loaded.get_config())) == config
    assert (loaded.name, loaded.labels) == ("mine", ["a", "b", "c"])
    x = inputs(model)
    expected, blocks = model(x, return_blocks=True)
    assert expected.shape == (3, 3) and np.isfinite(expected).all()
    assert len(blocks) == model.num_blocks
    logits, loaded_blocks = loaded(x, return_blocks=True)
    assert_same_outputs([logits, *loaded_blocks], [expected, *blocks])


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("mode", MODES)
def test_a_float_network_is_the_starting_point_of_a_binarized_one(name, mode):
    source = tiny(name, mode=mode)
    target = tiny(name, mode=mode, binarizer="vanilla")
    initialize_student(target, source)
    values = variables_by_path(target)
    for path, variable in variables_by_path(source).items():
        np.testing.assert_array_equal(values[path], variable)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("binarizer", [None, "vanilla"])
def test_one_switch(name, binarizer):
    model = tiny(name, binarizer=binarizer)
    assert model.switches == (1.0,)
    assert model.switch_index(1) == 0
    assert model.active_blocks(1.0) == list(range(model.num_blocks))
    x = inputs(model)
    np.testing.assert_array_equal(model(x, thin=1.0), model(x))
    for thin in (0.5, None, "1.0"):
        with pytest.raises(ValueError, match="`thin` should be one of this model's switches"):
            model(x, thin=thin)


@pytest.mark.parametrize(
    "name, mode",
    [*((name, mode) for name in ("fsmn", "vgg19bn") for mode in MODES), ("bcresnet", "sound"),
     ("audiomer", "faithful")],
)  # fmt: skip
def test_training_step(name, mode):
    teacher, student = tiny(name, mode=mode), tiny(name, mode=mode, binarizer="vanilla")
    distiller = ThinnableDistiller(
        student,
        teacher,
        distillation=distillation.HED() if name == "fsmn" else None,
        logits=distillation.SoftTargets(),
    )
    distiller.compile("sgd", run_eagerly=True)
    before = {path: np.asarray(v) for path, v in variables_by_path(student).items()}
    history = distiller.fit(inputs(student, 6), np.arange(6) % 3, batch_size=6, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    if name == "fsmn":
        assert history["distillation_1.0"][0] > 0
    moved = {
        path for path, variable in variables_by_path(student).items()
        if not np.array_equal(variable, before[path])
    }
    assert any(path.startswith("classifier") for path in moved)
    assert not any("/directions" in path for path in moved)


@pytest.mark.parametrize("name", NETWORKS)
def test_symbolic_and_compiled(name):
    model = tiny(name, binarizer="vanilla", mode="sound")
    assert tuple(model(keras.Input(model.clip_shape)).shape) == (None, 3)
    run = tf.function(
        lambda x: model(x), input_signature=[tf.TensorSpec((None, *model.clip_shape))]
    )
    x = inputs(model)
    np.testing.assert_allclose(run(x), model(x), rtol=1e-3, atol=1e-3)
    assert run(x[:1]).shape == (1, 3)


def test_hidden_states_need_a_network_that_has_them():
    networks = [tiny("vgg19bn", binarizer=b, mode="sound") for b in ("vanilla", None)]
    distiller = ThinnableDistiller(*networks, distillation=distillation.HED())
    distiller.compile("sgd")
    with pytest.raises(ValueError, match="positive number of matched blocks. Received: 0 and 0"):
        distiller.switch_losses(inputs(networks[0]), np.zeros(3))


def spread(model):
    """How far the logits of different inputs lie apart."""
    logits = np.asarray(model(inputs(model, batch=4)))
    return np.abs(logits - logits[0]).max()


@pytest.mark.parametrize("name", ["vgg19bn", "bcresnet"])
def test_sign_of_zero_after_relu(name):
    def difference(**kwargs):
        keras.utils.set_random_seed(1)
        wide = {"widths": (16,) * 5, "hidden_size": 32} if name == "vgg19bn" else {}
        return spread(tiny(name, binarizer="vanilla", **wide, **kwargs))

    assert difference() > 1e-5
    assert difference(mode="sound") > 1e-5
    assert difference(sign_of_zero=1) == 0


def binarized_inputs(model, x, training=False):
    """What the binarized layers read, by path."""
    seen = {}

    def watched(layer, call):
        def run(values, *args, **kwargs):
            seen[layer.path] = np.asarray(values)
            return call(values, *args, **kwargs)

        return run

    for layer in linear_layers(model):
        if layer.binarizer is not None:
            layer.call = watched(layer, layer.call)
    model(x, training=training)
    return seen


@pytest.mark.parametrize("name, published", [("vgg19bn", 17), ("bcresnet", 16), ("audiomer", 6)])
def test_layers_behind_relu(name, published):
    def of_one_sign(mode):
        model = tiny(name, binarizer="vanilla", mode=mode)
        randomize(model)
        seen = binarized_inputs(model, inputs(model, 6))
        return sum(float(values.min()) >= 0 for values in seen.values())

    assert of_one_sign("faithful") >= published
    assert of_one_sign("sound") <= 1


def test_first_memory_of_fsmn_sees_both_signs_only_if_centred():
    shares = []
    for mode in MODES:
        model = tiny("fsmn", binarizer="vanilla", mode=mode)
        x = inputs(model, 16)
        seen = binarized_inputs(model, x, training=True)
        (values,) = (v for path, v in seen.items() if path.endswith("/memory1"))
        shares.append((values >= 0).mean())
    assert shares[0] < 0.1 and 0.3 < shares[1] < 0.7


def test_frames_at_the_ends_of_audiomer_are_zero():
    for binarizer in (None, "vanilla"):
        model = tiny("audiomer", binarizer=binarizer, context=False)
        randomize(model)
        x = inputs(model)
        stream = np.concatenate([np.tile(model.token, (3, 1)), x], axis=1)[..., None]
        for block in model.blocks:
            path = np.asarray(block.query(stream))
            assert not path[:, 0].any() and not path[:, -1].any() and path[:, 1:-1].any()
            stream = block(stream)


def test_audiomer_hears():
    assert spread(tiny("audiomer")) > 1e-5


def test_context_path_of_audiomer_has_no_influence():
    model = tiny("audiomer")
    x = inputs(model)
    expected = np.asarray(model(x))
    for block in model.blocks:
        for variable in block.context.trainable_variables:
            variable.assign(3.0 * variable + 1.0)
    np.testing.assert_array_equal(model(x), expected)
    before = np.asarray(model.blocks[0].context.norm.moving_mean)
    model(x, training=True)
    assert not np.array_equal(model.blocks[0].context.norm.moving_mean, before)
    without = tiny("audiomer", context=False)
    target, source = variables_by_path(without), variables_by_path(model)
    assert set(target) == {path for path in source if "/context/" not in path}


def test_lengths_that_fit_audiomer():
    def fits(samples):
        try:
            tiny("audiomer", num_samples=samples, context=False)
        except ValueError:
            return False
        return True

    # Frames of the two paths, whose paddings are given, at every halving.
    def agree(samples):
        frames = samples + 128
        for padding in (3, 4, 4):
            path, residual = (frames + 1) // 2 + 3, frames // 2 + padding
            if path != residual:
                return False
            frames = path
        return True

    lengths = range(4, 44, 4)
    assert [n for n in lengths if fits(n)] == [n for n in lengths if agree(n)] != []
    with pytest.raises(ValueError, match="`num_samples` should be a multiple of 2048.*=16000"):
        models.Audiomer(12, num_samples=16_000)


def test_redrawing_the_random_directions():
    model = tiny("audiomer")
    attention = [block.transformer.attention for block in model.blocks]
    first = [np.asarray(layer.directions) for layer in attention]
    model.redraw_directions(seed=7)
    second = [np.asarray(layer.directions) for layer in attention]
    model.redraw_directions(seed=7)
    for old, new, layer in zip(first, second, attention):
        assert not np.allclose(old, new)
        np.testing.assert_array_equal(layer.directions, new)
    callback = models.RedrawDirections(model, every=2)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                  run_eagerly=True)
    x, y = inputs(model, 6), np.arange(6) % 3
    model.fit(x[:2], y[:2], batch_size=2, callbacks=[callback], verbose=0)
    np.testing.assert_array_equal(attention[0].directions, second[0])
    model.fit(x[:2], y[:2], batch_size=2, callbacks=[callback], verbose=0)
    assert not np.allclose(attention[0].directions, second[0])


@pytest.mark.parametrize(
    "name, arguments, message",
    [
        ("fsmn", {"num_filters": 12}, "`num_filters` should be a multiple of"),
        ("fsmn", {"num_blocks": 0}, "`num_blocks` should be a positive integer"),
        ("fsmn", {"mode": "fast"}, "`mode` should be one of"),
        ("fsmn", {"sign_of_zero": -1}, "`sign_of_zero` should be 0, 1, or None"),
        ("fsmn", {"binarizer": "vanila"}, "`binarizer` should be one of"),
        ("fsmn", {"labels": ["a"]}, "`labels` should hold 3 names"),
        ("vgg19bn", {"num_classes": 0}, "`num_classes` should be a positive integer"),
        ("vgg19bn", {"num_frames": 31}, "`num_mels` and `num_frames` should be at least 32"),
        ("vgg19bn", {"widths": (4, 4)}, "`widths` should hold five integers"),
        ("bcresnet", {"num_mels": 32}, "`num_mels` should be a multiple of 40"),
        ("bcresnet", {"width": 1.5}, "`width` should be a positive integer"),
        ("bcresnet", {"groups": 3}, "groups"),
        ("audiomer", {"variant": "XL"}, "`variant` should be one of"),
        ("audiomer", {"num_samples": 63}, "`num_samples` should be a multiple of 8"),
        ("audiomer", {"channels": ()}, "`channels` should hold 1 to 11 integers"),
    ],
)
def test_wrong_arguments(name, arguments, message):
    with pytest.raises(ValueError, match=f"{message}(.|\n)*Received"):
        tiny(name, **arguments)


@pytest.mark.parametrize(
    "name, binarizer",
    [
        pytest.param(n, b, marks=pytest.mark.slow if n == "bcresnet" and b != "ir_net" else ())
        for n in NETWORKS for b in BINARIZERS
    ],
)  # fmt: skip
def test_every_binarizer(name, binarizer):
    # The first layers of Audiomer have a fan-in of 1 and 2, BC-ResNet's depthwise ones of 3.
    model = tiny(name, binarizer=binarizer, mode="sound" if name == "fsmn" else "faithful")
    x = tf.convert_to_tensor(inputs(model, 2))
    with tf.GradientTape() as tape:
        logits = model(x, training=True)
        loss = tf.reduce_sum(logits**2) + sum(model.losses)
    assert np.isfinite(logits).all() and logits.shape == (2, 3)
    assert (len(model.losses) > 0) == (binarizer == "rad")
    for gradient in tape.gradient(loss, model.trainable_variables):
        assert gradient is None or np.isfinite(gradient).all()


@pytest.mark.parametrize("fan_in", [1, 2])
@pytest.mark.parametrize("binarizer", BINARIZERS)
def test_binarizers_of_few_weights(binarizer, fan_in):
    layer = BinaryDense(5, binarizer=binarizer)
    x = tf.convert_to_tensor(np.random.default_rng(0).normal(size=(4, fan_in)), tf.float32)
    with tf.GradientTape() as tape:
        y = layer(x)
        loss = tf.reduce_sum(y**2)
    binary, scale = layer.binary_weight()
    assert set(np.unique(binary)) <= {-1.0, 1.0} and (np.asarray(scale) > 0).all()
    assert np.isfinite(y).all()
    for gradient in tape.gradient(loss, layer.trainable_variables):
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_wrong_input_shape(name):
    model = tiny(name)
    with pytest.raises(ValueError, match="expects (features in dB|waveforms) of shape .batch, "):
        model(np.zeros((1, 32, 16000), np.float32))


def test_mel_features_of_the_wrong_height():
    with pytest.raises(ValueError, match="expects features in dB of shape .batch, 40, 32, 1."):
        tiny("bcresnet", num_frames=32)(np.zeros((1, 32, 32, 1), np.float32))


@pytest.mark.parametrize("name, arguments, message", [
    ("fsmn", {"sign_of_zero": 0}, "The operators binarize an activation to the sign"),
    ("vgg19bn", {"mode": "sound"}, "The operators have no other layers"),
])  # fmt: skip
def test_what_cannot_be_converted_says_why(name, arguments, message):
    model = tiny(name, binarizer="vanilla", **arguments)
    with pytest.raises(conversion.ConversionError, match=message):
        conversion.convert(model, allow_untrained=True)


def test_networks_by_name():
    assert set(TINY) | {"dfsmn", "bifsmn"} <= set(models.NAMES)
    assert isinstance(tiny("vgg19bn"), models.VGG19BN)
    with pytest.raises(ValueError, match="should be one of dfsmn, .*Received: 'resnet'"):
        models.get("resnet", 12)
