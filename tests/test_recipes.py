"""Recipes: optimizers and schedules in closed form, training, interruption and resumption."""

import csv
import dataclasses
import functools
import json
import pathlib
import shutil
import sys
import types

import keras
import numpy as np
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent / "tools"))

from tones import make_tones

from bifsmn_tf import ThinnableDistiller, models, recipes
from bifsmn_tf.recipes.batches import even_batch_size, training_batches, validation_batches
from bifsmn_tf.recipes.checkpoints import TrainingDiverged
from bifsmn_tf.recipes.clock import Clock
from bifsmn_tf.data import SpeechCommands
from bifsmn_tf.distillation import FID, HED, LogitMSE, SoftTargets
from bifsmn_tf.evaluation import evaluate
from bifsmn_tf.layers.binarized import binarized_layers
from bifsmn_tf.models import BiFSMN, BiFSMNv2
from bifsmn_tf.optimizers import CosineSchedule, SGDWithCoupledDecay
from bifsmn_tf.sign_freezing import SignFreezing

SMALL = {"variant": "S", "num_blocks": 2}
RECIPE = recipes.Recipe("adam", 5e-3, epochs=3, batch_size=16, warmup_epochs=1)
ROBUST = dataclasses.replace(
    RECIPE, augmentation="robust", views=2, distractors=0.5, masks=0.5, mixup=0.5
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return SpeechCommands(make_tones(tmp_path_factory.mktemp("tones")), ["yes", "no"])


def _train_teacher(data, folder, recipe=RECIPE, **kwargs):
    model = recipes.make_teacher(data, **SMALL)
    return recipes.train_teacher(
        data, model, recipe, folder=folder, jit_compile=False, verbose=False, **kwargs
    )


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    """A teacher trained without interruption, and its folder."""
    folder = tmp_path_factory.mktemp("whole")
    return _train_teacher(data, folder), folder


class _Interrupt(keras.callbacks.Callback):
    """Ctrl-C in the middle of an epoch."""

    def __init__(self, epoch):
        super().__init__()
        self.at = epoch

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == (self.at, 1):
            raise KeyboardInterrupt


def test_cosine_schedule_closed_form():
    schedule = CosineSchedule(2.0, total_steps=100)
    for step, expected in ((0, 2.0), (25, 1 + np.cos(np.pi / 4)), (50, 1.0), (100, 0.0), (120, 0)):
        assert float(schedule(step)) == pytest.approx(expected, abs=1e-6)


def test_cosine_schedule_per_epoch_is_constant_within_an_epoch():
    schedule = CosineSchedule(1.0, total_steps=40, steps_per_epoch=10)
    assert float(schedule(10)) == float(schedule(19))
    assert float(schedule(20)) == pytest.approx(0.5)


def test_cosine_schedule_warms_up():
    schedule = CosineSchedule(1.0, total_steps=110, warmup_steps=10)
    assert [float(schedule(s)) for s in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0])
    assert float(schedule(60)) == pytest.approx(0.5)
    again = CosineSchedule.from_config(schedule.get_config())
    assert float(again(33)) == float(schedule(33))


@pytest.mark.parametrize("bad", [{"learning_rate": 0}, {"total_steps": 0}, {"warmup_steps": 11}])
def test_cosine_schedule_rejects(bad):
    with pytest.raises(ValueError, match="Received"):
        CosineSchedule(**{"learning_rate": 1.0, "total_steps": 10, **bad})


@pytest.mark.parametrize("nesterov", [False, True])
def test_coupled_decay_by_hand(nesterov):
    rate, momentum, decay = 0.1, 0.9, 0.5
    optimizer = SGDWithCoupledDecay(rate, momentum, nesterov, coupled_decay=decay)
    variable = keras.Variable(2.0)
    optimizer.build([variable])
    w, v = 2.0, 0.0
    for gradient in (1.0, -0.5, 0.25):
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
        g = gradient + decay * w
        v = momentum * v - rate * g
        w = w + (momentum * v - rate * g if nesterov else v)
        assert float(variable) == pytest.approx(w, rel=1e-6)


