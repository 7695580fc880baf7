"""Distillers, students and teachers of a few weights, and clips for them."""

import keras
import numpy as np

from bifsmn_tf import ThinnableDistiller, models
from bifsmn_tf.distillation import HED
from bifsmn_tf.models.variables import variables_by_path

TINY = {
    "memory_size": 8, "hidden_size": 12, "num_blocks": 4, "frontend_kernel": 3,
    "frontend_filters": (4, 6), "num_mels": 8, "num_frames": 8,
}
SWITCHES = (1.0, 0.5, 0.25)
SHORT = {"num_blocks": 2, "switches": (1.0, 0.5)}


def student(seed=0, cls=models.BiFSMN, **kwargs):
    """A student whose normalizations have random offsets.

    Integer dot products of a small batch often equal their mean exactly; without an offset the
    sign of the normalized value would then be a matter of rounding.
    """
    keras.utils.set_random_seed(seed)
    model = cls(3, **{**TINY, **kwargs})
    rng = np.random.default_rng(seed)
    for path, variable in variables_by_path(model).items():
        if path.endswith("beta"):
            variable.assign(0.3 * rng.normal(size=variable.shape))
    return model


def teacher(seed=1, cls=models.DFSMN, **kwargs):
    keras.utils.set_random_seed(seed)
    return cls(3, **{**TINY, **kwargs})


def data(count=10, seed=0):
    rng = np.random.default_rng(seed)
    x = (20 * rng.normal(size=(count, 8, 8, 1)) - 40).astype(np.float32)
    return x, (np.arange(count) % 3).astype(np.int64)


def distiller(compiled=True, **kwargs):
    arguments = {"distillation": HED(), "teacher": teacher(), **kwargs}
    model = ThinnableDistiller(arguments.pop("student", None) or student(), **arguments)
    if compiled:
        # Tracing a graph of all switches costs more than a few eager steps.
        model.compile(keras.optimizers.SGD(0.01, momentum=0.9), run_eagerly=True)
    return model


def snapshot(model):
    return {path: np.array(v) for path, v in variables_by_path(model).items()}


def assert_equal_snapshots(ours, theirs, **tolerance):
    assert set(ours) == set(theirs)
    for path, value in ours.items():
        np.testing.assert_allclose(value, theirs[path], err_msg=path, **tolerance)


def cross_entropy(logits, labels):
    logits = np.asarray(logits, np.float64)
    shifted = logits - logits.max(axis=-1, keepdims=True)
    log_softmax = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return -log_softmax[np.arange(len(labels)), labels]
