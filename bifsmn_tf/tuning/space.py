"""What can be searched: the hyperparameters of a recipe and of a student's loss."""

import dataclasses

from bifsmn_tf.data import tasks
from bifsmn_tf.recipes import DISTILLATIONS

# Of the loss: arguments of `recipes.train_student`, not fields of a `Recipe`.
LOSS = ("distillation", "gamma", "temperature", "logits_weight")


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One hyperparameter and the values that are tried.

    Attributes:
        name: Field of `bifsmn_tf.recipes.Recipe`, or one of the loss.
        low, high: Ends of a range; None with `choices`.
        log: Whether a range is sampled, and drawn, on a logarithmic scale.
        choices: Tuple of values; one value is not searched, but set.
    """

    name: str
    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: tuple | None = None

    @property
    def searched(self):
        """Whether there is more than one value."""
        return self.choices is None or len(self.choices) > 1

    def register(self, hyperparameters):
        """Adds itself to `keras_tuner.HyperParameters`."""
        if not self.searched:
            hyperparameters.Fixed(self.name, self.choices[0])
        elif self.choices:
            hyperparameters.Choice(self.name, list(self.choices))
        else:
            sampling = "log" if self.log else "linear"
            hyperparameters.Float(self.name, self.low, self.high, sampling=sampling)

    def __str__(self):
        if self.choices:
            return f"{self.name}={'/'.join(map(str, self.choices))}"
        return f"{self.name}={self.low:g}:{self.high:g}"


# Clips other than recordings in the unknown class: every share needs views of its own.
_OTHER_UNKNOWN = ("distractors", "spoken")
_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
PARAMETERS = {
    parameter.name: parameter
    for parameter in (
        Parameter("learning_rate", 3e-4, 1e-2, log=True),
        Parameter("batch_size", choices=(48, 96, 192)),
        Parameter("weight_decay", 1e-3, 1e-1, log=True),
        Parameter("masks", choices=_SHARES),
        Parameter("mixup", choices=_SHARES),
        Parameter("distractors", choices=(0.0, 0.3, 0.6)),
        Parameter("spoken", choices=(0.0, 0.25, 0.5)),
        Parameter("distillation", choices=tuple(DISTILLATIONS)),
        Parameter("gamma", 1e-3, 1.0, log=True),
        Parameter("temperature", 1.0, 8.0, log=True),
        Parameter("logits_weight", 0.1, 10.0, log=True),
    )
}  # fmt: skip
# The usual range of the logits' weight is relative to that of the chosen kind of distillation.
_RELATIVE = PARAMETERS["logits_weight"]
# What a value has to be: a test and words.
_DOMAINS = {
    "batch_size": (lambda v: v >= 1, "a positive integer"),
    "weight_decay": (lambda v: 0 <= v < float("inf"), "zero or a positive number"),
    **{
        name: (lambda v: 0 <= v <= 1, "a number from 0 to 1")
        for name in ("masks", "mixup", *_OTHER_UNKNOWN)
    },
}
_POSITIVE = (lambda v: 0 < v < float("inf"), "a positive number")


def parse(text):
    """A hyperparameter from words.

    Args:
        text: "name" for the usual values, "name=low:high" for a range, "name=a/b/c" for some
            values, or "name=value" to set it without a search.

    Returns:
        A `Parameter`.

    Raises:
        ValueError: If there is no such hyperparameter, or a value is none of its values.
    """
    name, equals, values = text.strip().partition("=")
    if name not in PARAMETERS:
        raise ValueError(
            f"A hyperparameter should be one of {', '.join(PARAMETERS)}. Received: {name}"
        )
    usual = PARAMETERS[name]
    if not equals:
        return usual
    if name == "distillation":
        choices = tuple(values.split("/"))
        if len(set(choices)) < len(choices) or not set(choices) <= set(DISTILLATIONS):
            raise ValueError(
                f"distillation should be some of {', '.join(DISTILLATIONS)}. Received: {values}"
            )
        return dataclasses.replace(usual, choices=choices)
    if ":" not in values:
        choices = tuple(_number(name, part) for part in values.split("/"))
        if len(set(choices)) < len(choices):
            raise ValueError(f"{name} has a value twice. Received: {values}")
        return Parameter(name, choices=choices)
    if name == "batch_size":
        raise ValueError(f"batch_size should be such as 48/96, no range. Received: {values}")
    low, _, high = values.partition(":")
    low, high = _number(name, low), _number(name, high)
    if not low < high:
        raise ValueError(f"The range of {name} should go from low to high. Received: {values}")
    return Parameter(name, low, high, log=usual.log and low > 0)


def _number(name, text):
    test, words = _DOMAINS.get(name, _POSITIVE)
    try:
        value = int(text) if name == "batch_size" else float(text)
        if test(value):
            return value
    except ValueError:
        pass
    raise ValueError(f"{name} should be {words}. Received: {text}")


def make_space(subject, wanted=None):
    """The hyperparameters to search.

    Left to itself, a search leaves out what costs most and decides least: the decay of an
    optimizer that has none, and distractors and spoken words, every share of which needs augmented
    clips of its own.

    Args:
        subject: `Subject`.
        wanted: List of `Parameter`; None takes what the subject's recipe and loss use.

    Returns:
        Tuple of `Parameter`.

    Raises:
        ValueError: If one of them does nothing here, comes twice, or none is searched.
    """
    if wanted is None:
        return tuple(
            _absolute(parameter, subject)
            for name, parameter in PARAMETERS.items()
            if _idle(subject, name, None) is None
            and name not in _OTHER_UNKNOWN
            and (name != "weight_decay" or subject.base.optimizer != "adam")
        )
    by_name = {parameter.name: parameter for parameter in wanted}
    if len(by_name) < len(wanted):
        names = [parameter.name for parameter in wanted]
        raise ValueError(f"Every hyperparameter should be named once. Received: {names}")
    for name in by_name:
        reason = _idle(subject, name, by_name.get("distillation"))
        if reason is not None:
            raise ValueError(f"{name} cannot be searched here: {reason}. Received: {name}")
    if not any(parameter.searched for parameter in wanted):
        raise ValueError(
            "There should be a hyperparameter with several values. Received: "
            + ", ".join(map(str, wanted))
        )
    # In one order, whatever the order of the words.
    return tuple(_absolute(by_name[name], subject) for name in PARAMETERS if name in by_name)


def register(space, hyperparameters):
    """Adds a space to `keras_tuner.HyperParameters`; the weight of no distillation is left out.

    Args:
        space: Sequence of `Parameter`, "distillation" before "gamma".
        hyperparameters: `keras_tuner.HyperParameters`.
    """
    parents = {parameter.name: parameter for parameter in space}
    for parameter in space:
        kinds = parents["distillation"].choices if "distillation" in parents else ()
        if parameter.name == "gamma" and "none" in kinds:
            with hyperparameters.conditional_scope(
                "distillation", [kind for kind in kinds if kind != "none"]
            ):
                parameter.register(hyperparameters)
        else:
            parameter.register(hyperparameters)


def _absolute(parameter, subject):
    if parameter is not _RELATIVE:
        return parameter
    factor = subject.losses["logits_weight"]
    return dataclasses.replace(
        parameter, low=factor * parameter.low, high=factor * parameter.high
    )


def _idle(subject, name, distillation):
    """Why a hyperparameter does nothing for a subject; None if it does something."""
    if name in ("masks", "mixup", "spoken") and subject.base.augmentation != "robust":
        return "the recipe's augmentation has none"
    if name in _OTHER_UNKNOWN and tasks.UNKNOWN not in subject.data.labels:
        return "the task has no unknown words"
    if name in LOSS and subject.network == "teacher":
        return "it belongs to the student's loss"
    if name == "gamma":
        kinds = distillation.choices if distillation else (subject.losses["distillation"],)
        if set(kinds) == {"none"}:
            return "there is no distillation of hidden states"
    if name == "temperature" and subject.losses["logits"] != "soft":
        return "logits are not distilled as softened probabilities"
    if name == "logits_weight" and subject.losses["logits"] == "none":
        return "logits are not distilled"
    return None
