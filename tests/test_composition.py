"""Any binarizer with any distillation, thinnable or not, trains."""

import functools

import composition
import keras
import numpy as np
import pytest

from bifsmn_tf import ThinnableDistiller, recipes
from bifsmn_tf.models.variables import variables_by_path

teacher = functools.cache(composition.teacher)


@functools.cache
def _student_and_weights(binarizer, thinning):
    model = composition.student(binarizer, thinning)
    return model, model.get_weights()


def student(binarizer, thinning):
    """A student with its initial weights; making one anew takes longer than a step."""
    model, weights = _student_and_weights(binarizer, thinning)
    model.set_weights(weights)
    return model


def test_the_lists_are_complete():
    assert set(composition.BINARIZERS) == {
        "vanilla", "bnn", "xnor_net", "dorefa", "bi_real", "ir_net", "rad", "react_net", "lpb",
        "lsq",
    }
    assert set(composition.DISTILLATIONS) == set(recipes.DISTILLATIONS)


@pytest.mark.parametrize(
    "binarizer, thinning, distillation",
    composition.combinations(
        composition.BINARIZERS, composition.THINNING, composition.DISTILLATIONS
    ),
)
def test_one_step(binarizer, thinning, distillation):
    model = student(binarizer, thinning)
    loss = composition.DISTILLATIONS[distillation]()
    distiller = ThinnableDistiller(
        model, teacher() if loss else None, distillation=loss, gamma=1.0
    )
    distiller.compile(keras.optimizers.SGD(0.01), metrics=None, run_eagerly=True)
    before = {path: np.array(v) for path, v in variables_by_path(model).items()}
    result = distiller.train_on_batch(*composition.batch(), return_dict=True)
    assert np.isfinite(list(result.values())).all()
    for switch in model.switches:
        assert (result[f"distillation_{switch}"] > 0) == (distillation != "none")
    for path, variable in variables_by_path(model).items():
        assert np.isfinite(variable).all(), path
        if path.endswith("kernel"):
            assert (np.array(variable) != before[path]).any(), path
