"""train.py: recipes from a file, and options that change them."""

import json

import keras
import pytest

SIZE = ("--task", "yes,no", "--variant", "S", "--thin", "1.0,0.25")


@pytest.fixture
def recipe_file(tmp_path):
    """Writes a file of recipes."""

    def write(**changes):
        path = tmp_path / "recipe.json"
        path.write_text(json.dumps(changes))
        return path

    return write


def test_train_with_a_recipe_from_a_file(tones, tool, tmp_path, recipe_file, capsys):
    path = recipe_file(
        teacher={"epochs": 1, "views": 1, "learning_rate": 0.003},
        student={"epochs": 1, "views": 1, "batch_size": 24},
    )
    out, cache = tmp_path / "out", tmp_path / "cache"
    arguments = (
        tones, out, *SIZE, "--recipe", path, "--mixup", "1", "--masks", "0", "--no-switch-all-bn",
        "--temperature", "4", "--logits-weight", "0.5", "--cache", cache, "--no-jit",
    )  # fmt: skip
    assert tool("train", *arguments) == 0
    record = json.loads((out / "run.json").read_text())
    assert record["arguments"]["recipe"] == str(path)
    assert record["teacher"]["epochs"] == record["student"]["epochs"] == 1
    student = keras.saving.load_model(out / "student.keras", compile=False)
    assert not student.switch_all_bn
    assert len(list(cache.glob("**/views-*"))) == 1  # shared by teacher and student
    capsys.readouterr()
    for option, value, message in (
        ("--temperature", "3", "temperature: 4.0 then, 3.0 now"),
        ("--logits-weight", "1", "logits_weight: 0.5 then, 1.0 now"),
        ("--masks", "0.5", "masks: 0.0 then, 0.5 now"),
        ("--mixup", "0.5", "mixup: 1.0 then, 0.5 now"),
    ):
        assert tool("train", *arguments, option, value) == 1
        assert message in capsys.readouterr().err
    assert tool("train", *arguments, "--switch-all-bn") == 1
    assert "switch_all_bn: False then, True now" in capsys.readouterr().err

    # A second stage, with a rate too small to move anything.
    second = tmp_path / "second"
    start = ("--start", out / "student.keras", "--teacher", out / "teacher.keras")
    options = (*arguments[2:], *start, "--learning-rate", "1e-12")
    assert tool("train", tones, second, *options) == 0
    moved = keras.saving.load_model(second / "student.keras", compile=False)
    for ours, theirs in zip(moved.trainable_weights, student.trainable_weights):
        assert ours.numpy() == pytest.approx(theirs.numpy(), abs=1e-7)
    assert tool("train", tones, tmp_path / "third", *options, "--switch-all-bn") == 1
    assert "--start should be a student of the same kind" in capsys.readouterr().err


@pytest.mark.parametrize("options", [
    ("--recipe", "hope"), ("--recipe", "missing.json"), ("--masks", "1.5"), ("--mixup", "-0.1"),
    ("--spoken", "2"), ("--teacher-dropout", "-1"),
    ("--temperature", "0"), ("--logits-weight", "-1"), ("--switch-weights", "1,0.5,0.25"),
])  # fmt: skip
def test_wrong_usage(tones, tool, tmp_path, options, capsys):
    with pytest.raises(SystemExit) as stopped:
        tool("train", tones, tmp_path / "out", *SIZE, *options)
    assert stopped.value.code == 2 and options[0] in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "options", [("--masks", "0.5"), ("--mixup", "0.5"), ("--spoken", "0.5")]
)
@pytest.mark.parametrize("recipe", ["light", "paper"])
def test_options_of_the_robust_recipe_are_refused_before_the_teacher(
    tones, tool, tmp_path, recipe, options, capsys
):
    assert tool("train", tones, tmp_path / "out", *SIZE, "--recipe", recipe, *options) == 1
    assert "need augmentation='robust'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_bad_recipe_files_are_refused_before_the_teacher(
    tones, tool, tmp_path, recipe_file, capsys
):
    path = recipe_file(student={"learning_speed": 1})
    assert tool("train", tones, tmp_path / "out", *SIZE, "--recipe", path) == 1
    assert "recipe.json is no file of recipes" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
