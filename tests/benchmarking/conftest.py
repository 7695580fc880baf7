"""Converted networks with random weights."""

import pytest

SIZES = {"memory_size": 48, "hidden_size": 72, "num_blocks": 4, "frontend_kernel": 3}


def needs_ops_library():
    """Skips unless the operator library has been built."""
    from bifsmn_tf.runtime import ops_library

    try:
        ops_library()
    except FileNotFoundError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def binary_file():
    """Bytes of a three-switch BiFSMN."""
    needs_ops_library()
    from bifsmn_tf.conversion import convert
    from bifsmn_tf.models import BiFSMN

    return convert(BiFSMN(5, labels=list("abcde"), **SIZES), allow_untrained=True, verbose=False)


@pytest.fixture(scope="session")
def float_file():
    """Bytes of the same network in floats."""
    needs_ops_library()
    from bifsmn_tf.conversion import convert
    from bifsmn_tf.models import DFSMN

    return convert(DFSMN(5, labels=list("abcde"), **SIZES), allow_untrained=True, verbose=False)
