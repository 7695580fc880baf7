"""Recipes by name, from files, and those that make no sense."""

import dataclasses
import json

import numpy as np
import pytest
from small_trainings import RECIPE, SMALL

from bifsmn_tf import recipes
from bifsmn_tf.distillation import LogitMSE, SoftTargets


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
    ({"schedule": "false"}, "`schedule` should be True or False. Received: schedule='false'"),
    ({"nesterov": 1}, "`nesterov` should be True or False"),
    ({"per_epoch": None}, "`per_epoch` should be True or False"),
    ({"optimizer": "adam", "weight_decay": 0.01}, "`weight_decay` needs optimizer='adamw' or"),
    ({"augmentation": "robust", "views": True}, "Received: views=True"),
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
    values = dataclasses.asdict(dataclasses.replace(RECIPE, optimizer="adamw", **changes))
    assert values.items() >= changes.items()
    assert json.loads(json.dumps(values)) == values  # they are written into files


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
