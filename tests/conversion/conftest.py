"""Networks and inputs of the conversion tests."""

import numpy as np
import pytest
from trained_like import SIZES, give_statistics

from bifsmn_tf.models import BiFSMN, DFSMN


@pytest.fixture(scope="session")
def student():
    return give_statistics(BiFSMN(5, labels=list("abcde"), **SIZES))


@pytest.fixture(scope="session")
def teacher():
    return give_statistics(DFSMN(5, labels=list("abcde"), **SIZES))


@pytest.fixture(scope="session")
def features():
    random = np.random.default_rng(1)
    level = random.uniform(-60, 0, (12, 1, 1, 1))
    return (level + 15 * random.standard_normal((12, 32, 32, 1))).astype(np.float32)
