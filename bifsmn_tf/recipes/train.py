"""Trains a float teacher or a binarized student by a recipe.

Example:
    data = bifsmn_tf.data.SpeechCommands("speech_commands", task=10)
    teacher = recipes.train_teacher(data, epochs=40).model
    student = recipes.train_student(data, teacher, epochs=60).model
    student.save("student.keras")
"""

import hashlib
import json

import numpy as np

from bifsmn_tf.centring import centre_thresholds
from bifsmn_tf.data.features import apply_front_end, front_end_of
from bifsmn_tf.layers.binarized import binarized_layers
from bifsmn_tf.recipes.batches import evenly_spread
from bifsmn_tf.recipes.networks import (
    DISTILLATIONS,
    LOGITS,
    kind_of,
    make_student,
    make_teacher,
    named,
)
from bifsmn_tf.recipes.recipe import get, is_paper
from bifsmn_tf.recipes.running import run
from bifsmn_tf.sign_freezing import SignFreezing, freezable_layers
from bifsmn_tf.training import ThinnableDistiller, initialize_student, matching_variables

_CENTRING_CLIPS = 512


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
        **kwargs: `folder`, `jit_compile`, `verbose`, `callbacks`, `settings`, see `run`.

    Returns:
        A `Training`.

    Raises:
        ValueError: If `folder` holds a training with other arguments.
    """
    recipe = get(recipe, "teacher")
    if model is None:
        model = make_teacher(data, variant, seed, recipe=recipe)
    kwargs["settings"] = {
        "network": _configuration(model), **(kwargs.get("settings") or {})
    }

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
    freeze_signs=False,
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
        freeze_signs: Whether weights that keep changing their sign are frozen, as
            `bifsmn_tf.sign_freezing.SignFreezing` does it.
        variant: Of the network that is made.
        **kwargs: `folder`, `jit_compile`, `verbose`, `callbacks`, `settings`, see `run`.

    Returns:
        A `Training`.

    Raises:
        ValueError: If a teacher is needed and missing, or does not fit, or if `folder` holds a
            training with other arguments.
    """
    usual = kind_of(model).usual(is_paper(recipe, "student"))
    logits = usual.logits if logits is None else logits
    distillation = usual.distillation if distillation is None else distillation
    recipe = get(recipe, "student")
    if model is None:
        model = make_student(data, variant, seed, recipe=recipe)
    distiller = check_student(
        model, teacher, distillation, logits, gamma, initialize, switch_weights, freeze_signs
    )
    # What an earlier training in the same folder has to share, unless the caller says more.
    kwargs["settings"] = {
        **_description(distiller, teacher, initialize, freeze_signs),
        **(kwargs.get("settings") or {}),
    }
    if initialize:
        initialize_student(model, teacher)
        if recipe.centred:
            _centre(model, data)

    if recipe.threshold_rate is not None:
        for layer in binarized_layers(model):
            for name in layer.binarizer.thresholds:
                if name in layer.binarizer_variables:
                    variable = layer.binarizer_variables[name]
                    variable.learning_rate_multiplier = recipe.threshold_rate
    if freeze_signs:
        kwargs["callbacks"] = (SignFreezing(), *kwargs.get("callbacks", ()))

    def compile_model(optimizer, jit_compile):
        distiller.compile(optimizer, loss=recipe.make_loss(), jit_compile=jit_compile)

    return run(
        "student", distiller, model, compile_model, data, recipe, epochs, seed, **kwargs
    )


def check_student(
    model,
    teacher=None,
    distillation="none",
    logits="none",
    gamma=0.01,
    initialize=False,
    switch_weights=None,
    freeze_signs=False,
):
    """Whether `train_student` will take a network and its teacher, before anything is trained.

    Args:
        model: Network to train; nothing of it is changed.
        teacher, distillation, logits, gamma, initialize, switch_weights, freeze_signs: As for
            `train_student`, but for the defaults.

    Returns:
        A `ThinnableDistiller`, not compiled.

    Raises:
        ValueError: If a teacher is needed and missing, or something does not fit.
    """
    if isinstance(distillation, str):
        distillation = named(distillation, DISTILLATIONS, "distillation")()
    if isinstance(logits, str):
        logits = named(logits, LOGITS, "logits")()
    if teacher is not None:
        _check_labels(teacher, model)
    if initialize:
        if teacher is None:
            raise ValueError("`initialize=True` needs a teacher. Received: teacher=None")
        matching_variables(model, teacher)
    if freeze_signs:
        freezable_layers(model)
    return ThinnableDistiller(
        model,
        # Nothing is asked of a teacher that only served as the starting point.
        teacher if distillation is not None or logits is not None else None,
        distillation=distillation,
        gamma=gamma,
        logits=logits,
        switch_weights=switch_weights,
    )


def _description(distiller, teacher, initialize, freeze_signs):
    """What tells a student's training from another."""
    digest = None
    if teacher is not None:
        digest = hashlib.sha256(b"".join(np.asarray(w).tobytes() for w in teacher.weights))
        digest = digest.hexdigest()
    return {
        "network": _configuration(distiller.student),
        "distillation": _configuration(distiller.distillation), "gamma": distiller.gamma,
        "logits": _configuration(distiller.logits),
        "switch_weights": list(distiller.switch_weights), "initialize": initialize,
        "freeze_signs": freeze_signs, "teacher": digest,
    }  # fmt: skip


def _configuration(thing):
    """Class and configuration of a network or a distillation, as JSON can hold it; or None."""
    if thing is None:
        return None
    try:
        config = dict(thing.get_config())
    except (AttributeError, NotImplementedError):
        config = {}  # a function, or a network that cannot be saved
    config.pop("name", None)
    name = getattr(thing, "__qualname__", type(thing).__name__)
    return json.loads(json.dumps({"class": name, **config}, default=str))


def _centre(model, data):
    samples, _ = data.waveforms("training", dtype="int16")
    chosen = samples[evenly_spread(len(samples), _CENTRING_CLIPS)]
    centre_thresholds(model, apply_front_end(front_end_of(model), chosen))


def _check_labels(teacher, student):
    theirs, ours = getattr(teacher, "labels", None), student.labels
    if theirs is not None and ours is not None and list(theirs) != list(ours):
        raise ValueError(
            "Teacher and student should know the same labels in the same order. Received: "
            f"{list(theirs)} (teacher) and {list(ours)} (student)"
        )
