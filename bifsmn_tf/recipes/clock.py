"""Training by the clock: ends in time on any machine, however fast it turns out to be."""

import math
import time

from bifsmn_tf.training import BinarizerSchedule


class Clock(BinarizerSchedule):
    r"""Anneals the learning rate with the time that has passed and stops when it is over.

    After a share t of the time the rate is $\eta_0 (1 + \cos \pi t) / 2$, whatever number of steps
    the machine managed, so that a training that is cut short still ends with a small rate.
    Binarizers with a schedule move with the time, too.

    Args:
        minutes: Time for the training, the compilation in its first step included.
        learning_rate: Highest rate eta_0.
        warmup_steps: Steps of linear warm-up.
        now: Function that gives the time in seconds.
    """

    def __init__(self, minutes, learning_rate, warmup_steps=50, now=time.monotonic):
        super().__init__()
        if not minutes > 0:
            raise ValueError(f"`minutes` should be positive. Received: minutes={minutes!r}")
        self.seconds = 60.0 * minutes
        self._learning_rate = learning_rate
        self._warmup_steps = warmup_steps
        self._now = now
        self._started = None
        self._steps = 0
        self._validations = 0
        self._validation = 0.0

    def _passed(self):
        return self._now() - self._started

    def _share(self):
        return min(self._passed() / self.seconds, 1.0)

    def progress(self, epoch):
        return self._share()

    def on_train_begin(self, logs=None):
        self._started = self._now()
        self._steps = 0
        self._set_rate()

    def _set_rate(self):
        share = self._share()
        warm = min((self._steps + 1) / max(self._warmup_steps, 1), 1.0)
        rate = self._learning_rate * warm * 0.5 * (1.0 + math.cos(math.pi * share))
        # Never quite zero: the last step should not be wasted.
        self.model.optimizer.learning_rate = max(rate, 1e-3 * self._learning_rate)

    def on_train_batch_end(self, batch, logs=None):
        self._steps += 1
        self._set_rate()
        # A validation follows, and has to fit in, too.
        if self._passed() + self._validation > self.seconds:
            self.model.stop_training = True

    def on_test_begin(self, logs=None):
        self._validation_started = self._now()

    def on_test_end(self, logs=None):
        self._validations += 1
        # The first one compiles; the later ones tell what the last one will take.
        if self._validations > 1:
            self._validation = self._now() - self._validation_started
