"""Training recipes: optimizer, schedule and loss, and functions that apply them and can resume."""

from bifsmn_tf.recipes.checkpoints import TrainingDiverged, save_model
from bifsmn_tf.recipes.recipe import (
    DISTILLATIONS,
    LOGITS,
    RECIPES,
    STUDENTS,
    Recipe,
    Student,
    Training,
    get,
    make_logits,
    read,
    make_student,
    make_teacher,
    run,
    train_student,
    train_teacher,
)

__all__ = [
    "DISTILLATIONS",
    "LOGITS",
    "RECIPES",
    "STUDENTS",
    "Recipe",
    "Student",
    "Training",
    "TrainingDiverged",
    "get",
    "make_logits",
    "read",
    "make_student",
    "make_teacher",
    "run",
    "save_model",
    "train_student",
    "train_teacher",
]