def test_paper_recipe():
    student, teacher = (recipes.get("paper", name) for name in ("student", "teacher"))
    assert (student.learning_rate, student.epochs, student.batch_size) == (5e-3, 300, 96)
    optimizer = teacher.make_optimizer(10, 7)
    assert optimizer.nesterov and optimizer.momentum == 0.9 and optimizer.coupled_decay == 1e-2
    with pytest.raises(ValueError, match="default, light, paper"):
        recipes.get("best", "student")


def test_recipes_of_every_name():
    for name in ("default", "light", "paper"):
        for network in ("teacher", "student"):
            recipe = recipes.get(name, network)
            assert recipe.augmentation == ("robust" if name == "default" else "released")
            assert recipe.soft_labels == (name == "default")
            assert recipes.get({network: recipe}, network) is recipes.get(recipe, network)
    loss = recipes.get("default", "student").make_loss()
    y, logits = np.array([[0.25, 0.75]]), np.array([[0.0, np.log(3)]])
    assert float(loss(y, logits)) == pytest.approx(-(0.25 * np.log(0.25) + 0.75 * np.log(0.75)))
    loss = recipes.get("light", "student").make_loss()
    assert float(loss(np.array([1]), logits)) == pytest.approx(-np.log(0.75))


@pytest.mark.parametrize("changes, message", [
    ({"augmentation": "stronger"}, "released or robust. Received: augmentation='stronger'"),
    ({"augmentation": "robust"}, "at least one. Received: views=0"),
    ({"augmentation": "robust", "views": 2.5}, "whole number of views.* views=2.5"),
    ({"views": 3}, "need augmentation='robust'. Received: views=3"),
    ({"distractors": -0.1}, "`distractors` should be within 0 and 1"),
    ({"dropout": 1.0}, "`dropout` should be a number from 0 to below 1"),
    ({"dropout": "0.1"}, "`dropout` should be a number.* Received: dropout='0.1'"),
    ({"optimizer": "lamb"}, "should be adam, adamw or sgd. Received: optimizer='lamb'"),
    ({"learning_rate": 0.0}, "`learning_rate` should be a positive number. Received"),
    ({"learning_rate": float("nan")}, "Received: learning_rate=nan"),
    ({"learning_rate": float("inf")}, "Received: learning_rate=inf"),
    ({"learning_rate": True}, "Received: learning_rate=True"),
    ({"learning_rate": None}, "Received: learning_rate=None"),
    ({"epochs": 0}, "`epochs` should be a positive whole number. Received: epochs=0"),
    ({"epochs": 2.0}, "Received: epochs=2.0"),
    ({"epochs": True}, "Received: epochs=True"),
    ({"batch_size": -1}, "`batch_size` should be a positive whole number. Received"),
    ({"warmup_epochs": -1}, "`warmup_epochs` should be zero or a positive number. Received"),
    ({"weight_decay": "0"}, "`weight_decay` should be zero or a positive number. Received"),
    ({"distractors": True}, "Received: distractors=True"),
    ({"centred": 1}, "`centred` should be True or False. Received: centred=1"),
    ({"threshold_rate": -1}, "zero or a positive number, or None. Received: threshold_rate=-1"),
    ({"threshold_rate": True}, "Received: threshold_rate=True"),
    ({"spoken": 0.1}, "need augmentation='robust'.*spoken=0.1"),
    ({"masks": 0.5}, "need augmentation='robust'.*masks=0.5"),
    ({"mixup": 0.5}, "need augmentation='robust'.*mixup=0.5"),
    ({"augmentation": "robust", "views": 1, "masks": 1.5}, "`masks` should be within 0 and 1"),
    ({"augmentation": "robust", "views": 1, "mixup": -0.1}, "`mixup` should be within 0 and 1"),
    ({"augmentation": "robust", "views": 1, "distractors": 30}, "Received: distractors=30"),
    ({"augmentation": "robust", "views": 1, "spoken": 2}, "`spoken` should be within 0 and 1"),
])  # fmt: skip
def test_recipes_that_make_no_sense(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(RECIPE, **changes)


def test_recipes_take_numbers_of_numpy():
    changes = {
        "learning_rate": np.float32(1e-3), "epochs": np.int64(2), "batch_size": np.int32(8),
        "warmup_epochs": np.int64(0), "weight_decay": np.float64(0.1), "dropout": np.float32(0),
        "distractors": np.float32(0.5),
    }  # fmt: skip
    assert dataclasses.asdict(dataclasses.replace(RECIPE, **changes)).items() >= changes.items()


def test_recipes_decide_dropout_of_networks_that_have_any(data):
    recipe = dataclasses.replace(RECIPE, dropout=0.1)
    assert recipes.make_teacher(data, recipe=RECIPE, **SMALL).dropout == 0.2  # the published
    assert recipes.make_teacher(data, recipe=recipe, **SMALL).dropout == 0.1
    assert recipes.make_teacher(data, recipe=recipe, dropout=0.3, **SMALL).dropout == 0.3
    student = recipes.make_student(data, recipe=recipe, switches=(1.0,), **SMALL)
    assert student.dropout == 0.1
    assert recipes.make_teacher(data, network="fsmn", recipe=recipe).labels == list(data.labels)


def test_recipes_from_a_file(tmp_path):
    path = tmp_path / "tuned.json"
    changes = {"student": {"learning_rate": 0.003, "mixup": 0.25, "views": 7}}
    path.write_text(json.dumps(changes), encoding="utf-8")
    read = recipes.read(path)
    assert read["teacher"] == recipes.get("default", "teacher")
    assert read["student"] == dataclasses.replace(
        recipes.get("default", "student"), learning_rate=0.003, mixup=0.25, views=7
    )
    assert recipes.get(read, "student") is read["student"]
    everything = {network: dataclasses.asdict(recipe) for network, recipe in read.items()}
    path.write_text(json.dumps(everything), encoding="utf-8")
    assert recipes.read(path) == read


@pytest.mark.parametrize("field, value, expected", [
    ("optimizer", "lamb", "adam, adamw or sgd"),
    ("optimizer", ["adam"], "adam, adamw or sgd"),
    ("learning_rate", "4e-3", "a positive number"),
    ("learning_rate", -1, "a positive number"),
    ("epochs", "60", "a positive whole number"),
    ("batch_size", 0, "a positive whole number"),
    ("warmup_epochs", None, "zero or a positive number"),
    ("weight_decay", -0.1, "zero or a positive number"),
    ("masks", "0.5", "within 0 and 1"),
])  # fmt: skip
def test_a_file_of_a_wrong_value_names_it(tmp_path, field, value, expected):
    path = tmp_path / "tuned.json"
    path.write_text(json.dumps({"student": {field: value}}), encoding="utf-8")
    with pytest.raises(ValueError) as error:
        recipes.read(path)
    assert str(error.value) == (
        f"{path} is no file of recipes. Received: `{field}` should be {expected}. "
        f"Received: {field}={value!r}"
    )


@pytest.mark.parametrize("text", [
    "{", "[]", "3", '{"pupil": {}}', '{"student": {"learning_speed": 1}}', '{"student": null}',
    '{"student": {"views": "many"}}', '{"teacher": {"masks": 2}}',
    '{"teacher": {"augmentation": "released"}}', '{"student": []} {}',
])  # fmt: skip
def test_a_file_of_something_else(tmp_path, text):
    path = tmp_path / "tuned.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="tuned.json is no file of recipes. Received: "):
        recipes.read(path)


def test_distillations_of_logits_by_name():
    soft = recipes.make_logits("soft")
    assert isinstance(soft, SoftTargets) and (soft.temperature, soft.weight) == (2.0, 1.0)
    soft = recipes.make_logits("soft", temperature=3.0, weight=0.5)
    assert (soft.temperature, soft.weight) == (3.0, 0.5)
    mse = recipes.make_logits("mse", temperature=3.0)
    assert isinstance(mse, LogitMSE) and mse.weight == LogitMSE().weight
    assert recipes.make_logits("mse", weight=0.5).weight == 0.5
    assert recipes.make_logits("none", weight=0.5) == "none"
    with pytest.raises(ValueError, match="`logits` should be one of soft, mse, none"):
        recipes.make_logits("hard")


@pytest.mark.parametrize(
    "count, size", [(1383, 461), (100, 100), (4445, 635), (1024, 256), (2027, 2027), (4001, 256)]
)
def test_even_batch_size(count, size):
    assert even_batch_size(count) == size


def test_training_batches_can_start_at_any_epoch(data):
    dataset, steps = training_batches(data, RECIPE, seed=3)
    assert steps == len(list(dataset))
    second = next(iter(dataset))
    late, _ = training_batches(data, RECIPE, seed=3, first_epoch=1)
    for a, b in zip(second, next(iter(late))):
        np.testing.assert_array_equal(a, b)


def test_robust_batches_can_start_at_any_epoch(data):
    dataset, steps = training_batches(data, ROBUST, seed=3)
    epochs = [list(dataset) for _ in range(3)]
    assert steps == len(epochs[0])
    labels = np.concatenate([y for _, y in epochs[0]])
    assert labels.shape == (16 * steps, 4) and labels.max() == 1
    np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-6)
    assert 0.2 < np.mean(labels.max(axis=1) < 1) < 0.6  # mixed with another class
    late, _ = training_batches(data, ROBUST, seed=3, first_epoch=2)
    for a, b in zip(epochs[2], late, strict=True):
        np.testing.assert_array_equal(a[0], b[0])
        np.testing.assert_array_equal(a[1], b[1])
    assert np.any(epochs[0][0][0] != epochs[2][0][0])


