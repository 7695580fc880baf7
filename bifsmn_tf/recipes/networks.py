"""Kinds of students and teachers by name, and what each is trained with."""

from typing import NamedTuple

import keras

from bifsmn_tf import distillation as distillations
from bifsmn_tf.models import DFSMN, FSMN, BiFSMN, BiFSMNv2

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
    cls = named(name, LOGITS, "logits")
    if name == "none":
        return name
    kwargs = {} if weight is None else {"weight": weight}
    if name == "soft":
        kwargs["temperature"] = temperature
    return cls(**kwargs)


class Usual(NamedTuple):
    """What a kind of student is trained with unless told otherwise, by name.

    Attributes:
        binarizer: Its binarizer.
        distillation: Of hidden states.
        logits: Distillation of logits.
        switch_all_bn: Whether all normalizations of a block have statistics per switch.
    """

    binarizer: str
    distillation: str
    logits: str
    switch_all_bn: bool


class Student(NamedTuple):
    """A kind of student and what it is trained with unless told otherwise.

    Attributes:
        network: Its class.
        distillation: Name of the distillation of hidden states.
        logits: Name of the distillation of logits.
        paper_logits: That of the paper.
        binarizer: Name of its binarizer.
        paper_binarizer: That of the paper.
        teacher: Class of the float network.
    """

    network: type
    distillation: str = "hed"
    logits: str = "soft"
    paper_logits: str = "none"
    binarizer: str = "vanilla"
    paper_binarizer: str = "vanilla"
    teacher: type = DFSMN

    @property
    def thinnable(self):
        """Whether it has several switches and comes in two sizes, unlike a comparison network."""
        return issubclass(self.network, BiFSMN)

    def usual(self, paper=False):
        """What it is trained with unless told otherwise.

        Args:
            paper: Whether the recipe is the papers', see `is_paper`.

        Returns:
            A `Usual`.
        """
        if paper:
            return Usual(self.paper_binarizer, self.distillation, self.paper_logits, False)
        return Usual(self.binarizer, self.distillation, self.logits, True)


STUDENTS = {
    "bifsmn": Student(BiFSMN),
    "bifsmnv2": Student(
        BiFSMNv2, "fid", paper_logits="mse", binarizer="lsq", paper_binarizer="lpb"
    ),
    "fsmn": Student(FSMN, teacher=FSMN),
}


def make_teacher(data, variant="base", seed=0, network="bifsmn", recipe=None, **kwargs):
    """The float teacher of a kind of student for the classes of a data set, ready to train.

    Args:
        data: `bifsmn_tf.data.SpeechCommands`.
        variant: "base" or "S"; an FSMN has one size, "base".
        seed: Of the initial weights and of dropout (sets Keras' global seed).
        network: Name of the kind of student, one of `STUDENTS`.
        recipe: `Recipe` that gives the dropout; an FSMN has none.
        **kwargs: Further arguments of the teacher's class.

    Returns:
        A `DFSMN`, or an `FSMN` without binarizer.

    Raises:
        ValueError: If the name is not known, or there is no such variant.
    """
    student = named(network, STUDENTS, "network")
    kwargs = {**arguments_of(recipe, student.teacher), **kwargs}
    return _make(student.teacher, data, variant, seed, kwargs)


def make_student(data, variant="base", seed=0, network="bifsmn", recipe=None, **kwargs):
    """A binarized student for the classes of a data set, ready to train.

    Args:
        data: `bifsmn_tf.data.SpeechCommands`.
        variant: "base" or "S"; an FSMN has one size, "base".
        seed: Of the initial weights (sets Keras' global seed).
        network: Name of a kind of student, one of `STUDENTS`.
        recipe: `Recipe` that gives the dropout; an FSMN has none.
        **kwargs: Further arguments of its class, e.g. `switches` or `binarizer`.

    Returns:
        A `BiFSMN`, `BiFSMNv2` or `FSMN`.

    Raises:
        ValueError: If the name is not known, or there is no such variant.
    """
    student = named(network, STUDENTS, "network")
    arguments = arguments_of(recipe, student.network)
    kwargs = {"binarizer": student.binarizer, **arguments, **kwargs}
    return _make(student.network, data, variant, seed, kwargs)


def arguments_of(recipe, cls):
    """What a recipe says about the network itself.

    Args:
        recipe: `Recipe`, or None.
        cls: Class of the network. A comparison network keeps its own dropout, if it has any.

    Returns:
        Arguments of the class.
    """
    if recipe is None or recipe.dropout is None or not issubclass(cls, (DFSMN, BiFSMN)):
        return {}
    return {"dropout": recipe.dropout}


def _make(cls, data, variant, seed, kwargs):
    keras.utils.set_random_seed(seed)
    if variant != "base":
        kwargs = {"variant": variant, **kwargs}
    return cls(len(data.labels), labels=list(data.labels), **kwargs)


def kind_of(model):
    """The entry of `STUDENTS` for a network, by its nearest class; the first for any other."""
    for cls in type(model).__mro__:
        for student in STUDENTS.values():
            if student.network is cls:
                return student
    return next(iter(STUDENTS.values()))


def named(name, table, argument):
    if name not in table:
        raise ValueError(
            f"`{argument}` should be one of {', '.join(table)}. Received: {argument}={name!r}"
        )
    return table[name]
