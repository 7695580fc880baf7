"""Trains the rows of a table, each once per seed, and keeps what is finished."""

import dataclasses
import hashlib
import json
from pathlib import Path

import keras

from bifsmn_tf import evaluation, models, recipes
from bifsmn_tf.files import replacing
from bifsmn_tf.recipes.epoch_line import validation_accuracies
from bifsmn_tf.recipes.networks import arguments_of
from bifsmn_tf.reproduction.tables import Network

_FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Run:
    """One training. Rows that describe the same training share it, over all tables.

    Attributes:
        title: What the progress line calls it.
        network: What is trained.
        classes: Number of classes of the paper's task.
        seed: Of weights, order of clips and augmentation.
        distillation, logits: See `Row`.
    """

    title: str
    network: Network
    classes: int
    seed: int
    distillation: str = "none"
    logits: str = "none"

    @property
    def teacher(self):
        """The run of the float network it needs; None for a float network."""
        if self.network.binarizer is None:
            return None
        network = self.network.float_network
        size = network.arguments.get("variant", "")
        title = f"float {network.model} {size}".rstrip()
        title += f", {self.classes} classes, seed {self.seed}"
        return Run(title, network, self.classes, self.seed)


class GivenTeacher:
    """A float network from a file.

    Args:
        path: The `.keras` file.

    Attributes:
        path: The same.
        digest: SHA-256 of the file.
    """

    def __init__(self, path):
        self.path = Path(path)
        self.digest = hashlib.sha256(self.path.read_bytes()).hexdigest()
        self._model = None

    @property
    def model(self):
        """The network."""
        if self._model is None:
            self._model = keras.saving.load_model(self.path, compile=False)
        return self._model

    def check(self, rows, data):
        """Raises ValueError unless the network can teach rows.

        Args:
            rows: Sequence of `Row`.
            data: `{number of classes in the paper: SpeechCommands}`.
        """
        own = [w.shape for w in self.model.trainable_variables]
        unlike = []
        for row in rows:
            labels = list(data[row.classes].labels)
            wanted = row.network.float_network.make(len(labels), labels)
            fits = own == [w.shape for w in wanted.trainable_variables]
            if not fits or list(self.model.labels or labels) != labels:
                unlike.append(row.name)
        if unlike:
            raise ValueError(
                f"The float network should be that of every row and know its labels. Received: "
                f"{self.path}, unlike {', '.join(unlike)}"
            )


