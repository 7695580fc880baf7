"""What composes with what: the lists, and tiny networks, behind the tests of combinations."""

import itertools

import keras
import numpy as np
import pytest

from bifsmn_tf import binarizers, models
from bifsmn_tf.distillation import FID, HED, AttentionTransfer


def _all_binarizers():
    # A wrapper of binarizers has no name of its own, only its instances have.
    names = (getattr(getattr(binarizers, cls), "name", None) for cls in binarizers.__all__)
    return sorted(name for name in names if isinstance(name, str))


BINARIZERS = _all_binarizers()
DISTILLATIONS = {"hed": HED, "fid": FID, "attention": AttentionTransfer, "none": lambda: None}
THINNING = {"thinnable": (1.0, 0.5), "fixed": (1.0,)}
TINY = {
    "memory_size": 4, "hidden_size": 6, "num_blocks": 2, "frontend_kernel": 3,
    "frontend_filters": (2, 3), "num_mels": 8, "num_frames": 8,
}


def combinations(*lists):
    """Pytest parameters: every combination of names, with a readable id."""
    return [pytest.param(*names, id="-".join(names)) for names in itertools.product(*lists)]


def student(binarizer, thinning="thinnable", seed=0, **kwargs):
    """A tiny student.

    Args:
        binarizer: One of `BINARIZERS`.
        thinning: One of `THINNING`.
        seed: Of the initial weights.
        **kwargs: Further arguments of `BiFSMN`.
    """
    keras.utils.set_random_seed(seed)
    arguments = {**TINY, "switches": THINNING[thinning], "binarizer": binarizer, **kwargs}
    return models.BiFSMN(3, **arguments)


def teacher(seed=1):
    """A float network of the student's sizes."""
    keras.utils.set_random_seed(seed)
    return models.DFSMN(3, **TINY)


def batch(count=6, seed=0):
    """Features and labels."""
    x = 20 * np.random.default_rng(seed).normal(size=(count, 8, 8, 1)) - 40
    return x.astype(np.float32), np.arange(count) % 3
