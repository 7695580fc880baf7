"""Students: losses, thresholds and rates of each kind, resumption, teachers that do not fit."""

import dataclasses

import keras
import numpy as np
import pytest
from small_trainings import RECIPE, ROBUST, SMALL, Interrupt, assert_same_weights

from bifsmn_tf import ThinnableDistiller, models, recipes
from bifsmn_tf.distillation import FID, HED, LogitMSE, SoftTargets
from bifsmn_tf.evaluation import evaluate
from bifsmn_tf.layers.binarized import binarized_layers
from bifsmn_tf.models import BiFSMN, BiFSMNv2
from bifsmn_tf.recipes.batches import validation_batches
from bifsmn_tf.sign_freezing import SignFreezing


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
        train(tmp_path / "parts", callbacks=[Interrupt(1)])
    resumed = train(tmp_path / "parts")
    assert resumed.resumed_at == 1
    assert resumed.history[1]["loss"] == pytest.approx(whole.history[1]["loss"], rel=1e-4)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"distillation": "none"}, r"distillation: \{.*HED.* then, None now"),
        ({"logits": "mse"}, "logits.class: SoftTargets then, LogitMSE now"),
        ({"logits": SoftTargets(temperature=4.0)}, "logits.temperature: 2.0 then, 4.0 now"),
        ({"gamma": 1.0}, "gamma: 0.01 then, 1.0 now"),
        ({"initialize": False}, "initialize: True then, False now"),
        ({"switch_weights": (1, 1)}, "switch_weights: .* now"),
        ({"freeze_signs": True}, "freeze_signs: False then, True now"),
        ({"switches": (1.0,)}, r"network.switches: \[1.0, 0.5\] then, \[1.0\] now"),
        ({"teacher": None}, "teacher: .* then, .* now"),
    ],
)
def test_other_arguments_are_another_training(data, trained, tmp_path_factory, changes, message):
    folder = tmp_path_factory.getbasetemp() / "same_student"

    def train(switches=(1.0, 0.5), **kwargs):
        teacher = trained[0].model
        if "teacher" in kwargs:
            teacher = recipes.make_teacher(data, **SMALL)  # of other weights
            del kwargs["teacher"]
        model = recipes.make_student(data, switches=switches, **SMALL)
        return recipes.train_student(
            data, teacher, model, RECIPE, epochs=1, folder=folder, jit_compile=False,
            verbose=False, **kwargs,
        )  # fmt: skip

    train()  # found finished but for the first time
    with pytest.raises(ValueError, match=message):
        train(**changes)


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
        model = recipes.make_student(
            data, network="bifsmnv2", switches=(1.0, 0.5), binarizer="lpb", **SMALL
        )
        return recipes.train_student(
            data, teacher, model, RECIPE, epochs=2, folder=folder, jit_compile=False,
            verbose=False, **kwargs,
        )  # fmt: skip

    whole = train(tmp_path / "whole")
    assert whole.history[1]["loss"] < whole.history[0]["loss"]
    windows = [v for v in whole.model.weights if "window" in v.path]
    assert any(abs(float(v) - 1) > 1e-4 for v in windows)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "parts", callbacks=[Interrupt(1)])
    resumed = train(tmp_path / "parts")
    assert resumed.resumed_at == 1
    assert resumed.history[1]["loss"] == pytest.approx(whole.history[1]["loss"], rel=1e-4)
    best = keras.saving.load_model(tmp_path / "parts" / "student.keras")
    assert type(best) is BiFSMNv2
    x = np.random.default_rng(0).normal(size=(2, 32, 32, 1)).astype(np.float32)
    np.testing.assert_array_equal(best(x, thin=0.5), resumed.model(x, thin=0.5))


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
        train(tmp_path / "parts", callbacks=[Interrupt(1)])
    resumed = train(tmp_path / "parts")
    assert resumed.resumed_at == 1
    assert resumed.history[1]["loss"] == pytest.approx(whole.history[1]["loss"], rel=1e-4)
    assert_same_weights(*(tmp_path / f / "student_last.keras" for f in ("whole", "parts")))


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