def test_released_batches_have_digital_silence(data):
    def of_zeros(share):
        recipe = dataclasses.replace(RECIPE, digital_silence=share)
        dataset, _ = training_batches(data, recipe, seed=3)
        batches = [batch for _ in range(4) for batch in dataset]
        x, y = (np.concatenate(parts) for parts in zip(*batches))
        return y[np.all(x == -100, axis=(1, 2, 3))]

    assert set(of_zeros(1.0)) == {data.labels.index("_silence_")}
    assert not len(of_zeros(0.0))


def test_views_are_shared_by_trainings_of_any_seed(data, tmp_path):
    def sum_of_first_epoch(recipe, seed):
        cached = SpeechCommands(data.root, ["yes", "no"], cache_dir=tmp_path)
        dataset, _ = training_batches(cached, recipe, seed)
        return sum(float(np.sum(x)) for x, _ in dataset)

    plain = dataclasses.replace(ROBUST, masks=0.0, mixup=0.0)
    first, second = (sum_of_first_epoch(recipe, 1) for recipe in (plain, ROBUST))
    sum_of_first_epoch(dataclasses.replace(plain, views=1), 2)
    assert first != second
    assert len(list(tmp_path.glob("**/views-*"))) == 1
    sum_of_first_epoch(dataclasses.replace(plain, distractors=0.0), 1)
    assert len(list(tmp_path.glob("**/views-*"))) == 2


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_spoken_words_are_batches_like_others(data):
    first, again, without = (
        list(training_batches(data, dataclasses.replace(ROBUST, spoken=share), seed=0)[0])
        for share in (0.5, 0.5, 0.0)
    )
    for (x, y), (same, labels), (other, _) in zip(first, again, without, strict=True):
        np.testing.assert_array_equal(x, same)
        np.testing.assert_array_equal(y, labels)
        assert np.isfinite(x).all() and np.any(x != other)


