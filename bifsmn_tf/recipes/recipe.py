"""Recipes: which optimizer, schedule, augmentation and loss a network is trained with."""

import dataclasses
import json
import math
import numbers
from pathlib import Path

import keras
import numpy as np

from bifsmn_tf.optimizers import Adam, AdamW, CosineSchedule, SGDWithCoupledDecay

_OPTIMIZERS = ("adam", "adamw", "sgd")


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
        dropout: Rate of a network that is made for the training; None leaves its own.
        augmentation: "released" is the papers' waveform augmentation, anew in every epoch;
            "robust" is `bifsmn_tf.data.RobustAugmentation` in `views` variants of every clip.
        views: Number of variants, "robust" only.
        distractors: Share of the unknown clips that are speech backwards or spliced.
        spoken: Share of the unknown clips that are other words, spoken by espeak-ng; a tenth of
            this share of the keywords' clips is spoken as well. "robust" only.
        digital_silence: Share of the silence clips that are exactly zero.
        masks: Probability of a mask over bands and frames, "robust" only.
        mixup: Probability of mixing two clips and their labels, "robust" only.
        centred: Whether a student that starts from its teacher's weights starts with
            thresholds in the middle of what they divide (`bifsmn_tf.centring`).
        threshold_rate: Learning rate multiplier of learned thresholds; None leaves their own.
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
    dropout: float | None = None
    augmentation: str = "released"
    views: int = 0
    distractors: float = 0.0
    spoken: float = 0.0
    digital_silence: float = 0.0
    masks: float = 0.0
    mixup: float = 0.0
    centred: bool = False
    threshold_rate: float | None = None

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.generic):  # JSON and Keras want Python's own
                object.__setattr__(self, field.name, value.item())
        if self.augmentation not in ("released", "robust"):
            raise ValueError(
                "`augmentation` should be released or robust. "
                f"Received: augmentation={self.augmentation!r}"
            )
        if self.optimizer not in _OPTIMIZERS:
            raise ValueError(
                "`optimizer` should be adam, adamw or sgd. "
                f"Received: optimizer={self.optimizer!r}"
            )
        self._check(_is_number, ("learning_rate",), "a positive number", lambda v: v > 0)
        self._check(
            _is_number, ("warmup_epochs", "weight_decay"), "zero or a positive number",
            lambda v: v >= 0,
        )  # fmt: skip
        self._check(
            _is_whole, ("epochs", "batch_size"), "a positive whole number", lambda v: v > 0
        )
        if self.dropout is not None and not (_is_number(self.dropout) and 0 <= self.dropout < 1):
            raise ValueError(
                "`dropout` should be a number from 0 to below 1, or None. "
                f"Received: dropout={self.dropout!r}"
            )
        switches = ("nesterov", "per_epoch", "schedule", "centred")
        self._check(lambda value: isinstance(value, bool), switches, "True or False")
        if self.optimizer == "adam" and self.weight_decay:
            raise ValueError(
                "`weight_decay` needs optimizer='adamw' or 'sgd'. Received: optimizer='adam', "
                f"weight_decay={self.weight_decay!r}"
            )
        if self.threshold_rate is not None:
            self._check(
                _is_number, ("threshold_rate",), "zero or a positive number, or None",
                lambda v: v >= 0,
            )  # fmt: skip
        shares = ("distractors", "spoken", "digital_silence", "masks", "mixup")
        self._check(_is_number, shares, "within 0 and 1", lambda v: 0 <= v <= 1)
        if self.augmentation == "robust":
            if not _is_whole(self.views) or self.views < 1:
                raise ValueError(
                    "augmentation='robust' needs a whole number of views, at least one. "
                    f"Received: views={self.views!r}"
                )
            return
        robust_only = ("views", "spoken", "masks", "mixup")
        if any(getattr(self, name) for name in robust_only):
            received = ", ".join(f"{name}={getattr(self, name)!r}" for name in robust_only)
            raise ValueError(
                "`views`, `spoken`, `masks` and `mixup` need augmentation='robust'. "
                f"Received: {received}"
            )

    def _check(self, is_kind, names, expected, is_in_range=lambda value: True):
        """Raises ValueError unless fields are of a kind and within a range."""
        for name in names:
            value = getattr(self, name)
            if not (is_kind(value) and is_in_range(value)):
                raise ValueError(f"`{name}` should be {expected}. Received: {name}={value!r}")

    def make_optimizer(self, epochs, steps_per_epoch):
        """The optimizer of a training.

        Args:
            epochs: Epochs of the whole training.
            steps_per_epoch: Steps per epoch.

        Returns:
            A Keras optimizer.
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
        return SGDWithCoupledDecay(
            rate,
            momentum=0.9,
            nesterov=self.nesterov,
            coupled_decay=self.weight_decay,
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


def _is_number(value):
    """Whether a value is a finite number, Python's or NumPy's."""
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return number and abs(value) < math.inf


def _is_whole(value):
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


_ROBUST = {"augmentation": "robust", "views": 40, "distractors": 0.3, "digital_silence": 0.2}

# "paper": the student's figures are in the released README; the teacher's are that code's
# defaults, with the warm-up of the authors' benchmark of the same network. "light" has the
# papers' augmentation and digital silence: for short trainings, which strong augmentation only
# slows.
RECIPES = {
    "default": {
        # Dropout halves the speed of a step and, beside all this, takes accuracy.
        "teacher": Recipe(
            "adamw", 2e-3, 120, warmup_epochs=2, weight_decay=0.02, dropout=0.0,
            masks=0.5, mixup=0.5, **_ROBUST,
        ),
        # Early in a training masks and mixup cost a 1-bit network more than they give it, and in
        # a last stage mixup gives a little: docs/accuracy.md.
        "student": Recipe(
            "adam", 4e-3, 60, warmup_epochs=1, centred=True, threshold_rate=1.0, **_ROBUST
        ),
    },
    "light": {
        "teacher": Recipe("adam", 2e-3, epochs=40, warmup_epochs=1, digital_silence=0.2),
        "student": Recipe("adam", 2e-3, epochs=60, warmup_epochs=1, digital_silence=0.2),
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


def is_paper(recipe, network):
    """Whether a recipe is the papers', which also decides what else a student is trained with.

    Args:
        recipe: As for `get`.
        network: "teacher" or "student".

    Returns:
        A bool.
    """
    return get(recipe, network) == RECIPES["paper"][network]


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
