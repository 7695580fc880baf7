"""Training that survives interruption: everything needed to go on exactly where it stopped."""

import csv
import json
import os
import time
import zlib
from pathlib import Path
from zipfile import BadZipFile

import keras
import numpy as np

from bifsmn_tf.files import replacing
from bifsmn_tf.recipes.epoch_line import mean_validation_accuracy

_FORMAT = 1


def save_model(model, path):
    """Saves a Keras model as one `.keras` file, completely or not at all.

    The optimizer stays out: it would triple the file, and `TrainingState` keeps it.

    Args:
        model: Keras model.
        path: File ending in `.keras`.
    """
    copy = type(model).from_config(model.get_config())
    copy.set_weights(model.get_weights())
    with replacing(path) as temporary:
        copy.save(temporary)


def write_history(history, path):
    """Writes one row per epoch as CSV.

    Args:
        history: List of dictionaries with the same keys.
        path: File to write.
    """
    with replacing(path) as temporary:
        with open(temporary, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(history[0]) if history else ["epoch"])
            writer.writeheader()
            writer.writerows(history)


class TrainingState:
    """State of a training at the end of an epoch, in one file.

    Holds weights, batch statistics, the seeds of dropout layers, the optimizer's variables and
    the history. `keras.callbacks.BackupAndRestore` writes weights and epoch as two files, which
    a kill between the two leaves in disagreement, and leaves the seeds out.

    Args:
        path: File, `.npz`.
        settings: JSON-serializable description of the training; a file made under other settings
            is refused.

    Attributes:
        history: List of one dictionary per finished epoch.
        finished: Whether the training came to its end.
    """

    def __init__(self, path, settings):
        self.path = Path(path)
        self.settings = json.loads(json.dumps(settings))
        self.history = []
        self.finished = False
        self._arrays = None
        if self.path.exists():
            self._read()

    @property
    def epoch(self):
        """Number of finished epochs."""
        return len(self.history)

    def _read(self):
        try:
            with np.load(self.path, allow_pickle=False) as file:
                meta = json.loads(str(file["meta"]))
                arrays = [file[f"v{i}"] for i in range(meta["count"])]
        except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as error:
            raise ValueError(
                f"{self.path} is no readable training state; remove it to start afresh. "
                f"Received: {error}"
            ) from error
        if meta["format"] != _FORMAT:
            raise ValueError(
                f"{self.path} was written by another version; remove it to start afresh. "
                f"Received: format {meta['format']}, expected {_FORMAT}"
            )
        if meta["settings"] != self.settings:
            changes = ", ".join(differences(meta["settings"], self.settings))
            raise ValueError(
                f"{self.path} belongs to a training with other settings; use another folder or "
                f"start afresh. Received: {changes}"
            )
        self.history = meta["history"]
        self.finished = meta["finished"]
        self._arrays = arrays

    def restore(self, network, optimizer):
        """Puts the stored values into a network and its (built) optimizer.

        Args:
            network: The network that is trained.
            optimizer: Its optimizer.

        Raises:
            ValueError: If the stored values do not fit.
        """
        variables = _variables(network, optimizer)
        shapes = [tuple(v.shape) for v in variables]
        if [a.shape for a in self._arrays or []] != shapes:
            raise ValueError(
                f"{self.path} belongs to another network or optimizer. Received: "
                f"{len(self._arrays or [])} arrays for {len(shapes)} variables, or other shapes"
            )
        for variable, value in zip(variables, self._arrays):
            variable.assign(value)

    def save(self, network, optimizer, finished=False):
        """Writes the state; on return it is safely on disk.

        Args:
            network: The network that is trained.
            optimizer: Its optimizer.
            finished: Whether the training is over: then only the history is kept.
        """
        self.finished = finished
        self._arrays = (
            [] if finished else [np.asarray(v) for v in _variables(network, optimizer)]
        )
        meta = {
            "format": _FORMAT,
            "settings": self.settings,
            "history": self.history,
            "finished": finished,
            "count": len(self._arrays),
        }
        with replacing(self.path) as temporary:
            with open(temporary, "wb") as file:
                arrays = {f"v{i}": array for i, array in enumerate(self._arrays)}
                np.savez(file, meta=np.array(json.dumps(meta)), **arrays)
                file.flush()
                os.fsync(file.fileno())


def differences(then, now, path=""):
    """Yields what differs between two dictionaries, in words.

    Args:
        then, now: The dictionaries, of values or of further dictionaries.
        path: What stands before the names.
    """
    for key in sorted({*then, *now}):
        values = [settings.get(key) for settings in (then, now)]
        if values[0] == values[1]:
            continue
        if all(isinstance(value, dict) for value in values):
            yield from differences(*values, f"{path}{key}.")
        else:
            yield f"{path}{key}: {values[0]} then, {values[1]} now"


def _variables(network, optimizer):
    # Seeds of dropout layers are among `variables`, but not among `weights`.
    seeds = [v for v in network.variables if v.path.endswith("seed_generator_state")]
    return [*network.weights, *seeds, *optimizer.variables]


class TrainingDiverged(RuntimeError):
    """The loss is no longer a finite number."""


class Checkpointing(keras.callbacks.Callback):
    """Keeps the best and the last network, the history and the state after every epoch.

    Args:
        network: What is trained and saved (the student, not the distiller around it).
        state: `TrainingState`.
        folder: Where to write `<name>.keras` (best epoch), `<name>_last.keras` and
            `<name>_history.csv`; None keeps the best weights in memory only.
        name: Name of the network's files.
    """

    def __init__(self, network, state, folder, name):
        super().__init__()
        self.network = network
        self.state = state
        self.folder = None if folder is None else Path(folder)
        self.name = name
        self._best_weights = None
        self._started = time.monotonic()

    def on_epoch_begin(self, epoch, logs=None):
        self._started = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        logs = {key: float(value) for key, value in (logs or {}).items()}
        if not np.isfinite(logs["loss"]):
            raise TrainingDiverged(
                f"The loss of epoch {epoch + 1} is not a finite number; a smaller learning rate "
                f"usually helps. Received: loss={logs['loss']}"
            )
        best = max(map(mean_validation_accuracy, self.state.history), default=-1.0)
        row = {"epoch": epoch + 1, **logs}
        row["learning_rate"] = float(self.model.optimizer.learning_rate)
        row["seconds"] = round(time.monotonic() - self._started, 2)
        # Networks first, state last: after a kill in between, the epoch is repeated and writes
        # the same files again.
        if mean_validation_accuracy(logs) > best:
            if self.folder is None:
                self._best_weights = self.network.get_weights()
            else:
                save_model(self.network, self.folder / f"{self.name}.keras")
        self.state.history.append(row)
        if self.folder is not None:
            save_model(self.network, self.folder / f"{self.name}_last.keras")
            write_history(self.state.history, self.folder / f"{self.name}_history.csv")
            self.state.save(self.network, self.model.optimizer)

    def restore_best(self):
        """Gives the network the weights of its best epoch."""
        if self.folder is not None:
            best = keras.saving.load_model(self.folder / f"{self.name}.keras", compile=False)
            self.network.set_weights(best.get_weights())
        elif self._best_weights is not None:
            self.network.set_weights(self._best_weights)