def test_spoken_words_need_the_program_at_once(data, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="espeak-ng`; or train with spoken=0. Received"):
        training_batches(data, dataclasses.replace(ROBUST, spoken=0.5), seed=0)


def test_soft_labels_of_validation(data):
    hard, soft = (validation_batches(data, soft_labels=value) for value in (False, True))
    assert hard.options().autotune.enabled is False  # or every epoch waits for the tuner's thread
    (x, classes), (y, shares) = next(iter(hard)), next(iter(soft))
    np.testing.assert_array_equal(x, y)
    np.testing.assert_array_equal(shares, np.eye(4)[classes])


def test_training_writes_everything(trained):
    training, folder = trained
    names = {p.name for p in folder.iterdir()}
    assert names == {"teacher.keras", "teacher_last.keras", "teacher_history.csv", "logs", "state"}
    rows = list(csv.DictReader(open(folder / "teacher_history.csv", encoding="utf-8")))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert float(rows[1]["val_accuracy"]) == training.history[1]["val_accuracy"]
    best = keras.saving.load_model(folder / "teacher.keras")
    assert best.labels == ["_silence_", "_unknown_", "yes", "no"]
    for a, b in zip(best.get_weights(), training.model.get_weights()):
        np.testing.assert_array_equal(a, b)
    assert list((folder / "logs" / "teacher" / "validation").glob("events*"))
    assert training.best["val_accuracy"] == max(r["val_accuracy"] for r in training.history)


