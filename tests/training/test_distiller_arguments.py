"""`ThinnableDistiller`: wrong arguments."""

import keras
import numpy as np
import pytest
from small_distillers import TINY, data, distiller, student, teacher

from bifsmn_tf import ThinnableDistiller, models
from bifsmn_tf.distillation import HED, SoftTargets


@pytest.mark.parametrize("arguments", [{"distillation": HED()}, {"logits": SoftTargets()}])
def test_distillation_without_a_teacher(arguments):
    with pytest.raises(ValueError, match="needs a teacher. Received: teacher=None"):
        ThinnableDistiller(student(), **arguments)


def test_a_student_that_is_not_thinnable():
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    with pytest.raises(ValueError, match="`student` should be a thinnable.*Received: Sequential"):
        ThinnableDistiller(other)


@pytest.mark.parametrize("size, value", [("num_blocks", 8), ("memory_size", 16)])
def test_a_teacher_of_another_size(size, value):
    with pytest.raises(ValueError, match=f"same {size}. Received: .* {value} .teacher."):
        distiller(teacher=teacher(**{size: value}))


def test_a_teacher_of_other_classes():
    keras.utils.set_random_seed(0)
    other = models.DFSMN(5, **TINY)
    with pytest.raises(ValueError, match="num_classes|classes"):
        distiller(teacher=other, logits=SoftTargets())


@pytest.mark.parametrize("weights", [(1.0,), (1, 1, 1, 1), ()])
def test_wrong_number_of_switch_weights(weights):
    with pytest.raises(ValueError, match="`switch_weights` should hold 3 numbers.*Received"):
        distiller(switch_weights=weights)


@pytest.mark.parametrize(
    "arguments",
    [{"gamma": "high"}, {"gamma": -1.0}, {"distillation": "hed"}, {"logits": "soft"},
     {"switch_weights": 1.0}, {"switch_weights": ("a", "b", "c")}],
)
def test_arguments_of_the_wrong_kind(arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=f"`{name}`.*Received"):
        distiller(**arguments)


def test_labels_out_of_shape():
    x, _ = data(4)
    with pytest.raises(ValueError):
        distiller().evaluate(x, np.zeros((4, 2, 2)), verbose=0)
