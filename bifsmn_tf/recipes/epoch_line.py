"""Progress of a training: one compact line per epoch, and a bar within it on a terminal."""

import sys
import time

import keras


def duration(seconds):
    """Seconds in words short enough for a line: "45 s", "7 min", "2 h 05 min"."""
    seconds = max(0, round(seconds))
    if seconds < 100:
        return f"{seconds} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"


def validation_accuracies(row):
    """Validation accuracies of one epoch, by switch.

    Args:
        row: Metrics by name, as Keras logs them.

    Returns:
        `{switch: accuracy}`, the largest switch first; a network without switches has "1.0".
    """
    found = {
        name.removeprefix("val_accuracy").lstrip("_") or "1.0": value
        for name, value in row.items()
        if name.startswith("val_accuracy")
    }
    return dict(sorted(found.items(), key=lambda item: -float(item[0])))


def mean_validation_accuracy(row):
    """What the best epoch is chosen by: the mean over the switches, which share the weights.

    Args:
        row: Metrics by name, as Keras logs them.

    Returns:
        A float.
    """
    accuracies = validation_accuracies(row).values()
    return sum(accuracies) / len(accuracies)


class EpochLine(keras.callbacks.Callback):
    """Prints one line per epoch.

    Args:
        title: First word of the line, such as "teacher".
        seconds: Time after which the training stops, if it goes by the clock and not by epochs.
        best: Best mean validation accuracy so far and its epoch, of a training that is resumed.
        stream: Where to print; default standard output.
    """

    _BAR_WIDTH = 20

    def __init__(self, title, best=(-1.0, 0), seconds=None, stream=None):
        super().__init__()
        self.title = title
        self._seconds = seconds
        self._stream = stream
        self._first = None
        self._best = (100 * best[0], best[1])

    @property
    def stream(self):
        return self._stream or sys.stdout

    def on_train_begin(self, logs=None):
        self._first = None
        self._train_started = time.monotonic()

    def on_epoch_begin(self, epoch, logs=None):
        if self._first is None:
            self._first = epoch
        self._started = time.monotonic()
        self._drawn = 0.0

    def on_train_batch_end(self, batch, logs=None):
        now = time.monotonic()
        if not self.stream.isatty() or now - self._drawn < 0.2:
            return
        self._drawn = now
        steps = self.params.get("steps") or 0
        done = self._BAR_WIDTH * (batch + 1) // steps if steps else 0
        bar = "#" * done + "." * (self._BAR_WIDTH - done)
        self.stream.write(f"\r{self.title} [{bar}] {batch + 1}/{steps or '?'}")
        self.stream.flush()

    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        epochs = self.params["epochs"]
        switches = {name: 100 * value for name, value in validation_accuracies(logs).items()}
        accuracy = "  ".join(
            f"{name}: {value:.2f}" if len(switches) > 1 else f"{value:.2f}"
            for name, value in switches.items()
        )
        if switches and 100 * mean_validation_accuracy(logs) > self._best[0]:
            self._best = (100 * mean_validation_accuracy(logs), epoch + 1)
        # The first epoch compiles; later ones tell how long the rest takes.
        now = time.monotonic()
        if epoch == self._first:
            self._second_started = now
            per_epoch = now - self._started
        else:
            per_epoch = (now - self._second_started) / (epoch - self._first)
        start = "\r\033[K" if self.stream.isatty() else ""
        if self._seconds is None:
            left = per_epoch * (epochs - epoch - 1)
            line = f"{self.title} {epoch + 1:>{len(str(epochs))}}/{epochs}"
        else:
            left = self._seconds - (now - self._train_started)
            line = f"{self.title} {epoch + 1:>3}"
        line += f"  loss {logs.get('loss', 0.0):.4f}"
        if switches:
            line += f"  val {accuracy} %  best {self._best[0]:.2f} ({self._best[1]})"
        line += f"  {duration(now - self._started)}"
        line += f"  {duration(left)} left" if left > 1 else ""
        self.stream.write(f"{start}{line}\n")
        self.stream.flush()