def test_interrupted_training_ends_like_an_uninterrupted_one(data, trained, tmp_path):
    whole, folder = trained
    with pytest.raises(KeyboardInterrupt):
        _train_teacher(data, tmp_path, callbacks=[_Interrupt(2)])
    resumed = _train_teacher(data, tmp_path)
    assert resumed.resumed_at == 2
    assert [r["epoch"] for r in resumed.history] == [1, 2, 3]
    for a, b in zip(whole.history, resumed.history):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-5)
        assert a["val_accuracy"] == b["val_accuracy"]
    last = [keras.saving.load_model(f / "teacher_last.keras") for f in (folder, tmp_path)]
    for a, b in zip(last[0].get_weights(), last[1].get_weights()):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_finished_training_is_not_repeated(data, trained):
    whole, folder = trained
    before = (folder / "teacher.keras").stat().st_mtime_ns
    again = _train_teacher(data, folder, callbacks=[_Interrupt(0)])
    assert again.history == whole.history
    assert (folder / "teacher.keras").stat().st_mtime_ns == before


def test_other_settings_are_refused(data, trained):
    _, folder = trained
    with pytest.raises(ValueError, match="seed: 0 then, 5 now"):
        _train_teacher(data, folder, seed=5)


def test_damaged_state_is_reported(data, tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "teacher.npz").write_bytes(b"no archive")
    with pytest.raises(ValueError, match="no readable training state"):
        _train_teacher(data, tmp_path)


@pytest.mark.parametrize("freeze_signs", [False, True])
def test_student_learns_from_teacher_and_resumes(
    data, trained, tmp_path, monkeypatch, freeze_signs
):
    teacher = trained[0].model
    # The few steps of this training would freeze nothing otherwise.
    monkeypatch.setattr(
        "bifsmn_tf.recipes.train.SignFreezing", lambda: SignFreezing(0.01, 0.01, every=1)
    )

    def train(folder, **kwargs):
        model = recipes.make_student(data, switches=(1.0, 0.5), **SMALL)
        return recipes.train_student(
            data, teacher, model, RECIPE, epochs=2, folder=folder, jit_compile=False,
            verbose=False, freeze_signs=freeze_signs, **kwargs,
        )  # fmt: skip

    whole = train(tmp_path / "whole")
    kernels = [layer.kernel for layer in binarized_layers(whole.model)]
    frozen = [np.isclose(np.abs(kernel), 1.5, atol=0.1).any() for kernel in kernels]
    assert freeze_signs == any(frozen)
    assert {"val_accuracy_0.5", "distillation_1.0"} <= set(whole.history[0])
    assert freeze_signs or whole.history[1]["loss"] < whole.history[0]["loss"]
    assert not teacher.trainable_variables
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "parts", callbacks=[_Interrupt(1)])
    resumed = train(tmp_path / "parts")
    assert resumed.resumed_at == 1
    assert resumed.history[1]["loss"] == pytest.approx(whole.history[1]["loss"], rel=1e-4)


