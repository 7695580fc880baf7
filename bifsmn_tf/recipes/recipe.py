"""Training recipes: which optimizer, schedule and loss, and functions that apply them.

Example:
    data = bifsmn_tf.data.SpeechCommands("speech_commands", task=10)
    teacher = recipes.train_teacher(data, epochs=40).model
    student = recipes.train_student(data, teacher, epochs=60).model
    student.save("student.keras")
"""

import dataclasses
import json
from pathlib import Path
from typing import Any, NamedTuple

import keras

from bifsmn_tf import distillation as distillations
from bifsmn_tf.models import DFSMN, FSMN, BiFSMN, BiFSMNv2
from bifsmn_tf.optimizers import Adam, AdamW, CosineSchedule, SGDWithCoupledDecay
from bifsmn_tf.recipes.batches import training_batches, validation_batches
from bifsmn_tf.recipes.checkpoints import Checkpointing, TrainingState
from bifsmn_tf.recipes.clock import Clock
from bifsmn_tf.recipes.epoch_line import EpochLine, mean_validation_accuracy
from bifsmn_tf.recipes.event_log import EventLog
from bifsmn_tf.training import BinarizerSchedule, ThinnableDistiller, initialize_student

# Of a training by the clock: steps between validations, and clips of a validation.
_LONGEST_EPOCH = 150
_CLOCK_VALIDATION = 512

DISTILLATIONS = {
    "hed": distillations.HED,
    "fid": distillations.FID,
    "attention": distillations.AttentionTransfer,
    "none": lambda: None,
}
LOGITS = {
    "soft": distillations.SoftTargets,
    "mse": distillations.LogitMSE,
    "none": lambda: None,
}


def make_logits(name, temperature=2.0, weight=None):
    """A distillation of logits.

    Args:
        name: One of `LOGITS`.
        temperature: Of "soft".
        weight: Of the term; None takes the class's own.

    Returns:
        An object of `bifsmn_tf.distillation`, or "none".

    Raises:
        ValueError: If the name is not known.
    """
    cls = _named(name, LOGITS, "logits")
    if name == "none":
        return name
    kwargs = {} if weight is None else {"weight": weight}
    if name == "soft":
        kwargs["temperature"] = temperature
    return cls(**kwargs)


class Student(NamedTuple):
    """A kind of student and what it is trained with unless told otherwise.

    Attributes:
        network: Its class.
        distillation: Name of the distillation of hidden states.
        logits: Name of the distillation of logits.
        paper_logits: That of the paper.
        binarizer: Name of its binarizer.
        teacher: Class of the float network.
    """

    network: type
    distillation: str = "hed"
    logits: str = "soft"
    paper_logits: str = "none"
    binarizer: str = "vanilla"
    teacher: type = DFSMN

    @property
    def thinnable(self):
        """Whether it has several switches and comes in two sizes, unlike a comparison network."""
        return issubclass(self.network, BiFSMN)


