"""Training by the clock."""

import functools

import keras
import numpy as np
import pytest
from small_trainings import RECIPE, ROBUST, SMALL

from bifsmn_tf import recipes
from bifsmn_tf.recipes.clock import Clock


class _Seconds(keras.callbacks.Callback):
    """A time in which a step takes one second and a validation five."""

    passed = 0

    def on_train_batch_begin(self, batch, logs=None):
        self.passed += 1

    def on_test_begin(self, logs=None):
        self.passed += 5


@pytest.mark.parametrize("recipe", [RECIPE, ROBUST], ids=["released", "robust"])
def test_training_by_the_clock_ends_in_time(data, monkeypatch, recipe):
    seconds = _Seconds()
    clock = functools.partial(Clock, now=lambda: seconds.passed)
    monkeypatch.setattr("bifsmn_tf.recipes.running.Clock", clock)
    model = recipes.make_teacher(data, **SMALL)
    training = recipes.train_teacher(
        data, model, recipe, minutes=0.5, jit_compile=False, verbose=False, callbacks=[seconds]
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
