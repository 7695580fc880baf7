"""Runs a training that can be interrupted at any moment."""

import contextlib
import dataclasses
from pathlib import Path
from typing import Any

from bifsmn_tf.files import held
from bifsmn_tf.recipes.awaited_views import AwaitedViews
from bifsmn_tf.recipes.batches import training_batches, training_views, validation_batches
from bifsmn_tf.recipes.checkpoints import Checkpointing, TrainingState
from bifsmn_tf.recipes.clock import Clock
from bifsmn_tf.recipes.epoch_line import EpochLine, mean_validation_accuracy
from bifsmn_tf.recipes.event_log import EventLog
from bifsmn_tf.recipes.freed_memory import KeepFreedMemory
from bifsmn_tf.training import BinarizerSchedule

# Of a training by the clock: steps between validations, and clips of a validation.
_LONGEST_EPOCH = 150
_CLOCK_VALIDATION = 512


@dataclasses.dataclass
class Training:
    """What a training gave.

    Attributes:
        model: The network, with the weights of its best epoch.
        history: One dictionary per epoch.
        resumed_at: Number of epochs that had been trained before this call.
    """

    model: Any
    history: list
    resumed_at: int = 0

    @property
    def best(self):
        """Row of the history of the best epoch (the first, if several are equal)."""
        return max(self.history, key=mean_validation_accuracy)

    @property
    def minutes(self):
        """Time of all epochs, in minutes."""
        return sum(row["seconds"] for row in self.history) / 60


def run(
    name,
    model,
    network,
    compile_model,
    data,
    recipe,
    epochs=None,
    seed=0,
    folder=None,
    jit_compile=True,
    verbose=True,
    callbacks=(),
    settings=None,
    minutes=None,
):
    """Trains, and goes on where an earlier call with the same `folder` was interrupted.

    With a folder, writes there `<name>.keras` (best epoch so far), `<name>_last.keras`,
    `<name>_history.csv`, `logs/<name>/` for TensorBoard and `state/<name>.npz`. An interrupted
    training that is taken up again ends with the same weights as one that was not.

    Args:
        name: Name of the files.
        model: What is fitted: the network, or a distiller around it.
        network: What is saved.
        compile_model: Called with `(optimizer, jit_compile)`; compiles `model`.
        data: `bifsmn_tf.data.SpeechCommands`.
        recipe: `Recipe`.
        epochs: Number of epochs of the whole training; None takes the recipe's.
        seed: Of order and augmentation.
        folder: Output folder; None writes nothing and cannot resume.
        jit_compile: Whether to compile with XLA, about three times faster on a CPU.
        verbose: Whether to print a line per epoch.
        callbacks: Further Keras callbacks, called first.
        settings: JSON-serializable dictionary of what else describes the training; an earlier
            state in `folder` is only continued if it is the same.
        minutes: Train for this long instead of a number of epochs, and keep the last weights
            instead of the best; only without `folder`.

    Returns:
        A `Training`.

    Raises:
        ValueError: If `folder` holds a training with other settings, or another process trains
            there.
        TrainingDiverged: If the loss becomes infinite or NaN.
    """
    if minutes is not None:
        if folder is not None:
            raise ValueError(
                "A training by the clock cannot be resumed: leave `folder` out. "
                f"Received: minutes={minutes!r}, folder={folder!r}"
            )
        return _run_by_clock(
            name, model, network, compile_model, data, recipe, minutes, seed,
            jit_compile, verbose, callbacks,
        )  # fmt: skip
    epochs = recipe.epochs if epochs is None else epochs
    if epochs < 1:
        raise ValueError(f"`epochs` should be at least 1. Received: epochs={epochs!r}")
    settings = {
        **dataclasses.asdict(recipe), "epochs": epochs, "seed": seed,
        "labels": list(data.labels),
        "clips": {subset: data.fingerprint(subset) for subset in ("training", "validation")},
        **(settings or {}),
    }  # fmt: skip
    only_writer = contextlib.nullcontext() if folder is None else held(Path(folder) / "state")
    with only_writer:
        state = _State(settings) if folder is None else TrainingState(
            Path(folder) / "state" / f"{name}.npz", settings
        )
        checkpoints = Checkpointing(network, state, folder, name)
        resumed_at = state.epoch
        if not state.finished:
            with training_views(data, recipe, network) as views:
                train, steps = training_batches(
                    data, recipe, seed, first_epoch=state.epoch, network=network, views=views
                )
                compile_model(recipe.make_optimizer(epochs, steps), jit_compile)
                model.optimizer.build(network.trainable_variables)
                if state.epoch:
                    state.restore(network, model.optimizer)
                watchers = [BinarizerSchedule(epochs), KeepFreedMemory(), *callbacks, checkpoints]
                if folder is not None:
                    watchers.append(EventLog(Path(folder) / "logs" / name))
                if verbose:
                    best = max(state.history, key=mean_validation_accuracy, default=None)
                    best = (mean_validation_accuracy(best), best["epoch"]) if best else (-1.0, 0)
                    watchers.append(EpochLine(name, best))
                if views is not None:
                    watchers.append(AwaitedViews(views, steps, first_epoch=state.epoch))
                if state.epoch < epochs:
                    model.fit(
                        train,
                        validation_data=validation_batches(
                            data, network=network, soft_labels=recipe.soft_labels
                        ),
                        initial_epoch=state.epoch,
                        epochs=epochs,
                        callbacks=watchers,
                        verbose=0,
                        shuffle=False,  # the dataset shuffles
                    )
            if folder is not None and state.epoch == epochs:
                state.save(network, model.optimizer, finished=True)
        checkpoints.restore_best()
        return Training(network, state.history, resumed_at)


def _run_by_clock(
    name, model, network, compile_model, data, recipe, minutes, seed, jit_compile,
    verbose, callbacks,
):  # fmt: skip
    with training_views(data, recipe, network) as views:
        if views is not None:
            views.wait(0)  # its time is not the training's
        train, steps = training_batches(data, recipe, seed, network=network, views=views)
        # The clock sets the rate before every step.
        optimizer = dataclasses.replace(recipe, schedule=False).make_optimizer(1, steps)
        compile_model(optimizer, jit_compile)
        model.optimizer.build(network.trainable_variables)
        checkpoints = Checkpointing(network, _State(None), None, name)
        clock = Clock(minutes, recipe.learning_rate)
        watchers = [clock, KeepFreedMemory(), *callbacks, checkpoints]
        if views is not None:
            watchers.append(AwaitedViews(views, steps))
        if verbose:
            watchers.append(EpochLine(name, seconds=60 * minutes))
        model.fit(
            train.repeat(),
            steps_per_epoch=min(steps, _LONGEST_EPOCH),
            validation_data=validation_batches(
                data, most=_CLOCK_VALIDATION, network=network, soft_labels=recipe.soft_labels
            ),
            epochs=1_000_000,
            callbacks=watchers,
            verbose=0,
            shuffle=False,
        )
    return Training(network, checkpoints.state.history)


class _State:
    """A `TrainingState` that is not written."""

    def __init__(self, settings):
        self.settings = settings
        self.history = []
        self.epoch = 0
        self.finished = False