class Experiment:
    """Trainings under one protocol, stored in one folder.

    A finished run is one file, `runs/<hash of its configuration>/run.json`, written completely or
    not at all; the configuration names network, losses, recipe, seed and the clips. An
    interrupted run continues after its last finished epoch. A float teacher is trained once for
    every size, task and seed, and all students start from its weights.

    Args:
        data: `{number of classes in the paper: SpeechCommands}`.
        folder: Where to write.
        recipe: As for `bifsmn_tf.recipes.get`.
        epochs: Of the binarized networks; None takes the recipe's.
        teacher_epochs: Of the float networks; None takes the recipe's.
        subset: Which clips are reported: "testing" or "validation". The best epoch is always
            chosen on validation.
        jit_compile: Whether to compile with XLA.
        teacher: File of a trained float network that all students start and learn from, whatever
            their seed; None trains one per seed.
        title: What reports call the recipe; None takes its name.

    Raises:
        FileNotFoundError: If the file of the teacher is missing.
    """

    def __init__(
        self,
        data,
        folder,
        recipe="light",
        epochs=None,
        teacher_epochs=None,
        subset="testing",
        jit_compile=True,
        teacher=None,
        title=None,
    ):
        self.data = dict(data)
        self.folder = Path(folder)
        self.recipe = recipe
        self.title = str(recipe) if title is None else title
        self.epochs = epochs or recipes.get(recipe, "student").epochs
        self.teacher_epochs = teacher_epochs or recipes.get(recipe, "teacher").epochs
        self.subset = subset
        self.jit_compile = jit_compile
        self.teacher = None if teacher is None else GivenTeacher(teacher)
        self._fingerprints = {}
        self._teacher = (None, None)

    def run_of(self, row, seed):
        """The run that a row needs for one seed."""
        title = f"{row.name}, seed {seed}"
        return Run(title, row.network, row.classes, seed, row.distillation, row.logits)

    def runs(self, rows, seeds):
        """All runs that rows need, teachers before their students, seed by seed.

        Args:
            rows: Sequence of `Row`.
            seeds: Sequence of integers.

        Returns:
            List of `Run` without repetitions.
        """
        found = {}
        for classes in dict.fromkeys(row.classes for row in rows):
            for seed in seeds:
                for row in rows:
                    if row.classes == classes:
                        run = self.run_of(row, seed)
                        for each in (None if self.teacher else run.teacher, run):
                            if each is not None:
                                found.setdefault(self.key(each), each)
        return list(found.values())

    def configuration(self, run):
        """Everything a run's result depends on, as plain values."""
        teacher = run.teacher
        config = {
            "format": _FORMAT,
            "model": run.network.model,
            "arguments": self._network(run).arguments,
            "seed": run.seed,
            "recipe": dataclasses.asdict(self._recipe(run)),
            "epochs": self.epochs if teacher else self.teacher_epochs,
            "labels": self.data[run.classes].labels,
            "protocol": self.data[run.classes].protocol,
            "clips": {
                subset: self._fingerprint(run.classes, subset)
                for subset in ("training", "validation")
            },
        }
        if teacher:
            config |= {
                "distillation": run.distillation,
                "logits": run.logits,
                "teacher": self.teacher.digest if self.teacher else self.key(teacher),
            }
        return json.loads(json.dumps(config))

    def key(self, run):
        """Hash of a run's configuration."""
        text = json.dumps(self.configuration(run), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _recipe(self, run):
        return recipes.get(self.recipe, "teacher" if run.teacher is None else "student")

    def _network(self, run):
        """The network of a run, with what the recipe says about it."""
        arguments = arguments_of(self._recipe(run), getattr(models, run.network.model))
        return Network(run.network.model, {**arguments, **run.network.arguments})

    def _fingerprint(self, classes, subset):
        if (classes, subset) not in self._fingerprints:
            self._fingerprints[classes, subset] = self.data[classes].fingerprint(subset)
        return self._fingerprints[classes, subset]

    def _path(self, run):
        return self.folder / "runs" / self.key(run) / "run.json"

    def stored(self, run):
        """The record of a finished run; None if it is not finished.

        Raises:
            ValueError: If the file is damaged.
        """
        path = self._path(run)
        if not path.exists():
            return None
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(
                f"{path} is no readable record; remove it to train again. Received: {error}"
            ) from error
        clips = record["evaluations"].get(self.subset, {}).get("clips")
        complete = record["diverged"] or clips == self._fingerprint(run.classes, self.subset)
        return record if complete else None

    def train(self, run, callbacks=()):
        """Trains and evaluates, or returns the stored result.

        Args:
            run: A `Run`.
            callbacks: Further Keras callbacks.

        Returns:
            Its record: `configuration`, `diverged` (None or why), `evaluations` by subset (see
            `bifsmn_tf.evaluation.Evaluation.to_dict`), `best_epoch`, `validation_accuracy` of that
            epoch by switch, `minutes`.
        """
        record = self.stored(run)
        if record is not None:
            return record
        path = self._path(run)
        # A run of which only another subset was evaluated is trained, and read back quickly.
        earlier = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        record = {
            "configuration": self.configuration(run),
            "diverged": None,
            "evaluations": earlier.get("evaluations", {}),
        }
        try:
            training = self._fit(run, path.parent, callbacks)
        except recipes.TrainingDiverged as error:
            record["diverged"] = str(error)
        else:
            result = evaluation.evaluate(training.model, self.data[run.classes], self.subset)
            record["evaluations"][self.subset] = {
                "clips": self._fingerprint(run.classes, self.subset), **result.to_dict(),
            }  # fmt: skip
            record |= {
                "best_epoch": training.best["epoch"],
                "validation_accuracy": validation_accuracies(training.best),
                "minutes": training.minutes,
            }
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        return record

    def _fit(self, run, folder, callbacks):
        data, teacher = self.data[run.classes], run.teacher
        common = {
            "recipe": self.recipe, "seed": run.seed, "folder": folder, "verbose": False,
            "jit_compile": self.jit_compile, "callbacks": callbacks,
            "settings": {"configuration": self.configuration(run)},
        }  # fmt: skip
        if teacher:
            given = self.teacher
            float_model = given.model if given else self._trained_teacher(teacher)
        # A long series of trainings would keep every graph of every network.
        keras.utils.clear_session()
        keras.utils.set_random_seed(run.seed)
        model = self._network(run).make(data.num_classes, list(data.labels))
        if not teacher:
            return recipes.train_teacher(data, model=model, epochs=self.teacher_epochs, **common)
        return recipes.train_student(
            data,
            float_model,
            model,
            epochs=self.epochs,
            distillation=run.distillation,
            logits=run.logits,
            **common,
        )

    def _trained_teacher(self, run):
        key = self.key(run)
        if self._teacher[0] != key:
            record = self.train(run)
            if record["diverged"]:
                raise recipes.TrainingDiverged(f"Its float network: {record['diverged']}")
            file = self._path(run).with_name("teacher.keras")
            self._teacher = (key, keras.saving.load_model(file, compile=False))
        return self._teacher[1]