@pytest.mark.parametrize("network, binarizer", [("bifsmnv2", "lpb"), ("bifsmn", "react_net")])
def test_recipes_decide_where_thresholds_begin_and_how_fast_they_learn(
    data, trained, network, binarizer
):
    started = []

    class Start(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            thresholds = {
                f"{layer.path}/{name}": variable
                for layer in binarized_layers(self.model.student)
                for name, variable in layer.binarizer_variables.items()
                if not name.startswith("window")
            }
            multipliers = {getattr(v, "learning_rate_multiplier", 1.0) for v in thresholds.values()}
            started.append(({p: v.numpy() for p, v in thresholds.items()}, multipliers))
            raise KeyboardInterrupt

    def start(recipe, **kwargs):
        model = recipes.make_student(
            data, network=network, binarizer=binarizer, switches=(1.0, 0.5), **SMALL
        )
        with pytest.raises(KeyboardInterrupt):
            recipes.train_student(
                data, trained[0].model, model, recipe, epochs=2, jit_compile=False, verbose=False,
                callbacks=[Start()], **kwargs,
            )  # fmt: skip
        return started.pop()

    own = 0.1 if binarizer == "lpb" else 1.0
    chosen = recipes.get("default", "student")
    assert chosen.centred and chosen.threshold_rate == 1.0
    for recipe, initialize, centred, rate in (
        (RECIPE, True, False, own),
        (dataclasses.replace(RECIPE, centred=True), True, True, own),
        # Another stage goes on with its own.
        (dataclasses.replace(RECIPE, centred=True, threshold_rate=0.5), False, False, 0.5),
    ):
        values, multipliers = start(recipe, initialize=initialize)
        largest = {path: np.abs(value).max() for path, value in values.items()}
        assert all((size > 0.01) == centred for size in largest.values()), largest
        assert multipliers == {rate}


def test_each_student_has_its_own_losses(data, trained, monkeypatch):
    made = []

    class Recorded(ThinnableDistiller):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            made.append((type(self.distillation), type(self.logits)))

    monkeypatch.setattr("bifsmn_tf.recipes.train.ThinnableDistiller", Recorded)
    monkeypatch.setattr("bifsmn_tf.recipes.train.run", lambda *args, **kwargs: None)

    class Derived(BiFSMNv2):
        pass

    first = recipes.make_student(data, network="bifsmn", **SMALL, switches=(1.0,))
    second = recipes.make_student(data, network="bifsmnv2", **SMALL, switches=(1.0,))
    third = Derived(len(data.labels), **SMALL, switches=(1.0,))
    assert (type(first), type(second)) == (BiFSMN, BiFSMNv2)
    for model in (first, second, third):
        recipes.train_student(data, trained[0].model, model)
    recipes.train_student(data, trained[0].model, second, distillation="hed", logits="none")
    for model in (first, second):
        recipes.train_student(data, trained[0].model, model, recipe="paper")
    expected = [
        (HED, SoftTargets), (FID, SoftTargets), (FID, SoftTargets), (HED, type(None)),
        (HED, type(None)), (FID, LogitMSE),
    ]  # fmt: skip
    assert made == expected
    made.clear()
    for model in (first, second, third):
        recipes.train_student(data, trained[0].model, model, recipe="paper")
    assert made == [(HED, type(None)), (FID, LogitMSE), (FID, LogitMSE)]
    recipes.train_student(data, trained[0].model, first, recipe="paper", logits="soft")
    assert made[-1] == (HED, SoftTargets)
    with pytest.raises(ValueError, match="bifsmnv2, fsmn. Received: network='vgg'"):
        recipes.make_student(data, network="vgg")


def test_second_version_learns_with_its_own_rates(data, trained, tmp_path):
    teacher = trained[0].model

    def train(folder, **kwargs):
        model = recipes.make_student(data, network="bifsmnv2", switches=(1.0, 0.5), **SMALL)
        return recipes.train_student(
            data, teacher, model, RECIPE, epochs=2, folder=folder, jit_compile=False,
            verbose=False, **kwargs,
        )  # fmt: skip

    whole = train(tmp_path / "whole")
    assert whole.history[1]["loss"] < whole.history[0]["loss"]
    windows = [v for v in whole.model.weights if "window" in v.path]
    assert any(abs(float(v) - 1) > 1e-4 for v in windows)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "parts", callbacks=[_Interrupt(1)])
    resumed = train(tmp_path / "parts")
    assert resumed.resumed_at == 1
    assert resumed.history[1]["loss"] == pytest.approx(whole.history[1]["loss"], rel=1e-4)
    best = keras.saving.load_model(tmp_path / "parts" / "student.keras")
    assert type(best) is BiFSMNv2
    x = np.random.default_rng(0).normal(size=(2, 32, 32, 1)).astype(np.float32)
    np.testing.assert_array_equal(best(x, thin=0.5), resumed.model(x, thin=0.5))


