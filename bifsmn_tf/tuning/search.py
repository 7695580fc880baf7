"""A search over hyperparameters, kept in a folder."""

import dataclasses
import json
import shutil
import tempfile
from pathlib import Path

import keras_tuner

from bifsmn_tf.files import replacing
from bifsmn_tf.recipes import TrainingDiverged
from bifsmn_tf.recipes.checkpoints import differences
from bifsmn_tf.tuning import space as spaces

METHODS = ("hyperband", "bayesian", "random")
_FORMAT = 1
_OBJECTIVE = "accuracy"


@dataclasses.dataclass(frozen=True)
class Trial:
    """One training of a search.

    Attributes:
        number: Its number; 0 is the recipe without any change.
        values: `{name: value}` of the hyperparameters.
        epochs: Number of epochs.
        accuracy: Mean validation accuracy over the switches, of the best epoch; that of always
            answering the most frequent class if the training diverged.
        switches: Validation accuracies by switch; empty if the training diverged.
        best_epoch: The epoch they are from; 0 if the training diverged.
        minutes: Time of the training.
        diverged: None, or why there is no network.
    """

    number: int
    values: dict
    epochs: int
    accuracy: float
    switches: dict
    best_epoch: int
    minutes: float
    diverged: str | None = None


class Search:
    """Trainings with values that an oracle of keras-tuner proposes, stored in one folder.

    Nothing of keras-tuner's state is stored, of which it leaves a part out. Its oracles depend
    on the seed and on the results only: a search that goes on asks a new one from the start,
    and what has been trained is answered from `trials/<number>/trial.json`, written completely
    or not at all. A trial that was interrupted goes on after its last finished epoch. So an
    interrupted search ends with the same table as one that was not.

    Trial 0 is the recipe without any change, trained for all epochs: what the others have to
    beat. "hyperband" trains many for few epochs and the best ones again for more; every training
    starts from new weights, because the schedule of the learning rate ends with its epochs, and
    the weights of a short training are past theirs.

    Args:
        subject: `Subject`.
        space: Sequence of `Parameter`, see `make_space`.
        folder: Where to write.
        method: "hyperband", "bayesian" or "random".
        trials: Number of trials besides trial 0; more can be added to a search later, except to
            that of "hyperband", whose number follows from `epochs` and is only cut by this.
        epochs: Of every training, of "hyperband" of the longest.
        factor: "hyperband": a third, or half, ... goes on for three times, twice, ... as long.
        seed: Of the proposals.
        settings: JSON-serializable dictionary of what else describes the search.
        restart: Forget what `folder` holds of a search, whatever its settings. That is done when
            the trainings begin.

    Attributes:
        plan: Epochs of all trials, in order, trial 0 first.

    Raises:
        ValueError: If an argument is wrong, or `folder` holds a search with other settings.
        ImportError: If "bayesian" lacks scikit-learn.
    """

    def __init__(
        self,
        subject,
        space,
        folder,
        method="hyperband",
        trials=None,
        epochs=9,
        factor=3,
        seed=0,
        settings=None,
        restart=False,
    ):
        if method not in METHODS:
            raise ValueError(
                f"`method` should be one of {', '.join(METHODS)}. Received: method={method!r}"
            )
        for name, value, least in (("trials", trials, 1), ("epochs", epochs, 1),
                                   ("factor", factor, 2)):  # fmt: skip
            if (value is not None or name != "trials") and value < least:
                raise ValueError(
                    f"`{name}` should be at least {least}. Received: {name}={value!r}"
                )
        if trials is None and method != "hyperband":
            raise ValueError(f"{method!r} needs a number of trials. Received: trials=None")
        self.subject = subject
        self.space = tuple(space)
        self.folder = Path(folder)
        self.method = method
        self.epochs = epochs
        self._trials = trials
        self._factor = factor
        self._seed = seed
        self._settings = settings or {}
        self._restart = restart
        if not restart:
            self._check_settings()
        planned = self._planned()
        if max(planned) < epochs:
            raise ValueError(
                "No proposed trial would be trained for all epochs: the space is too small for "
                "hyperband, or `trials` is. Received: "
                f"trials={trials!r}, space: {', '.join(map(str, self.space))}"
            )
        self.plan = [epochs, *planned]

    @property
    def names(self):
        """Names of the hyperparameters."""
        return [parameter.name for parameter in self.space]

    def stored(self, number):
        """A finished trial.

        Args:
            number: Its number.

        Returns:
            A `Trial`; None if it is not finished.

        Raises:
            ValueError: If its file is damaged.
        """
        stored = _read(self._trial_file(number))
        return Trial(**stored) if stored and "accuracy" in stored else None

    def run(self, on_trial=None, callbacks=None):
        """Trains what is not stored yet.

        Args:
            on_trial: Called after every trial with it and whether it had been stored.
            callbacks: Called before a training with its number, values and epochs; returns Keras
                callbacks.

        Returns:
            List of `Trial`, by number.
        """
        if self._restart:
            self._forget()
            self._restart = False
        _write(self.folder / "search.json", self._description())
        found = []

        def run_one(number, values, epochs):
            stored = self.stored(number)
            trial = stored or self._train(number, values, epochs, callbacks)
            found.append(trial)
            if on_trial is not None:
                on_trial(trial, stored is not None)
            return trial

        run_one(0, self.subject.defaults(self.names), self.epochs)

        def ask(values, epochs):
            # A trial that was begun keeps its values, should rounding propose others now.
            number = len(found)
            begun = _read(self._trial_file(number))
            trial = run_one(number, begun["values"] if begun else _rounded(values), epochs)
            return trial.values, trial.accuracy

        self._drive(ask)
        return found

    def _forget(self):
        (self.folder / "search.json").unlink(missing_ok=True)
        shutil.rmtree(self.folder / "trials", ignore_errors=True)

    def _trial_file(self, number):
        return self.folder / "trials" / f"{number:04}" / "trial.json"

    def _train(self, number, values, epochs, callbacks):
        path = self._trial_file(number)
        head = {"number": number, "values": values, "epochs": epochs}
        _write(path, head)
        watchers = [] if callbacks is None else callbacks(number, values, epochs)
        diverged = None
        try:
            result = self.subject.train(values, epochs, path.parent, watchers)
        except TrainingDiverged as error:
            # Not left out: the oracle has to learn which values do not work.
            diverged = str(error)
            result = {
                "accuracy": self.subject.chance, "switches": {}, "best_epoch": 0, "minutes": 0.0,
            }  # fmt: skip
        trial = Trial(**head, **result, diverged=diverged)
        _write(path, dataclasses.asdict(trial))
        # The best network stays; what served to go on is no longer needed.
        (path.parent / f"{self.subject.network}_last.keras").unlink(missing_ok=True)
        shutil.rmtree(path.parent / "state", ignore_errors=True)
        return trial

    def _description(self):
        description = {
            "format": _FORMAT,
            **self._settings,
            **self.subject.description(),
            "space": [str(parameter) for parameter in self.space],
            "method": self.method,
            "epochs": self.epochs,
            "factor": self._factor if self.method == "hyperband" else None,
            "search_seed": self._seed,
        }
        return json.loads(json.dumps(description))

    def _check_settings(self):
        path = self.folder / "search.json"
        then, now = _read(path), self._description()
        if then is None or then == now:
            return
        raise ValueError(
            f"{path} belongs to a search with other settings; use another folder or start "
            f"afresh. Received: {'; '.join(differences(then, now))}"
        )

    def _planned(self):
        """Epochs of the proposed trials."""
        if self.method != "hyperband":
            self._oracle()  # what it lacks should not be found out after the first trial
            return [self.epochs] * self._trials
        epochs = []

        def ask(values, count):
            epochs.append(count)
            return values, 0.5

        self._drive(ask)
        return epochs

    def _drive(self, ask):
        """Calls `ask(values, epochs)`, which returns values and accuracy, until the end."""
        with tempfile.TemporaryDirectory() as scratch:
            tuner = _Tuner(ask, self._oracle(), self.epochs, scratch)
            try:
                tuner.search()
            except keras_tuner.errors.FatalError as error:
                raise error.__cause__ or error

    def _oracle(self):
        hyperparameters = keras_tuner.HyperParameters()
        spaces.register(self.space, hyperparameters)
        common = {
            "objective": keras_tuner.Objective(_OBJECTIVE, "max"),
            "hyperparameters": hyperparameters,
            "seed": self._seed + 1,  # an oracle takes 0 for none
        }
        if self.method == "hyperband":
            oracle = keras_tuner.oracles.HyperbandOracle(
                max_epochs=self.epochs, factor=self._factor, **common
            )
            oracle.max_trials = self._trials
        elif self.method == "bayesian":
            oracle = keras_tuner.oracles.BayesianOptimizationOracle(
                max_trials=self._trials,
                # Three per hyperparameter, as keras-tuner would have it, is all of a short search.
                num_initial_points=max(3, len(self.space) + 1),
                **common,
            )
        else:
            oracle = keras_tuner.oracles.RandomSearchOracle(max_trials=self._trials, **common)
        return oracle


class _Tuner(keras_tuner.engine.base_tuner.BaseTuner):
    """Hands the proposals of an oracle to a function."""

    def __init__(self, ask, oracle, epochs, folder):
        self._ask = ask
        self._epochs = epochs
        oracle.verbose = 0
        super().__init__(oracle, directory=folder, project_name="search")

    def run_trial(self, trial):
        proposed = trial.hyperparameters.values
        marks = {name: value for name, value in proposed.items() if name.startswith("tuner/")}
        values = {name: value for name, value in proposed.items() if name not in marks}
        try:
            values, accuracy = self._ask(values, marks.get("tuner/epochs", self._epochs))
        except Exception as error:
            # The base class would note any other error and go on with the next trial.
            raise keras_tuner.errors.FatalRuntimeError("A trial failed") from error
        trial.hyperparameters.values = {**values, **marks}
        return {_OBJECTIVE: accuracy}


def _rounded(values):
    """Three digits are enough, and can be typed."""
    return {
        name: float(f"{value:.3g}") if isinstance(value, float) else value
        for name, value in values.items()
    }


def _read(path):
    if not path.exists():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(
            f"{path} is not readable; remove it, or start afresh. Received: {error}"
        ) from error


def _write(path, value):
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
