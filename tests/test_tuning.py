"""Search over recipes: the space, interruption and resumption, table, picture, best recipe."""

import csv
import dataclasses
import io
import json

import keras
import pytest

from bifsmn_tf import plots, recipes, tuning
from bifsmn_tf.data import SpeechCommands

LIGHT = dataclasses.replace(recipes.get("light", "teacher"), batch_size=24)


@pytest.fixture(scope="module")
def data(tones):
    return SpeechCommands(tones, ["yes", "no"])


@pytest.fixture(scope="module")
def teacher(data):
    return recipes.make_teacher(data, variant="S", num_blocks=2)


class Formula(tuning.Subject):
    """Accuracy by a formula instead of a training; counts its calls."""

    def __init__(self, *args, fail_at=None, diverge_above=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.calls = []
        self.fail_at = fail_at
        self.diverge_above = diverge_above

    def train(self, values, epochs, folder, callbacks=()):
        if len(self.calls) == self.fail_at:
            raise KeyboardInterrupt
        self.calls.append((values, epochs))
        if self.diverge_above and values["learning_rate"] > self.diverge_above:
            raise recipes.TrainingDiverged("The loss is not a finite number")
        accuracy = 0.9 - 20 * abs(values["learning_rate"] - 4e-3) - 0.1 / epochs
        accuracy += 0.05 * values.get("mixup", 0)
        return {
            "accuracy": accuracy, "switches": {"1.0": accuracy}, "best_epoch": epochs,
            "minutes": 0.5,
        }  # fmt: skip


def space_of(subject, text="learning_rate,mixup"):
    return tuning.make_space(subject, [tuning.parse(part) for part in text.split(",")])


def table(search, trials):
    """The report's CSV without the time."""
    rows = csv.DictReader(io.StringIO(tuning.Report(search, trials).to_csv()))
    return [{key: value for key, value in row.items() if key != "minutes"} for row in rows]


def test_a_hyperparameter_from_words():
    rate = tuning.parse("learning_rate=1e-3:5e-3")
    assert (rate.low, rate.high, rate.log, rate.searched) == (1e-3, 5e-3, True, True)
    assert tuning.parse("batch_size=64/128").choices == (64, 128)
    assert tuning.parse("distillation=hed/none").choices == ("hed", "none")
    assert not tuning.parse("mixup=0.3").searched
    assert tuning.parse("mixup") == tuning.PARAMETERS["mixup"]
    assert str(rate) == "learning_rate=0.001:0.005"


@pytest.mark.parametrize(
    "text, message",
    [
        ("momentum", "should be one of learning_rate, .*Received: momentum"),
        ("mixup=1.5", "a number from 0 to 1. Received: 1.5"),
        ("learning_rate=0", "a positive number. Received: 0"),
        ("learning_rate=nan", "a positive number. Received: nan"),
        ("learning_rate=2:1", "from low to high. Received: 2:1"),
        ("batch_size=32:64", "no range. Received: 32:64"),
        ("batch_size=1.5", "a positive integer. Received: 1.5"),
        ("mixup=0.3/0.3", "twice. Received: 0.3/0.3"),
        ("distillation=best", "hed, fid, attention, none. Received: best"),
    ],
)
def test_words_that_make_no_hyperparameter(text, message):
    with pytest.raises(ValueError, match=message):
        tuning.parse(text)


def test_the_space_is_what_recipe_and_loss_use(data, teacher):
    def names(*args, **kwargs):
        return [p.name for p in tuning.make_space(tuning.Subject(data, *args, **kwargs))]

    shared = ["learning_rate", "batch_size"]
    assert names() == [*shared, "weight_decay", "masks", "mixup"]
    assert names(recipe="light") == shared
    loss = ["distillation", "gamma", "temperature", "logits_weight"]
    assert names("student", teacher) == [*shared, "masks", "mixup", *loss]
    assert names("student", teacher, logits="none")[-2:] == ["distillation", "gamma"]


def test_the_weight_of_logits_is_searched_around_the_kinds_own(data, teacher):
    subject = tuning.Subject(data, "student", teacher, logits="mse")
    (weight,) = space_of(subject, "logits_weight")
    assert (weight.low, weight.high) == pytest.approx((1e-3, 1e-1))
    (weight,) = space_of(subject, "logits_weight=0.5:2")
    assert (weight.low, weight.high) == (0.5, 2)


@pytest.mark.parametrize(
    "kwargs, text, message",
    [
        ({"recipe": "light"}, "mixup", "the recipe's augmentation has none"),
        ({}, "gamma", "belongs to the student's loss"),
        ({}, "mixup,mixup=0/1", "named once"),
        ({}, "mixup=0.3", "several values. Received: mixup=0.3"),
    ],
)
def test_a_space_that_makes_no_sense(data, kwargs, text, message):
    with pytest.raises(ValueError, match=message):
        space_of(tuning.Subject(data, **kwargs), text)


def test_a_students_space_that_makes_no_sense(data, teacher):
    subject = tuning.Subject(data, "student", teacher, distillation="none", logits="mse")
    for text, message in (("gamma", "no distillation of hidden"), ("temperature", "softened")):
        with pytest.raises(ValueError, match=message):
            space_of(subject, text)
    assert [p.name for p in space_of(subject, "gamma,distillation=hed/none")] == [
        "distillation", "gamma",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "kwargs, message",
    [
        ({"network": "both"}, "teacher or student"),
        ({"network": "student"}, "needs a teacher"),
        ({"model": "vgg"}, "bifsmn, bifsmnv2, fsmn"),
        ({"logits": "mse"}, "a student's"),
    ],
)
def test_a_subject_that_makes_no_sense(data, kwargs, message):
    with pytest.raises(ValueError, match=message):
        tuning.Subject(data, **kwargs)


@pytest.mark.parametrize(
    "kwargs, message",
    [
        ({"method": "grid"}, "hyperband, bayesian, random. Received: method='grid'"),
        ({"method": "random"}, "needs a number of trials"),
        ({"epochs": 0}, "`epochs` should be at least 1"),
        ({"factor": 1}, "`factor` should be at least 2"),
        ({"trials": 0}, "`trials` should be at least 1"),
    ],
)
def test_a_search_that_makes_no_sense(data, tmp_path, kwargs, message):
    subject = Formula(data)
    with pytest.raises(ValueError, match=message):
        tuning.Search(subject, space_of(subject), tmp_path, **kwargs)
    assert not list(tmp_path.iterdir())


def _methods():
    try:
        import sklearn  # noqa: F401
    except ImportError:
        return ["random", "hyperband"]
    return ["random", "hyperband", "bayesian"]


@pytest.mark.parametrize("method", _methods())
def test_an_interrupted_search_ends_with_the_same_table(data, tmp_path, method, capfd):
    def make(folder, **kwargs):
        subject = Formula(data, **kwargs)
        # Three at random, then two of a Gaussian process, which is slow.
        trials = {"hyperband": None, "bayesian": 5, "random": 7}[method]
        return subject, tuning.Search(
            subject, space_of(subject), tmp_path / folder, method, trials, epochs=4, factor=2
        )

    subject, search = make("whole")
    whole = search.run()
    assert [trial.epochs for trial in whole] == search.plan
    assert len(subject.calls) == len(search.plan)
    for at in (0, 4):
        subject, search = make("parts", fail_at=at)
        with pytest.raises(KeyboardInterrupt):
            search.run()
    stored = []
    subject, search = make("parts")
    parts = search.run(lambda trial, old: stored.append(old))
    assert stored == [True] * 4 + [False] * (len(whole) - 4)
    assert table(search, parts) == table(search, whole)
    assert len({(str(t.values), t.epochs) for t in whole}) > 4
    assert capfd.readouterr().out == ""


def test_hyperband_trains_the_best_ones_longer(data, tmp_path):
    subject = Formula(data)
    search = tuning.Search(subject, space_of(subject), tmp_path, epochs=4, factor=2)
    trials = search.run()[1:]
    first = [t for t in trials if t.epochs == 1]
    assert set(search.plan) == {1, 2, 4} and len(first) > 3
    going_on = [t for t in trials if t.epochs == 2 and t.values in [f.values for f in first]]
    best = sorted(first, key=lambda t: -t.accuracy)[: len(going_on)]
    assert going_on and {str(t.values) for t in going_on} == {str(t.values) for t in best}


def test_more_trials_can_be_added(data, tmp_path):
    def run(folder, count):
        subject = Formula(data)
        search = tuning.Search(subject, space_of(subject), tmp_path / folder, "random", count)
        return search.run(), subject

    first, _ = run("parts", 2)
    more, subject = run("parts", 5)
    assert more[:3] == first and len(subject.calls) == 3
    assert [t.values for t in more] == [t.values for t in run("whole", 5)[0]]


def test_hyperband_needs_trials_of_all_epochs(data, tmp_path):
    subject = Formula(data)
    for text, trials in (("learning_rate", 3), ("learning_rate=0.001/0.002", None)):
        with pytest.raises(ValueError, match="trained for all epochs"):
            tuning.Search(subject, space_of(subject, text), tmp_path, trials=trials, epochs=4)


def test_seeds_give_other_proposals(data, tmp_path):
    def values(folder, seed):
        subject = Formula(data)
        search = tuning.Search(
            subject, space_of(subject), tmp_path / folder, "random", 2, seed=seed
        )
        return [trial.values for trial in search.run()]

    assert values("a", 0) == values("b", 0)
    assert values("a", 0)[1:] != values("c", 1)[1:]


def test_another_search_in_the_same_folder_is_refused(data, tmp_path):
    subject = Formula(data)
    arguments = (subject, space_of(subject), tmp_path, "random", 1)
    tuning.Search(*arguments).run()
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
    for change, message in (
        ({"epochs": 5}, "epochs: 9 then, 5 now"),
        ({"seed": 2}, "search_seed: 0 then, 2 now"),
        ({"settings": {"task": 12}}, "task: None then, 12 now"),
    ):
        with pytest.raises(ValueError, match=message):
            tuning.Search(*arguments, **change)
    with pytest.raises(ValueError, match="space: .*mixup.* then, .*now"):
        tuning.Search(subject, space_of(subject, "learning_rate"), tmp_path, "random", 1)
    with pytest.raises(ValueError, match="method: random then, hyperband now"):
        tuning.Search(*arguments[:3])
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == before
    # Forgotten when the trainings begin, not before.
    space = space_of(subject, "learning_rate")
    other = tuning.Search(subject, space, tmp_path, "random", 1, restart=True)
    with pytest.raises(ValueError, match="all epochs"):
        tuning.Search(*arguments[:3], "hyperband", 2, restart=True)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == before
    assert len(other.run()) == 2
    with pytest.raises(ValueError, match="space: .* then, .* now"):
        tuning.Search(*arguments)


def test_a_damaged_trial_is_reported(data, tmp_path):
    subject = Formula(data)
    search = tuning.Search(subject, space_of(subject), tmp_path, "random", 1)
    search.run()
    (tmp_path / "trials" / "0001" / "trial.json").write_text("{")
    with pytest.raises(ValueError, match="0001.*not readable"):
        search.run()


def test_an_error_ends_the_search_as_it_is(data, tmp_path):
    class Broken(Formula):
        def train(self, values, *args, **kwargs):
            if self.calls:
                raise OSError(28, "No space left on device", "there")
            return super().train(values, *args, **kwargs)

    subject = Broken(data)
    search = tuning.Search(subject, space_of(subject), tmp_path, "random", 3)
    with pytest.raises(OSError, match="No space left"):
        search.run()
    assert search.stored(0) is not None and search.stored(1) is None


def test_a_diverged_trial_counts_as_chance(data, tmp_path):
    subject = Formula(data, diverge_above=2e-3)
    search = tuning.Search(subject, space_of(subject), tmp_path / "s", "random", 6)
    trials = search.run()
    diverged = [trial for trial in trials if trial.diverged]
    assert diverged and len(diverged) < 6
    assert all(t.accuracy == data.baselines("validation")["majority"] for t in diverged)
    report = tuning.Report(search, trials)
    assert "diverged" in report.to_markdown("train") and report.best not in diverged
    plots.search(report, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_report_ranks_and_recipes_can_read_the_best(data, tmp_path):
    subject = Formula(data)
    search = tuning.Search(
        subject, space_of(subject, "learning_rate=3e-3/5e-3,mixup=0/1,batch_size=48"),
        tmp_path, epochs=4, factor=2,
    )  # fmt: skip
    trials = search.run()
    report = tuning.Report(search, trials)
    longest = [trial for trial in trials if trial.epochs == 4]
    assert report.best.accuracy == max(trial.accuracy for trial in longest)
    assert report.best.values["mixup"] == 1.0 and report.gain > 0
    rows = table(search, trials)
    assert [row["epochs"] for row in rows] == sorted([r["epochs"] for r in rows], reverse=True)
    assert rows[0]["accuracy"] == str(report.best.accuracy)
    (tmp_path / "best.json").write_text(json.dumps(report.recipe()))
    best = recipes.read(tmp_path / "best.json")
    rate = report.best.values["learning_rate"]
    assert best["teacher"] == dataclasses.replace(
        recipes.get("default", "teacher"), learning_rate=rate, mixup=1.0, batch_size=48
    )
    assert best["student"] == recipes.get("default", "student")
    text = report.to_markdown("tools/train.py the command")
    assert "| 0 (recipe)" in text and "\n    tools/train.py the command\n" in text


def test_no_better_trial_is_said(data, tmp_path):
    subject = Formula(data)
    search = tuning.Search(subject, space_of(subject, "learning_rate=0.01/0.02"), tmp_path,
                           "random", 2)  # fmt: skip
    report = tuning.Report(search, search.run())
    assert report.best.number == 0 and report.gain == 0 and report.recipe() == {}
    assert "No trial of 9 epochs was better than trial 0." in report.notes()


def test_another_recipe_to_start_from_can_be_read_again(data, tmp_path):
    subject = tuning.Subject(data, recipe="light")
    path = tmp_path / "best.json"
    path.write_text(json.dumps(subject.recipe_changes({"learning_rate": 1e-3})))
    light = recipes.RECIPES["light"]
    assert recipes.read(path) == {
        "teacher": dataclasses.replace(light["teacher"], learning_rate=1e-3),
        "student": light["student"],
    }


def test_weight_decay_makes_adam_adamw(data, teacher):
    subject = tuning.Subject(data, "student", teacher)
    assert subject.recipe({"weight_decay": 0.01}).optimizer == "adamw"
    assert subject.recipe({"weight_decay": 0.0}).optimizer == "adam"


def test_the_loss_follows_the_values(data, teacher):
    subject = tuning.Subject(data, "student", teacher)
    assert subject.loss({"gamma": 0.5, "mixup": 0.1}) == {
        "distillation": "hed", "gamma": 0.5, "logits": "soft", "temperature": 2.0,
        "logits_weight": 1.0,
    }  # fmt: skip
    assert tuning.Subject(data).loss({}) == {}


class _Interrupt(keras.callbacks.Callback):
    """Ctrl-C at the start of the second epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt


@pytest.mark.slow
def test_a_real_trial_goes_on_within_itself(data, tmp_path):
    def make(folder):
        subject = tuning.Subject(
            data, recipe=LIGHT, jit_compile=False, variant="S", num_blocks=2
        )
        return tuning.Search(
            subject, space_of(subject, "learning_rate"), tmp_path / folder, "random", 1, epochs=2
        )

    whole = make("whole").run()
    with pytest.raises(KeyboardInterrupt):
        make("parts").run(callbacks=lambda number, *_: [_Interrupt()] * (number == 1))
    first_epoch = tmp_path / "parts" / "trials" / "0001" / "teacher_history.csv"
    before = list(csv.DictReader(open(first_epoch, encoding="utf-8")))
    search = make("parts")
    parts = search.run()
    after = list(csv.DictReader(open(first_epoch, encoding="utf-8")))
    assert len(before) == 1 and after[0] == before[0] and len(after) == 2
    assert table(search, parts) == table(search, whole)
    assert {p.name for p in first_epoch.parent.iterdir()} == {
        "trial.json", "teacher.keras", "teacher_history.csv", "logs",
    }  # fmt: skip


def test_a_student_counts_with_the_mean_of_its_switches(data, teacher, tmp_path):
    recipe = dataclasses.replace(recipes.get("light", "student"), batch_size=24)
    subject = tuning.Subject(
        data, "student", teacher, recipe=recipe, jit_compile=False, variant="S", num_blocks=2,
        switches=(1.0, 0.5),
    )  # fmt: skip
    search = tuning.Search(
        subject, space_of(subject, "gamma,temperature=1/4,distillation=fid/none"), tmp_path / "s",
        "random", 1, epochs=1,
    )  # fmt: skip
    trials = search.run()
    for trial in trials:
        assert set(trial.switches) == {"1.0", "0.5"}
        assert trial.accuracy == pytest.approx(sum(trial.switches.values()) / 2)
    assert trials[0].values == {"distillation": "hed", "gamma": 0.01, "temperature": 2.0}
    report = tuning.Report(search, trials)
    assert "accuracy_0.5" in report.to_csv() and "0.5, %" in report.to_markdown("train")
    plots.search(report, tmp_path / "picture.png")