def _assert_same_weights(*files):
    ours, theirs = (keras.saving.load_model(file, compile=False).get_weights() for file in files)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_robust_teacher_resumes(data, tmp_path):
    whole = _train_teacher(data, tmp_path / "whole", ROBUST)
    assert [row["epoch"] for row in whole.history] == [1, 2, 3]
    with pytest.raises(KeyboardInterrupt):
        _train_teacher(data, tmp_path / "parts", ROBUST, callbacks=[_Interrupt(2)])
    resumed = _train_teacher(data, tmp_path / "parts", ROBUST)
    assert resumed.resumed_at == 2
    for a, b in zip(whole.history, resumed.history):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-5)
        assert a["val_accuracy"] == b["val_accuracy"]
    _assert_same_weights(*(tmp_path / f / "teacher_last.keras" for f in ("whole", "parts")))
    changed = dataclasses.replace(ROBUST, masks=0.25)
    with pytest.raises(ValueError, match="masks: 0.5 then, 0.25 now"):
        _train_teacher(data, tmp_path / "whole", changed)


def test_robust_student_resumes(data, trained, tmp_path):
    def train(folder, **kwargs):
        model = recipes.make_student(
            data, switches=(1.0, 0.5), network="bifsmnv2", switch_all_bn=True, **SMALL
        )
        return recipes.train_student(
            data, trained[0].model, model, {"student": ROBUST}, epochs=2, folder=folder,
            jit_compile=False, verbose=False, **kwargs,
        )  # fmt: skip

    whole = train(tmp_path / "whole")
    assert {"val_accuracy_0.5", "distillation_1.0"} <= set(whole.history[0])
    # Accuracy is that of class numbers: the network itself gets as many clips right.
    x, labels = next(iter(validation_batches(data)))
    best = np.mean(np.argmax(whole.model(x, thin=1.0), axis=-1) == labels)
    assert whole.best["val_accuracy_1.0"] == pytest.approx(best)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "parts", callbacks=[_Interrupt(1)])
    resumed = train(tmp_path / "parts")
    assert resumed.resumed_at == 1
    assert resumed.history[1]["loss"] == pytest.approx(whole.history[1]["loss"], rel=1e-4)
    _assert_same_weights(*(tmp_path / f / "student_last.keras" for f in ("whole", "parts")))


def test_student_needs_a_teacher_only_where_asked(data):
    with pytest.raises(ValueError, match="initialize=True"):
        recipes.train_student(data, None, distillation="none", logits="none")
    with pytest.raises(ValueError, match="hed, fid, attention, none"):
        recipes.train_student(data, None, distillation="hedge")


def test_student_refuses_a_teacher_of_other_labels(data, trained):
    other = recipes.make_teacher(data, **SMALL)
    other.labels = other.labels[::-1]
    with pytest.raises(ValueError, match="same labels"):
        recipes.train_student(data, other, recipes.make_student(data, **SMALL, switches=(1.0,)))


def test_divergence_is_an_error(data, tmp_path):
    recipe = recipes.Recipe("sgd", 1e30, epochs=2, batch_size=16)
    model = recipes.make_teacher(data, **SMALL)
    with pytest.raises(TrainingDiverged, match="smaller learning rate"):
        recipes.train_teacher(
            data, model, recipe, folder=tmp_path, jit_compile=False, verbose=False
        )
    assert not (tmp_path / "teacher.keras").exists()


