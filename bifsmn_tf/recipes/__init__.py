"""Training recipes: optimizer, schedule and loss, and functions that apply them and can resume."""

from bifsmn_tf.recipes.checkpoints import TrainingDiverged, save_model
from bifsmn_tf.recipes.networks import (
    DISTILLATIONS,
    LOGITS,
    STUDENTS,
    Student,
    make_logits,
    make_student,
    make_teacher,
)
from bifsmn_tf.recipes.recipe import RECIPES, Recipe, get, is_paper, read
from bifsmn_tf.recipes.running import Training, run
from bifsmn_tf.recipes.train import check_student, train_student, train_teacher

__all__ = [
    "DISTILLATIONS",
    "LOGITS",
    "RECIPES",
    "STUDENTS",
    "Recipe",
    "Student",
    "Training",
    "TrainingDiverged",
    "check_student",
    "get",
    "is_paper",
    "make_logits",
    "make_student",
    "make_teacher",
    "read",
    "run",
    "save_model",
    "train_student",
    "train_teacher",
]
