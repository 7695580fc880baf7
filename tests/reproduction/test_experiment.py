"""Runs: what is stored, shared, resumed and reported."""

import csv
import dataclasses
import io
import json

import keras
import numpy as np
import pytest

from bifsmn_tf import plots, recipes
from bifsmn_tf.reproduction import report as reports
from bifsmn_tf.reproduction.experiment import Experiment, Run
from bifsmn_tf.reproduction.few_clips import FewClips
from bifsmn_tf.reproduction.tables import Network


@pytest.fixture(scope="module")
def data(tones):
    return FewClips(tones, task=("yes", "no"), protocol="warden")


def experiment(data, folder, epochs=2, **kwargs):
    return Experiment(
        {12: data}, folder, epochs=epochs, teacher_epochs=epochs, jit_compile=False, **kwargs
    )


@pytest.fixture(scope="module")
def finished(data, rows, tmp_path_factory):
    """An experiment whose rows are trained with one seed."""
    result = experiment(data, tmp_path_factory.mktemp("finished"))
    for run in result.runs(rows, [0]):
        result.train(run)
    return result


def weights_of(folder, name):
    model = keras.saving.load_model(folder / f"{name}_last.keras", compile=False)
    return model.get_weights()


def test_teachers_come_first_and_are_shared(finished, rows):
    titles = [run.title for run in finished.runs(rows[1:], [0, 1])]
    assert titles == [
        "float DFSMN, 12 classes, seed 0", "hed, seed 0", "plain, seed 0",
        "float DFSMN, 12 classes, seed 1", "hed, seed 1", "plain, seed 1",
    ]  # fmt: skip
    # The row of the float network is that run.
    assert [run.title for run in finished.runs(rows, [0])] == [
        "float, seed 0", "hed, seed 0", "plain, seed 0",
    ]  # fmt: skip
    assert len(list((finished.folder / "runs").iterdir())) == 3


def test_records_name_everything(finished, rows):
    record = finished.stored(finished.run_of(rows[1], 0))
    configuration = record["configuration"]
    assert configuration["distillation"] == "hed" and configuration["seed"] == 0
    assert configuration["labels"] == ["_silence_", "_unknown_", "yes", "no"]
    assert configuration["clips"]["training"].startswith("58-")
    assert configuration["recipe"]["batch_size"] == 96 and configuration["epochs"] == 2
    switches = record["evaluations"]["testing"]["switches"]
    assert set(switches) == {"1.0", "0.5"} and switches["1.0"]["n"] == 10
    assert set(record["validation_accuracy"]) == {"1.0", "0.5"}


def test_a_finished_run_is_not_trained_again(data, finished, rows, monkeypatch):
    again = experiment(data, finished.folder)
    monkeypatch.setattr(recipes, "train_student", None)
    monkeypatch.setattr(recipes, "train_teacher", None)
    for row in rows:
        run = again.run_of(row, 0)
        assert again.train(run) == finished.stored(run)
    for other in (experiment(data, finished.folder, epochs=3), experiment(data, finished.folder)):
        assert other.stored(other.run_of(rows[0], 1)) is None
    longer = experiment(data, finished.folder, epochs=3)
    assert longer.stored(longer.run_of(rows[0], 0)) is None


def test_another_subset_needs_no_training(data, finished, rows, monkeypatch):
    other = experiment(data, finished.folder, subset="validation")
    run = other.run_of(rows[1], 0)
    assert other.stored(run) is None
    monkeypatch.setattr(keras.Model, "fit", None)
    record = other.train(run)
    assert set(record["evaluations"]) == {"testing", "validation"}
    accuracy = record["evaluations"]["validation"]["switches"]["1.0"]["accuracy"]
    assert accuracy == pytest.approx(record["validation_accuracy"]["1.0"])
    assert finished.stored(run) == record


class _Interrupt(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise KeyboardInterrupt


def test_an_interrupted_run_goes_on(data, finished, rows, tmp_path):
    again = experiment(data, tmp_path)
    teacher, student = again.runs(rows[1:2], [0])
    again.train(teacher)
    with pytest.raises(KeyboardInterrupt):
        again.train(student, callbacks=[_Interrupt(1)])
    folder = tmp_path / "runs" / again.key(student)
    assert (folder / "state" / "student.npz").exists() and not (folder / "run.json").exists()
    assert again.stored(student) is None
    epochs = []
    record = experiment(data, tmp_path).train(
        student,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=lambda e, logs: epochs.append(e))],
    )
    assert epochs == [1]
    expected = finished.stored(student)
    assert record["evaluations"]["testing"] == expected["evaluations"]["testing"]
    straight = weights_of(finished.folder / "runs" / again.key(student), "student")
    for a, b in zip(weights_of(folder, "student"), straight):
        np.testing.assert_array_equal(a, b)


