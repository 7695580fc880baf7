"""Trainings: what they write, interruption and resumption, refusals, divergence."""

import csv
import dataclasses
import signal
import threading

import keras
import numpy as np
import pytest
from small_trainings import ROBUST, SMALL, Interrupt, assert_same_weights, train_teacher

from bifsmn_tf import recipes
from bifsmn_tf.data import FeatureViews
from bifsmn_tf.data.distractors import Distractors
from bifsmn_tf.files import held
from bifsmn_tf.recipes.checkpoints import TrainingDiverged


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
        train_teacher(data, tmp_path, callbacks=[Interrupt(2)])
    resumed = train_teacher(data, tmp_path)
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
    again = train_teacher(data, folder, callbacks=[Interrupt(0)])
    assert again.history == whole.history
    assert (folder / "teacher.keras").stat().st_mtime_ns == before


def test_other_settings_are_refused(data, trained):
    _, folder = trained
    with pytest.raises(ValueError, match="seed: 0 then, 5 now"):
        train_teacher(data, folder, seed=5)


def test_damaged_state_is_reported(data, tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "teacher.npz").write_bytes(b"no archive")
    with pytest.raises(ValueError, match="no readable training state"):
        train_teacher(data, tmp_path)


def test_a_state_that_was_cut_short_is_reported(data, trained, tmp_path):
    whole = (trained[1] / "state" / "teacher.npz").read_bytes()
    (tmp_path / "state").mkdir()
    for length in (len(whole) // 2, len(whole) - 30):
        (tmp_path / "state" / "teacher.npz").write_bytes(whole[:length])
        with pytest.raises(ValueError, match="no readable training state"):
            train_teacher(data, tmp_path)


def test_a_folder_that_another_process_writes_to_is_refused(data, tmp_path):
    with held(tmp_path / "state"):
        with pytest.raises(ValueError, match="another process is writing to"):
            train_teacher(data, tmp_path)
    assert not (tmp_path / "teacher.keras").exists()


def test_robust_teacher_resumes(data, tmp_path):
    whole = train_teacher(data, tmp_path / "whole", ROBUST)
    assert [row["epoch"] for row in whole.history] == [1, 2, 3]
    with pytest.raises(KeyboardInterrupt):
        train_teacher(data, tmp_path / "parts", ROBUST, callbacks=[Interrupt(2)])
    resumed = train_teacher(data, tmp_path / "parts", ROBUST)
    assert resumed.resumed_at == 2
    for a, b in zip(whole.history, resumed.history):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-5)
        assert a["val_accuracy"] == b["val_accuracy"]
    assert_same_weights(*(tmp_path / f / "teacher_last.keras" for f in ("whole", "parts")))
    changed = dataclasses.replace(ROBUST, masks=0.25)
    with pytest.raises(ValueError, match="masks: 0.5 then, 0.25 now"):
        train_teacher(data, tmp_path / "whole", changed)


@pytest.mark.parametrize("minutes", [None, 5])
def test_an_interrupt_is_heard_while_a_view_is_awaited(data, monkeypatch, minutes):
    awaited, given_up = threading.Event(), threading.Event()
    made, waits, answers = [], [], []

    make, wait, close = Distractors.make, FeatureViews.wait, FeatureViews.close

    def interrupting_make(*args):
        """Ctrl-C while the second view is made, which takes five minutes if it is not heard."""
        made.append(args)
        if len(made) == 2:
            assert awaited.wait(300)
            for _ in range(60):
                # Again, if need be: one that comes just before the thread falls asleep is heard
                # when it wakes up.
                signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
                if given_up.wait(5):
                    break
            answers.append(given_up.is_set())
        return make(*args)

    def watched_wait(views, view):
        waits.append(view)
        if view == 1:
            awaited.set()
        wait(views, view)

    def watched_close(views):
        given_up.set()
        close(views)

    monkeypatch.setattr(FeatureViews, "wait", watched_wait)
    monkeypatch.setattr(FeatureViews, "close", watched_close)
    monkeypatch.setattr(Distractors, "make", interrupting_make)
    # Of a process in the background a shell ignores it.
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            train_teacher(data, None, ROBUST, minutes=minutes)
    finally:
        signal.signal(signal.SIGINT, handler)
    # By the clock the first is also awaited before it starts.
    assert sorted(set(waits)) == [0, 1] and answers == [True]


def test_divergence_is_an_error(data, tmp_path):
    recipe = recipes.Recipe("sgd", 1e30, epochs=2, batch_size=16)
    model = recipes.make_teacher(data, **SMALL)
    with pytest.raises(TrainingDiverged, match="smaller learning rate"):
        recipes.train_teacher(
            data, model, recipe, folder=tmp_path, jit_compile=False, verbose=False
        )
    assert not (tmp_path / "teacher.keras").exists()
