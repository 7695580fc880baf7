"""Every binarizer in a whole network: by name, saved and loaded, and trained with its extras."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from bifsmn_tf import ThinnableDistiller, binarizers, models
from bifsmn_tf.layers import BinaryConv2D, BinaryDense
from bifsmn_tf.models.variables import variables_by_path
from bifsmn_tf.recipes.clock import Clock
from bifsmn_tf.training import BinarizerSchedule

TINY = {
    "memory_size": 8, "hidden_size": 12, "num_blocks": 2, "switches": (1.0, 0.5),
    "frontend_kernel": 3, "frontend_filters": (4, 6), "num_mels": 8, "num_frames": 8,
}
NAMES = (
    "vanilla", "bnn", "xnor_net", "dorefa", "bi_real", "ir_net", "rad", "react_net", "lpb",
    "lsq",
)
# Variables that one layer has besides kernel and bias.
EXTRA = {
    "ir_net": {"t", "k"},
    "react_net": {"beta"},
    "lsq": {"threshold", "step"},
    "lpb": {"threshold0", "threshold1", "threshold2", "window1", "window2", "window3"},
}
FROZEN = {"t", "k"}


def network(binarizer, **kwargs):
    keras.utils.set_random_seed(0)
    return models.BiFSMN(3, binarizer=binarizer, **{**TINY, **kwargs})


def data(count=12):
    rng = np.random.default_rng(0)
    x = (20 * rng.normal(size=(count, 8, 8, 1)) - 40).astype(np.float32)
    return x, (np.arange(count) % 3).astype(np.int64)


def binarized(model):
    return [model.conv2, model.fc1] + [
        layer for block in model.blocks for layer in (block.memory, block.hidden, block.projection)
    ]


@pytest.mark.parametrize("name", NAMES)
def test_trains_a_step_and_survives_saving(name, tmp_path):
    model = network(name)
    x, y = data()
    extra = EXTRA.get(name, set())
    for layer in binarized(model):
        assert set(layer.binarizer_variables) == extra
        for key, variable in layer.binarizer_variables.items():
            assert variable.trainable == (key not in FROZEN)
    distiller = ThinnableDistiller(model)
    distiller.compile(keras.optimizers.SGD(0.05), run_eagerly=True)
    before = {path: np.array(v) for path, v in variables_by_path(model).items()}
    history = distiller.fit(x, y, epochs=2, batch_size=12, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    for path, variable in variables_by_path(model).items():
        assert np.isfinite(variable).all(), path
        if path.rsplit("/", 1)[-1] in {"kernel", *extra} and "norm" not in path:
            assert not np.array_equal(variable, before[path]), path
    path = tmp_path / "model.keras"
    model.save(path)
    loaded = keras.models.load_model(path)
    assert loaded.binarizer.name == name
    for thin in model.switches:
        np.testing.assert_array_equal(loaded(x, thin=thin), model(x, thin=thin))


def test_variables_are_those_of_the_layers_inputs():
    model = network("react_net")
    shapes = {
        path.rsplit("/", 1)[0]: tuple(v.shape)
        for path, v in variables_by_path(model).items() if path.endswith("/beta")
        if not ("norm" in path or "bn" in path)
    }
    assert shapes == {
        "conv2": (4,), "fc1": (12,),
        **{f"block{i}/memory": (8,) for i in (1, 2)},
        **{f"block{i}/hidden": (8,) for i in (1, 2)},
        **{f"block{i}/projection": (12,) for i in (1, 2)},
    }


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"vanilla", "lpb"}))
def test_official_arithmetic_is_refused(name):
    with pytest.raises(ValueError, match=f"'lpb', 'vanilla'.*Received: binarizer='{name}'"):
        BinaryDense(3, binarizer=name, weight_scale="official")


# --- schedule -----------------------------------------------------------------------------------


class Recorder(keras.callbacks.Callback):
    """t and k of every layer during each epoch."""

    def __init__(self, layers):
        super().__init__()
        self.layers = layers
        self.values = []

    def on_train_batch_end(self, batch, logs=None):
        values = {
            tuple(float(layer.binarizer_variables[key]) for key in ("t", "k"))
            for layer in self.layers
        }
        assert len(values) == 1
        self.values += values


def expected_estimators(epochs, t_min=0.1, t_max=10.0):
    t = np.geomspace(t_min, t_max, epochs)
    return np.stack([t, np.maximum(1 / t, 1)], axis=1)


def test_end_points_of_the_schedule():
    binarizer = binarizers.IRNet(t_min=1e-3, t_max=10.0)
    layer = BinaryDense(3, binarizer=binarizer)
    layer.build((None, 8))
    variables = layer.binarizer_variables
    for progress, t, k in ((None, 1e-3, 1e3), (0.5, 0.1, 10.0), (1.0, 10.0, 1.0), (0, 1e-3, 1e3)):
        if progress is not None:
            binarizer.schedule(variables, progress)
        np.testing.assert_allclose(
            [float(variables["t"]), float(variables["k"])], [t, k], rtol=1e-5
        )


def test_the_distiller_moves_the_schedule():
    model = network("ir_net")
    distiller = ThinnableDistiller(model)
    distiller.compile(keras.optimizers.SGD(0.01), run_eagerly=True)
    x, y = data()
    recorder = Recorder(binarized(model))
    distiller.fit(x, y, epochs=2, batch_size=12, verbose=0, callbacks=[recorder])
    np.testing.assert_allclose(recorder.values, expected_estimators(2), rtol=1e-5)
    # Taken up again in the middle of a longer training.
    recorder = Recorder(binarized(model))
    distiller.fit(
        x, y, epochs=4, initial_epoch=2, batch_size=12, verbose=0,
        callbacks=[BinarizerSchedule(5), recorder],
    )
    np.testing.assert_allclose(recorder.values, expected_estimators(5)[2:4], rtol=1e-5)


def test_any_model_can_be_scheduled_inside_a_compiled_step():
    layers = [
        BinaryConv2D(4, 3, binarizer=binarizers.IRNet(0.01, 5.0)),
        keras.layers.GlobalAveragePooling2D(),
        BinaryDense(3, binarizer=binarizers.IRNet(0.01, 5.0)),
    ]
    model = keras.Sequential([keras.Input((8, 8, 1)), *layers])
    model.compile(
        keras.optimizers.SGD(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=True,
    )
    recorder = Recorder([layers[0], layers[2]])
    x, y = data()
    model.fit(
        x, y, epochs=3, batch_size=12, verbose=0, callbacks=[BinarizerSchedule(), recorder]
    )
    expected = expected_estimators(3, 0.01, 5.0)
    np.testing.assert_allclose(recorder.values, expected, rtol=1e-5)

    # The compiled step reads the variables: a gradient at the end differs from one at the start.
    def gradient(v):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layers[2](v))
        return tape.gradient(loss, layers[2].kernel)

    step = tf.function(gradient, jit_compile=True)
    v = tf.ones((1, 4))
    late = step(v).numpy()
    layers[2].binarizer.schedule(layers[2].binarizer_variables, 0.0)
    assert not np.allclose(step(v), late)


def test_training_by_the_clock_moves_the_schedule_with_the_time():
    now = [0.0]
    clock = Clock(1.0, learning_rate=2.0, now=lambda: now[0])
    model = network("ir_net")
    model.compile(keras.optimizers.SGD(0.01))
    clock.set_model(model)
    clock.set_params({"epochs": 1_000_000})
    clock.on_train_begin()
    for seconds, t in ((0, 0.1), (30, 1.0), (60, 10.0), (90, 10.0)):
        now[0] = seconds
        clock.on_epoch_begin(7)
        np.testing.assert_allclose(float(model.fc1.binarizer_variables["t"]), t, rtol=1e-5)


@pytest.mark.parametrize("epochs", [0, -1, 2.5, "3"])
def test_wrong_epochs(epochs):
    with pytest.raises(ValueError, match="`epochs` should be a positive integer.*Received"):
        BinarizerSchedule(epochs)


# --- losses that layers add ---------------------------------------------------------------------


def test_the_distiller_adds_the_regularizer_of_every_forward():
    x, y = data()
    model = network(binarizers.RAD(0.5))
    plain = network("bnn")
    plain.set_weights(model.get_weights())
    distiller, plain_distiller = ThinnableDistiller(model), ThinnableDistiller(plain)
    distiller.compile("sgd")
    plain_distiller.compile("sgd")
    parts = distiller.switch_losses(x, y)
    plain_parts = plain_distiller.switch_losses(x, y)
    for thin, part, without in zip(model.switches, parts, plain_parts, strict=True):
        model(x, thin=thin)
        added = [float(loss) for loss in model.losses]
        assert len(added) == 2 + 3 * len(model.active_blocks(thin))
        assert min(added) >= 0 and sum(added) > 0.01
        np.testing.assert_allclose(part["cross_entropy"], without["cross_entropy"], rtol=1e-5)
        np.testing.assert_allclose(part["loss"] - without["loss"], sum(added), rtol=1e-4)
    with tf.GradientTape() as tape:
        total = distiller.total_loss(distiller.switch_losses(x, y))
    np.testing.assert_allclose(
        total, sum(w * p["loss"] for w, p in zip((1.0, 0.5), parts)), rtol=1e-5
    )
    assert np.abs(tape.gradient(total, model.conv1.kernel)).max() > 0