STUDENTS = {
    "bifsmn": Student(BiFSMN),
    "bifsmnv2": Student(BiFSMNv2, "fid", paper_logits="mse", binarizer="lpb"),
    "fsmn": Student(FSMN, teacher=FSMN),
}


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How one network is trained, apart from its loss.

    Attributes:
        optimizer: "adam", "adamw" or "sgd" (momentum 0.9).
        learning_rate: Highest rate of a cosine schedule that ends at zero.
        epochs: Default number of epochs.
        batch_size: Clips per step.
        warmup_epochs: Epochs of linear warm-up (at most a fifth of a short training).
        weight_decay: Coupled L2 decay ("sgd") or decoupled decay ("adamw").
        nesterov: Nesterov momentum, "sgd" only.
        per_epoch: Whether the rate changes only between epochs.
        schedule: False keeps the rate at its highest.
        augmentation: "released" is the papers' waveform augmentation, anew in every epoch;
            "robust" is `bifsmn_tf.data.RobustAugmentation` in `views` variants of every clip.
        views: Number of variants, "robust" only.
        distractors: Share of the unknown clips that are speech backwards or spliced, "robust"
            only.
        masks: Probability of a mask over bands and frames, "robust" only.
        mixup: Probability of mixing two clips and their labels, "robust" only.
    """

    optimizer: str
    learning_rate: float
    epochs: int
    batch_size: int = 96
    warmup_epochs: float = 0.0
    weight_decay: float = 0.0
    nesterov: bool = False
    per_epoch: bool = False
    schedule: bool = True
    augmentation: str = "released"
    views: int = 0
    distractors: float = 0.0
    masks: float = 0.0
    mixup: float = 0.0

    def __post_init__(self):
        if self.augmentation not in ("released", "robust"):
            raise ValueError(
                "`augmentation` should be released or robust. "
                f"Received: augmentation={self.augmentation!r}"
            )
        for name in ("distractors", "masks", "mixup"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(
                    f"`{name}` should be within 0 and 1. Received: {name}={getattr(self, name)!r}"
                )
        if self.augmentation == "robust":
            if not isinstance(self.views, int) or self.views < 1:
                raise ValueError(
                    "augmentation='robust' needs a whole number of views, at least one. "
                    f"Received: views={self.views!r}"
                )
        elif self.views or self.distractors or self.masks or self.mixup:
            raise ValueError(
                "`views`, `distractors`, `masks` and `mixup` need augmentation='robust'. "
                f"Received: views={self.views!r}, distractors={self.distractors!r}, "
                f"masks={self.masks!r}, mixup={self.mixup!r}"
            )

    def make_optimizer(self, epochs, steps_per_epoch):
        """The optimizer of a training.

        Args:
            epochs: Epochs of the whole training.
            steps_per_epoch: Steps per epoch.

        Returns:
            A Keras optimizer.

        Raises:
            ValueError: If the name of the optimizer is not known.
        """
        rate = self.learning_rate
        if self.schedule:
            rate = CosineSchedule(
                rate,
                total_steps=epochs * steps_per_epoch,
                warmup_steps=round(min(self.warmup_epochs, epochs / 5) * steps_per_epoch),
                steps_per_epoch=steps_per_epoch if self.per_epoch else 0,
            )
        if self.optimizer == "adam":
            return Adam(rate)
        if self.optimizer == "adamw":
            return AdamW(rate, weight_decay=self.weight_decay)
        if self.optimizer == "sgd":
            return SGDWithCoupledDecay(
                rate,
                momentum=0.9,
                nesterov=self.nesterov,
                coupled_decay=self.weight_decay,
            )
        raise ValueError(
            f"`optimizer` should be adam, adamw or sgd. Received: optimizer={self.optimizer!r}"
        )

    @property
    def soft_labels(self):
        """Whether labels are shares of the classes instead of class numbers."""
        return self.augmentation == "robust"

    def make_loss(self):
        """The classification loss on logits that fits the labels."""
        if self.soft_labels:
            return keras.losses.CategoricalCrossentropy(from_logits=True)
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


_ROBUST = {"augmentation": "robust", "views": 40, "distractors": 0.3}

# "paper": the student's figures are in the released README; the teacher's are that code's
# defaults, with the warm-up of the authors' benchmark of the same network. "light" is "default"
# with the papers' augmentation: for short trainings, which strong augmentation only slows.
RECIPES = {
    "default": {
        "teacher": Recipe(
            "adamw", 2e-3, 100, warmup_epochs=2, weight_decay=0.02,
            masks=0.5, mixup=0.5, **_ROBUST,
        ),
        # Masks and mixup cost a 1-bit network more than they give it: docs/accuracy.md.
        "student": Recipe("adam", 2e-3, 60, warmup_epochs=1, **_ROBUST),
    },
    "light": {
        "teacher": Recipe("adam", 2e-3, epochs=40, warmup_epochs=1),
        "student": Recipe("adam", 2e-3, epochs=60, warmup_epochs=1),
    },
    "paper": {
        "teacher": Recipe(
            "sgd", 1e-3, 300, warmup_epochs=5, weight_decay=1e-2, nesterov=True, per_epoch=True
        ),
        "student": Recipe("sgd", 5e-3, 300, weight_decay=1e-4, per_epoch=True),
    },
}


def get(recipe, network):
    """Resolves a recipe.

    Args:
        recipe: "default", "light", "paper", a `Recipe`, or a mapping from "teacher" and
            "student" to `Recipe`s.
        network: "teacher" or "student".

    Returns:
        A `Recipe`.

    Raises:
        ValueError: If the name is not known.
    """
    if isinstance(recipe, Recipe):
        return recipe
    if isinstance(recipe, dict):
        return recipe[network]
    if recipe not in RECIPES:
        raise ValueError(
            f"`recipe` should be one of {', '.join(RECIPES)} or a Recipe. "
            f"Received: recipe={recipe!r}"
        )
    return RECIPES[recipe][network]


def read(path):
    """Reads recipes from a JSON file.

    Args:
        path: File with an object of "teacher" and "student", each an object of fields of
            `Recipe` that differ from the default recipe's.

    Returns:
        A mapping from "teacher" and "student" to `Recipe`s.

    Raises:
        ValueError: If the file is not such an object.
    """
    text = Path(path).read_text(encoding="utf-8")
    try:
        changes = json.loads(text)
        if not isinstance(changes, dict) or not set(changes) <= {"teacher", "student"}:
            raise ValueError("expected an object of \"teacher\" and \"student\"")
        return {
            network: dataclasses.replace(recipe, **changes.get(network, {}))
            for network, recipe in RECIPES["default"].items()
        }
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} is no file of recipes. Received: {error}") from error


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


def make_teacher(data, variant="base", seed=0, network="bifsmn", **kwargs):
    """The float teacher of a kind of student for the classes of a data set, ready to train.

    Args:
        data: `bifsmn_tf.data.SpeechCommands`.
        variant: "base" or "S"; an FSMN has one size, "base".
        seed: Of the initial weights and of dropout (sets Keras' global seed).
        network: Name of the kind of student, one of `STUDENTS`.
        **kwargs: Further arguments of the teacher's class.

    Returns:
        A `DFSMN`, or an `FSMN` without binarizer.

    Raises:
        ValueError: If the name is not known, or there is no such variant.
    """
    return _make(_named(network, STUDENTS, "network").teacher, data, variant, seed, kwargs)


def make_student(data, variant="base", seed=0, network="bifsmn", **kwargs):
    """A binarized student for the classes of a data set, ready to train.

    Args:
        data: `bifsmn_tf.data.SpeechCommands`.
        variant: "base" or "S"; an FSMN has one size, "base".
        seed: Of the initial weights (sets Keras' global seed).
        network: Name of a kind of student, one of `STUDENTS`.
        **kwargs: Further arguments of its class, e.g. `switches` or `binarizer`.

    Returns:
        A `BiFSMN`, `BiFSMNv2` or `FSMN`.

    Raises:
        ValueError: If the name is not known, or there is no such variant.
    """
    student = _named(network, STUDENTS, "network")
    kwargs = {"binarizer": student.binarizer, **kwargs}
    return _make(student.network, data, variant, seed, kwargs)


def _make(cls, data, variant, seed, kwargs):
    keras.utils.set_random_seed(seed)
    if variant != "base":
        kwargs = {"variant": variant, **kwargs}
    return cls(len(data.labels), labels=list(data.labels), **kwargs)


def _named(name, table, argument):
    if name not in table:
        raise ValueError(
            f"`{argument}` should be one of {', '.join(table)}. Received: {argument}={name!r}"
        )
    return table[name]


def train_teacher(
    data, model=None, recipe="default", epochs=None, seed=0, variant="base", **kwargs
):
    """Trains a float teacher.

    Args:
        data: `bifsmn_tf.data.SpeechCommands`.
        model: Network to train; None makes one with `make_teacher`.
        recipe: As for `get`.
        epochs: Number of epochs; None takes the recipe's.
        seed: Of weights, dropout, order of clips and augmentation.
        variant: Of the network that is made.
        **kwargs: `folder`, `jit_compile`, `verbose`, `callbacks`, see `run`.

    Returns:
        A `Training`.
    """
    recipe = get(recipe, "teacher")
    if model is None:
        model = make_teacher(data, variant, seed)

    def compile_model(optimizer, jit_compile):
        model.compile(
            optimizer,
            loss=recipe.make_loss(),
            metrics=["accuracy"],
            jit_compile=jit_compile,
        )

    return run(
        "teacher", model, model, compile_model, data, recipe, epochs, seed, **kwargs
    )


def train_student(
    data,
    teacher=None,
    model=None,
    recipe="default",
    epochs=None,
    seed=0,
    distillation=None,
    logits=None,
    gamma=0.01,
    initialize=True,
    switch_weights=None,
    variant="base",
    **kwargs,
):
    """Trains a thinnable binarized student with a frozen teacher.

    Args:
        data: `bifsmn_tf.data.SpeechCommands`.
        teacher: Trained float network; None is possible without distillation and initialization.
        model: Network to train; None makes one with `make_student`.
        recipe: As for `get`.
        epochs: Number of epochs; None takes the recipe's.
        seed: Of weights, order of clips and augmentation.
        distillation: Of hidden states: "hed", "fid", "attention", "none", or an object of
            `bifsmn_tf.distillation`; None is what `STUDENTS` has for the network.
        logits: Of logits: "soft" (softened probabilities), "mse", "none", or an object of
            `bifsmn_tf.distillation`; None is what `STUDENTS` has for the network (and recipe).
        gamma: Weight of `distillation`.
        initialize: Whether the student starts from the teacher's weights.
        switch_weights: One weight per switch; None for the papers' 1, 1/2, 1/4, ...
        variant: Of the network that is made.
        **kwargs: `folder`, `jit_compile`, `verbose`, `callbacks`, see `run`.

    Returns:
        A `Training`.

    Raises:
        ValueError: If a teacher is needed and missing, or does not fit.
    """
    kind = _kind(model)
    if logits is None:
        logits = kind.paper_logits if recipe == "paper" else kind.logits
    recipe = get(recipe, "student")
    if distillation is None:
        distillation = kind.distillation
    if isinstance(distillation, str):
        distillation = _named(distillation, DISTILLATIONS, "distillation")()
    if isinstance(logits, str):
        logits = _named(logits, LOGITS, "logits")()
    if model is None:
        model = make_student(data, variant, seed)
    if teacher is not None:
        _check_labels(teacher, model)
    if initialize:
        if teacher is None:
            raise ValueError("`initialize=True` needs a teacher. Received: teacher=None")
        initialize_student(model, teacher)
    distiller = ThinnableDistiller(
        model,
        # Nothing is asked of a teacher that only served as the starting point.
        teacher if distillation is not None or logits is not None else None,
        distillation=distillation,
        gamma=gamma,
        logits=logits,
        switch_weights=switch_weights,
    )

    def compile_model(optimizer, jit_compile):
        distiller.compile(optimizer, loss=recipe.make_loss(), jit_compile=jit_compile)

    return run(
        "student", distiller, model, compile_model, data, recipe, epochs, seed, **kwargs
    )


def _kind(model):
    """The entry of `STUDENTS` for a network, by its nearest class; the first for any other."""
    for cls in type(model).__mro__:
        for student in STUDENTS.values():
            if student.network is cls:
                return student
    return next(iter(STUDENTS.values()))


def _check_labels(teacher, student):
    theirs, ours = getattr(teacher, "labels", None), student.labels
    if theirs is not None and ours is not None and list(theirs) != list(ours):
        raise ValueError(
            "Teacher and student should know the same labels in the same order. Received: "
            f"{list(theirs)} (teacher) and {list(ours)} (student)"
        )


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
        ValueError: If `folder` holds a training with other settings.
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
        "labels": list(data.labels), **(settings or {}),
    }  # fmt: skip
    state = _State(settings) if folder is None else TrainingState(
        Path(folder) / "state" / f"{name}.npz", settings
    )
    checkpoints = Checkpointing(network, state, folder, name)
    resumed_at = state.epoch
    if not state.finished:
        train, steps = training_batches(
            data, recipe, seed, first_epoch=state.epoch, network=network
        )
        compile_model(recipe.make_optimizer(epochs, steps), jit_compile)
        model.optimizer.build(network.trainable_variables)
        if state.epoch:
            state.restore(network, model.optimizer)
        watchers = [BinarizerSchedule(epochs), *callbacks, checkpoints]
        if folder is not None:
            watchers.append(EventLog(Path(folder) / "logs" / name))
        if verbose:
            best = max(state.history, key=mean_validation_accuracy, default=None)
            best = (mean_validation_accuracy(best), best["epoch"]) if best else (-1.0, 0)
            watchers.append(EpochLine(name, best))
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
    train, steps = training_batches(data, recipe, seed, network=network)
    # The clock sets the rate before every step.
    recipe = dataclasses.replace(recipe, schedule=False)
    compile_model(recipe.make_optimizer(1, steps), jit_compile)
    model.optimizer.build(network.trainable_variables)
    checkpoints = Checkpointing(network, _State(None), None, name)
    watchers = [Clock(minutes, recipe.learning_rate), *callbacks, checkpoints]
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