def test_a_recipe_gives_the_papers_networks_its_dropout(data, rows, tmp_path):
    recipe = recipes.Recipe("adam", 1e-3, epochs=1)
    usual = experiment(data, tmp_path, 1, recipe=recipe)
    other = experiment(data, tmp_path, 1, recipe=dataclasses.replace(recipe, dropout=0.125))
    for run in other.runs(rows[1:2], [0]):
        assert "dropout" not in usual.configuration(run)["arguments"]
        assert other.configuration(run)["arguments"]["dropout"] == 0.125
        assert other.key(run) != usual.key(run)
        assert other.train(run)["diverged"] is None
        name = "student" if run.teacher else "teacher"
        file = tmp_path / "runs" / other.key(run) / f"{name}.keras"
        model = keras.saving.load_model(file, compile=False)
        assert model.dropout == model.classifier_dropout.rate == 0.125
    for name in ("Audiomer", "FSMN"):
        comparison = Run("comparison", Network(name), 12, 0)
        assert "dropout" not in other.configuration(comparison)["arguments"]
    own = Run("own", Network("DFSMN", {"dropout": 0.25}), 12, 0)
    assert other.configuration(own)["arguments"]["dropout"] == 0.25


def test_a_diverged_run_is_a_result(data, rows, tmp_path):
    recipe = recipes.Recipe("sgd", 1e30, epochs=2, schedule=False)
    diverging = experiment(data, tmp_path, recipe=recipe)
    for run in diverging.runs(rows[:2], [0]):
        assert "not a finite number" in diverging.train(run)["diverged"]
    lines = reports.make_lines(diverging, rows[:2], [0])
    assert [line.measured for line in lines] == ["1 diverged"] * 3
    assert "diverged" in reports.Report("t", ("p",), lines).to_csv()


def test_a_damaged_record_is_named(data, finished, rows, tmp_path):
    broken = experiment(data, tmp_path)
    run = broken.run_of(rows[0], 0)
    path = tmp_path / "runs" / broken.key(run) / "run.json"
    path.parent.mkdir(parents=True)
    path.write_text("{")
    with pytest.raises(ValueError, match="run.json is no readable record.*Received"):
        broken.train(run)


def test_few_clips_keep_the_shares_of_classes(tones):
    few = FewClips(tones, {"training": 29}, task=("yes", "no"), protocol="warden")
    counts = few.class_counts("training")
    assert sum(counts.values()) == 29 == len(few.waveforms("training")[1])
    assert few.available("training") == 58
    assert all(abs(counts[word] - 12) <= 1 for word in ("yes", "no"))
    assert sum(few.class_counts("testing").values()) == 10


def test_report(finished, rows, tmp_path):
    lines = reports.make_lines(finished, rows, [0, 1])
    assert [(line.row.name, line.switch) for line in lines] == [
        ("float", 1.0), ("hed", 1.0), ("hed", 0.5), ("plain", 1.0), ("plain", 0.5),
    ]  # fmt: skip
    assert lines[2].paper_v1 == 70.0 and lines[2].paper_flops == 0.5 and lines[2].baseline == 0.4
    record = finished.stored(finished.run_of(rows[1], 0))["evaluations"]["testing"]
    assert lines[1].accuracies == {0: record["switches"]["1.0"]["accuracy"]}
    assert lines[1].measured.endswith(", 1 to train") and lines[1].deviation is None

    protocol = reports.protocol_of(finished, rows, [0, 1])
    text = " ".join(protocol)
    for part in ("warden protocol", "58 training", "10 validation", "10 testing", "2 seeds",
                 "2 epochs for float", "40.00 %", "20.00 %"):  # fmt: skip
        assert part in text
    assert "QUICK" not in text

    quick = reports.protocol_of(finished, rows, [0], {"training": 30})
    assert quick[0].startswith("QUICK TRIAL") and "2 epochs" in quick[0]
    report = reports.Report("Title", quick, lines, quick=True)
    markdown = report.to_markdown()
    assert markdown.startswith("# Title (QUICK TRIAL)") and "hed: A note." in markdown
    table = list(csv.DictReader(io.StringIO(report.to_csv())))
    assert [row["quick"] for row in table] == ["yes"] * 5
    assert table[2]["paper_v2"] == "71.00" and table[2]["seed_1"] == ""
    assert float(table[1]["mean"]) == pytest.approx(lines[1].mean, abs=1e-4)
    assert json.loads(json.dumps(report.to_dict()))["lines"][1]["paper"]["v2"] == 81.0
    plots.reproduction(report, tmp_path / "t.png")
    assert (tmp_path / "t.png").read_bytes().startswith(b"\x89PNG")


def test_mean_and_spread(rows):
    line = reports.Line(
        rows[1], 1.0, 1.0, 1, 1.0, 80.0, None, {0: 0.5, 1: 0.52, 2: 0.54}, (), (), 0.4
    )
    assert line.mean == pytest.approx(52) and line.deviation == pytest.approx(2)
    assert line.measured == "52.00 ± 2.00"
