"""Sizes, thinning, statistics and saving of `DFSMN` and `BiFSMN`."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from bifsmn_tf import models
from bifsmn_tf.models.variables import variables_by_path

TINY = {
    "memory_size": 8,
    "hidden_size": 12,
    "frontend_kernel": 3,
    "frontend_filters": (4, 6),
    "num_mels": 8,
    "num_frames": 12,
}
ALL_SWITCHES = (1.0, 0.5, 0.25, 0.125)


def features(model, batch=3, seed=0):
    shape = (batch, model.num_mels, model.num_frames, 1)
    return (20 * np.random.default_rng(seed).normal(size=shape) - 40).astype(np.float32)


def parameters(model):
    return sum(int(np.prod(v.shape)) for v in model.trainable_variables)


def randomize(model, seed=0):
    rng = np.random.default_rng(seed)
    for path, variable in variables_by_path(model).items():
        value = 0.5 * rng.normal(size=variable.shape)
        if any(part in path for part in ("variance", "gamma", "slope")):
            value = np.abs(value) + 0.2
        variable.assign(value.astype(np.float32))


@pytest.mark.parametrize(
    "make, count",
    [
        (lambda: models.DFSMN(12), 600_252),
        (lambda: models.DFSMN(20), 608_452),
        (lambda: models.DFSMN(35), 623_827),
        (lambda: models.DFSMN(12, activation="relu"), 600_236),
        (lambda: models.DFSMN(12, activation="prelu"), 600_263),
        (lambda: models.BiFSMN(12, switches=(1.0,)), 600_263),
        (lambda: models.BiFSMN(12), 604_375),
        (lambda: models.BiFSMN(12, switches=ALL_SWITCHES), 606_431),
        (lambda: models.BiFSMN(20, switches=ALL_SWITCHES), 614_631),
        (lambda: models.BiFSMN(35, switches=ALL_SWITCHES), 630_006),
        (lambda: models.DFSMN(12, variant="S"), 53_340),
        (lambda: models.BiFSMN(12, variant="S", switches=ALL_SWITCHES), 54_911),
        (lambda: models.small(12, model=models.DFSMN), 53_340),
        (lambda: models.small(12, switches=ALL_SWITCHES), 54_911),
    ],
)
def test_published_parameter_counts(make, count):
    assert parameters(make()) == count


def test_number_of_binarized_weights():
    weights = variables_by_path(models.BiFSMN(12))
    binary = {
        path: v for path, v in weights.items()
        if path.endswith("kernel") and not path.startswith(("conv1/", "classifier/"))
    }
    assert len(binary) == 26
    assert sum(int(np.prod(v.shape)) for v in binary.values()) == 574_976


def test_float_layers_are_the_first_and_the_last():
    model = models.BiFSMN(4, **TINY, num_blocks=4)
    assert model.conv1.binarizer is None and model.classifier.binarizer is None
    for layer in (model.conv2, model.fc1, *model.blocks):
        assert layer.binarizer is not None


@pytest.mark.parametrize(
    "thin, blocks",
    [(1.0, [0, 1, 2, 3, 4, 5, 6, 7]), (0.5, [1, 3, 5, 7]), (0.25, [3, 7]), (0.125, [7])],
)
def test_block_table(thin, blocks):
    model = models.BiFSMN(3, **TINY, switches=ALL_SWITCHES)
    assert model.active_blocks(thin) == blocks
    logits, outputs = model(features(model), thin=thin, return_blocks=True)
    assert logits.shape == (3, 3)
    assert [tuple(o.shape) for o in outputs] == [(3, 3, 8)] * len(blocks)


@pytest.mark.parametrize("thin", [0.5, 0.25])
def test_skipped_blocks_are_identities(thin):
    model = models.BiFSMN(3, **TINY, num_blocks=4)
    x = features(model)
    expected, outputs = model(x, thin=thin, return_blocks=True)
    stream = model.frontend(x)
    active = model.active_blocks(thin)
    for index, output in zip(active, outputs):
        stream = model.blocks[index](stream, switch=model.switch_index(thin))
        np.testing.assert_array_equal(stream, output)
    for index in set(range(4)) - set(active):
        for variable in model.blocks[index].weights:
            variable.assign(np.full(variable.shape, np.nan))
    np.testing.assert_array_equal(model(x, thin=thin), expected)
    assert np.isnan(model(x, thin=1.0)).all()


def test_switches_share_all_but_the_last_normalization_and_slope():
    model = models.BiFSMN(3, **TINY, num_blocks=4)
    x = features(model)
    before = {thin: np.asarray(model(x, thin=thin)) for thin in model.switches}
    for block in model.blocks:
        block.output_norm.of(1).beta.assign(np.ones(8))
        block.output_activations[1].slope.assign(0.7)
    for thin in model.switches:
        changed = not np.array_equal(model(x, thin=thin), before[thin])
        assert changed == (thin == 0.5)


@pytest.mark.parametrize("switch_all_bn", [False, True])
@pytest.mark.parametrize("switch, thin", [(0, 1.0), (1, 0.5), (2, 0.25)])
def test_statistics_of_a_step_at_one_switch(switch, thin, switch_all_bn):
    model = models.BiFSMN(3, **TINY, num_blocks=4, switch_all_bn=switch_all_bn)
    before = {path: np.asarray(v) for path, v in variables_by_path(model).items()}
    model(features(model, batch=16), thin=thin, training=True)
    inner = switch if switch_all_bn else 0
    expected = {"norm1", "norm2"}
    for number in (index + 1 for index in model.active_blocks(thin)):
        expected |= {
            f"block{number}/memory_norm/bn{inner}",
            f"block{number}/hidden_norm/bn{inner}",
            f"block{number}/output_norm/bn{switch}",
        }
    moved = {
        path for path, v in variables_by_path(model).items()
        if not np.array_equal(v, before[path])
    }
    assert moved == {f"{n}/{s}" for n in expected for s in ("moving_mean", "moving_variance")}


def test_fit_at_one_switch_changes_only_its_own_last_normalization():
    model = models.BiFSMN(3, **TINY, num_blocks=4)

    class OneSwitch(keras.Model):
        def call(self, inputs, training=None):
            return self.net(inputs, thin=0.5, training=training)

    trainer = OneSwitch()
    trainer.net = model
    before = {path: np.asarray(v) for path, v in variables_by_path(model).items()}
    trainer.compile(
        keras.optimizers.SGD(0.1),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        run_eagerly=True,
    )
    trainer.fit(features(model, 12), np.arange(12) % 3, batch_size=6, verbose=0)
    moved = {
        path for path, v in variables_by_path(model).items()
        if not np.array_equal(v, before[path])
    }
    for number in range(1, 5):
        for switch in range(3):
            own = switch == 1 and number in (2, 4)
            for name in ("gamma", "beta", "moving_mean", "moving_variance"):
                assert (f"block{number}/output_norm/bn{switch}/{name}" in moved) == own
            assert (f"block{number}/output_activation{switch}/slope" in moved) == own
    assert {"conv2/kernel", "fc1/kernel", "block2/hidden/kernel"} <= moved
    assert not any(path.startswith(("block1/", "block3/")) for path in moved)


@pytest.mark.parametrize("activation", ["pre", "relu", "prelu"])
def test_activations_of_the_float_networks(activation):
    model = models.DFSMN(3, **TINY, num_blocks=4, activation=activation)
    slopes = {path for path in variables_by_path(model) if path.endswith("slope")}
    per_block = {"pre": 2, "relu": 0, "prelu": 3}[activation]
    assert len(slopes) == 4 * per_block + (3 if activation == "prelu" else 0)
    assert model.dropout == (0.0 if activation == "prelu" else 0.2)
    x = features(model)
    random = np.abs(model(x, training=True) - model(x, training=True)).max() > 0
    assert random == (activation != "prelu")
    np.testing.assert_array_equal(model(x), model(x, training=False))


def test_initial_values_of_the_plain_network():
    model = models.DFSMN(12, activation="relu")
    assert not np.asarray(model.conv2.bias).any() and not np.asarray(model.fc1.bias).any()
    assert abs(np.asarray(model.fc1.kernel).std() - 0.01) < 0.001
    he = np.sqrt(2 / (32 * 25))
    assert abs(np.asarray(model.conv2.kernel).std() - he) < 0.1 * he


def test_initial_values_of_the_teacher():
    model = models.DFSMN(12)
    for layer, fan_in in (
        (model.conv1, 25), (model.conv2, 400), (model.fc1, 256), (model.classifier, 1024),
        (model.blocks[0].memory, 5), (model.blocks[0].hidden, 128),
    ):
        limit = 1 / np.sqrt(fan_in)
        for values in (np.asarray(layer.kernel), np.asarray(layer.bias)):
            assert np.abs(values).max() <= limit
        assert np.asarray(layer.kernel).std() > 0.5 * limit
        assert np.asarray(layer.bias).std() > 0


MAKERS = {
    "teacher": lambda: models.DFSMN(3, **TINY, num_blocks=2, labels=["a", "b", "c"]),
    "plain": lambda: models.DFSMN(3, **TINY, num_blocks=2, activation="relu", dropout=0.4),
    "float": lambda: models.DFSMN(3, **TINY, num_blocks=2, activation="prelu", look_ahead=0),
    "student": lambda: models.BiFSMN(
        3, **TINY, num_blocks=4, labels=["a", "b", "c"], dropout=0.1, name="my_student"
    ),
    "all_bn": lambda: models.BiFSMN(3, **TINY, num_blocks=2, switches=(1.0, 0.5),
                                    switch_all_bn=True),
    "official": lambda: models.BiFSMN(3, **TINY, num_blocks=2, switches=(1.0,),
                                      weight_scale="official", stride_back=2),
    "small": lambda: models.small(5),
}


@pytest.mark.parametrize(
    "kind", [*(k for k in MAKERS if k != "small"), pytest.param("small", marks=pytest.mark.slow)]
)
def test_configuration_and_saving(kind, tmp_path):
    model = MAKERS[kind]()
    randomize(model)
    config = json.loads(json.dumps(model.get_config()))
    twin = type(model).from_config(config)
    assert json.loads(json.dumps(twin.get_config())) == config
    assert set(variables_by_path(twin)) == set(variables_by_path(model))
    path = str(tmp_path / "model.keras")
    model.save(path)
    loaded = keras.models.load_model(path)
    assert json.loads(json.dumps(loaded.get_config())) == config
    assert (loaded.name, loaded.labels) == (model.name, model.labels)
    x = features(model)
    for thin in model.switches:
        expected, blocks = model(x, thin=thin, return_blocks=True)
        logits, outputs = loaded(x, thin=thin, return_blocks=True)
        np.testing.assert_array_equal(logits, expected)
        for ours, theirs in zip(outputs, blocks, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    again = str(tmp_path / "again.keras")
    loaded.save(again)
    np.testing.assert_array_equal(keras.models.load_model(again)(x), model(x))
    weights = str(tmp_path / "only.weights.h5")
    model.save_weights(weights)
    twin.load_weights(weights)
    np.testing.assert_array_equal(twin(x), model(x))


def test_a_network_trains_as_any_keras_model():
    model = models.BiFSMN(3, **TINY, num_blocks=2, switches=(1.0,))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                  metrics=["accuracy"], run_eagerly=True)
    x, y = features(model, 8), np.arange(8) % 3
    history = model.fit(x, y, batch_size=4, epochs=2, verbose=0).history
    assert set(history) == {"accuracy", "loss"}
    assert model.predict(x, verbose=0).shape == (8, 3)
    assert len(model.evaluate(x, y, verbose=0)) == 2


def test_symbolic_and_dynamic_batch():
    model = models.BiFSMN(3, **TINY, num_blocks=4)
    symbolic = model(keras.Input((8, 12, 1)), thin=0.5)
    assert tuple(symbolic.shape) == (None, 3)
    assert model.compute_output_shape((None, 8, 12, 1)) == (None, 3)
    run = tf.function(
        lambda x: model(x, thin=0.25), input_signature=[tf.TensorSpec((None, 8, 12, 1))]
    )
    x = features(model, 5)
    np.testing.assert_allclose(run(x), model(x, thin=0.25), rtol=1e-4, atol=1e-4)
    assert run(x[:1]).shape == (1, 3)


def test_predictions_do_not_depend_on_the_batch():
    model = models.BiFSMN(3, **TINY, num_blocks=4)
    x = features(model, 6)
    single = np.concatenate([model(x[i : i + 1]) for i in range(6)])
    np.testing.assert_allclose(model(x), single, rtol=1e-4, atol=1e-4)


def test_non_thinnable_student_equals_the_first_switch():
    thinnable = models.BiFSMN(3, **TINY, num_blocks=4)
    single = models.BiFSMN(3, **TINY, num_blocks=4, switches=(1.0,))
    ours, theirs = variables_by_path(single), variables_by_path(thinnable)
    for path, variable in ours.items():
        variable.assign(theirs[path])
    x = features(single)
    np.testing.assert_array_equal(single(x), thinnable(x, thin=1.0))


@pytest.mark.parametrize("model", [models.DFSMN, models.BiFSMN])
@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"num_classes": 0}, "`num_classes` should be a positive integer"),
        ({"num_classes": "ten"}, "`num_classes` should be a positive integer"),
        ({"memory_size": -1}, "`memory_size` should be a positive integer"),
        ({"hidden_size": 1.5}, "`hidden_size` should be a positive integer"),
        ({"num_blocks": 0}, "`num_blocks` should be a positive integer"),
        ({"num_mels": 0}, "`num_mels` should be a positive integer"),
        ({"num_frames": "32"}, "`num_frames` should be a positive integer"),
        ({"frontend_kernel": 4}, "`frontend_kernel` should be an odd integer"),
        ({"frontend_kernel": -1}, "should be an (odd )?integer"),
        ({"frontend_filters": (16,)}, "`frontend_filters` should be a pair"),
        ({"frontend_filters": (16, 0)}, "should be a positive integer"),
        ({"variant": "XL"}, "`variant` should be one of"),
        ({"labels": ["a", "b"]}, "`labels` should hold 3 names"),
        ({"look_back": -1}, "`look_back` should be an integer"),
        ({"dropout": 2.0}, "between 0 and 1"),
    ],
)
def test_wrong_sizes(model, arguments, message):
    arguments = {"num_classes": 3, **arguments}
    with pytest.raises(ValueError, match=f"{message}(.|\n)*[Rr]eceived"):
        model(**arguments)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"switches": (1.0, 0.3)}, "A switch should be a fraction 1/n"),
        ({"switches": (2.0,)}, "A switch should be a fraction 1/n"),
        ({"switches": (0.0,)}, "A switch should be a fraction 1/n"),
        ({"switches": (1.0, 0.0625)}, "at least one of them .8 blocks."),
        ({"switches": (1.0, 1.0)}, "`switches` should be different fractions"),
        ({"switches": ()}, "`switches` should be different fractions"),
        ({"switches": ("full",)}, "switch"),
        ({"switches": 0.5}, "switch"),
        ({"binarizer": "vanila"}, "`binarizer` should be one of"),
        ({"binarizer": None}, "`BiFSMN` needs a binarizer"),
        ({"weight_scale": "layer"}, "`weight_scale` should be one of"),
    ],
)
def test_wrong_arguments_of_the_student(arguments, message):
    with pytest.raises(ValueError, match=f"{message}(.|\n)*Received"):
        models.BiFSMN(3, **arguments)


def test_wrong_activation_of_the_float_network():
    with pytest.raises(ValueError, match="`activation` should be one of.*Received: activation="):
        models.DFSMN(3, activation="gelu")


@pytest.mark.parametrize(
    "arguments",
    [{"binarizer": "vanilla"}, {"switches": (1.0, 0.5)}, {"switch_all_bn": True}, {"nonsense": 1}],
)
def test_the_float_network_refuses_what_it_could_not_save(arguments):
    with pytest.raises((TypeError, ValueError)):
        models.DFSMN(3, **TINY, **arguments)


@pytest.mark.parametrize("thin", [0.3, 2, "0.5", None, 0, float("nan")])
def test_wrong_switch(thin):
    model = models.BiFSMN(3, **TINY, num_blocks=4)
    with pytest.raises(ValueError, match="`thin` should be one of this model's switches"):
        model(features(model), thin=thin)
    with pytest.raises(ValueError, match="`thin` should be one of.*Received: thin="):
        model.active_blocks(thin)


def test_the_teacher_has_one_switch():
    model = models.DFSMN(3, **TINY, num_blocks=2)
    with pytest.raises(ValueError, match="`thin` should be one of this model's switches"):
        model(features(model), thin=0.5)


@pytest.mark.parametrize("shape", [(2, 8, 12), (2, 12, 8, 1), (2, 8, 12, 2), (8, 12, 1)])
def test_wrong_input_shape(shape):
    model = models.BiFSMN(3, **TINY, num_blocks=4)
    with pytest.raises(ValueError, match="expects features of shape .batch, 8, 12, 1."):
        model(np.zeros(shape, np.float32))
