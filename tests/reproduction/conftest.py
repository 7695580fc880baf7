"""Rows of networks small enough to train in a test."""

import pytest

from bifsmn_tf.reproduction.tables import Network, Row

_SIZES = {
    "num_blocks": 2, "memory_size": 8, "hidden_size": 8, "frontend_kernel": 3,
    "frontend_filters": (2, 4),
}  # fmt: skip


@pytest.fixture(scope="session")
def rows():
    """A float row and two binarized ones of the same size."""
    binary = {"binarizer": "vanilla", "switches": (1.0, 0.5), **_SIZES}
    return (
        Row("float", "net", "float", Network("DFSMN", _SIZES), flops=(1.0,), v1=(90.0,)),
        Row("hed", "net", "HED", Network("BiFSMN", binary), distillation="hed",
            flops=(1.0, 0.5), v1=(80.0, 70.0), v2=(81.0, 71.0), note="A note."),
        Row("plain", "net", "none", Network("BiFSMN", binary)),
    )  # fmt: skip