class _Seconds(keras.callbacks.Callback):
    """A time in which a step takes one second and a validation five."""

    passed = 0

    def on_train_batch_begin(self, batch, logs=None):
        self.passed += 1

    def on_test_begin(self, logs=None):
        self.passed += 5


def test_training_by_the_clock_ends_in_time(data, monkeypatch):
    seconds = _Seconds()
    clock = functools.partial(Clock, now=lambda: seconds.passed)
    monkeypatch.setattr("bifsmn_tf.recipes.running.Clock", clock)
    model = recipes.make_teacher(data, **SMALL)
    training = recipes.train_teacher(
        data, model, RECIPE, minutes=0.5, jit_compile=False, verbose=False, callbacks=[seconds]
    )
    # To the step, or over by the validation after the last epoch that fits in.
    assert 25 < seconds.passed <= 30 + 1 + 5
    assert training.history[-1]["learning_rate"] < 0.1 * RECIPE.learning_rate


def test_training_by_the_clock_cannot_be_resumed(data):
    model = recipes.make_teacher(data, **SMALL)
    with pytest.raises(ValueError, match="cannot be resumed"):
        recipes.train_teacher(data, model, RECIPE, minutes=1, folder="nowhere")


def test_clock_follows_the_time():
    class Model:
        stop_training = False
        optimizer = type("Optimizer", (), {"learning_rate": 0.0})()

    now = [0.0]
    clock = Clock(1.0, learning_rate=2.0, warmup_steps=0, now=lambda: now[0])
    clock.set_model(Model())
    clock.on_train_begin()
    for seconds, rate in ((15, 1 + np.cos(np.pi / 4)), (30, 1.0), (45, 1 - np.cos(np.pi / 4))):
        now[0] = seconds
        clock.on_train_batch_end(0)
        assert clock.model.optimizer.learning_rate == pytest.approx(rate)
        assert not clock.model.stop_training
    now[0] = 60.5
    clock.on_train_batch_end(0)
    assert clock.model.stop_training


@pytest.mark.parametrize("name", ["fsmn", pytest.param("audiomer", marks=pytest.mark.slow)])
def test_a_network_of_another_architecture(data, name):
    sizes = {
        "audiomer": {"channels": (4,), "num_samples": 64, "context": False},
        "fsmn": {"memory_size": 8, "num_filters": 32, "num_blocks": 2, "mode": "sound"},
    }[name]
    keras.utils.set_random_seed(0)
    teacher, student = (
        models.get(name, len(data.labels), labels=list(data.labels), binarizer=binarizer, **sizes)
        for binarizer in (None, "vanilla")
    )
    once = dataclasses.replace(RECIPE, epochs=1)
    training = recipes.train_teacher(data, teacher, once, jit_compile=False, verbose=False)
    assert np.isfinite(training.history[0]["val_loss"])
    training = recipes.train_student(
        data, teacher, student, once, jit_compile=False, verbose=False,
        distillation="hed" if name == "fsmn" else "none",
    )  # fmt: skip
    assert np.isfinite(training.history[0]["loss"])
    evaluation = evaluate(student, data, "validation")
    inputs, labels = next(iter(validation_batches(data, network=student)))
    assert tuple(inputs.shape[1:]) == student.clip_shape
    correct = (np.argmax(student(inputs), axis=-1) == labels.numpy()).sum()
    assert evaluation.switches[0].correct == correct and len(labels) == evaluation.switches[0].count


@pytest.mark.parametrize("network, shape", [
    (None, (32, 32, 1)),
    (types.SimpleNamespace(num_mels=40), (40, 32, 1)),
    (types.SimpleNamespace(num_samples=8192), (8192,)),
])  # fmt: skip
def test_inputs_that_a_network_wants(data, network, shape):
    recipe = dataclasses.replace(RECIPE, batch_size=4)
    dataset, _ = training_batches(data, recipe, seed=0, network=network)
    assert tuple(dataset.element_spec[0].shape[1:]) == shape
    inputs, _ = next(iter(validation_batches(data, network=network)))
    assert tuple(inputs.shape[1:]) == shape
