"""A small network with every kernel path of the processor, forced by BIFSMN_TF_KERNELS."""

import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
from ops_testing import Operands, convert

from bifsmn_tf.conversion import ops
from bifsmn_tf.runtime import library

PATHS = ("portable", "popcnt", "avx2", "avx512_vpopcntdq", "neon_fbck", "neon", "neon_a53")

# Runs a model without TensorFlow: model, library, inputs and outputs.
WORKER = """
import sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter, load_delegate
model, library, source, target = sys.argv[1:]
interpreter = Interpreter(model, experimental_delegates=[load_delegate(library)])
runner = interpreter.get_signature_runner("serving_default")
np.savez(target, **runner(**np.load(source)))
"""


def network(x):
    """Every operator, float and packed tensors, residuals, and signs that nobody sees."""
    make = Operands(3)
    outputs = {}
    y = ops.binary_conv2d(
        x, make.bits(32, 5 * 5 * 16), kernel_size=(5, 5), channels=16, strides=(2, 2),
        padding=(2, 2), **make.epilogue("bits", 32, 400, ()),
    )
    outputs["conv"] = y
    y = ops.binary_dense(y, make.bits(100, 8 * 32), channels=256,
                         **make.epilogue("slope", 100, 256, ()))
    for i in range(2):
        scale = make.epilogue("slope", 100, 5, ())
        memory = ops.memory_filter(y, make.bits(5, 100), channels=100, residual=y, look_back=2,
                                   **scale)
        hidden = ops.binary_dense(memory, make.bits(256, 100), channels=100,
                                  **make.epilogue("bits" if i else "slope", 256, 100, ()))
        y = ops.binary_dense(hidden, make.bits(100, 256), channels=256, residual=memory,
                             **make.epilogue("slope", 100, 256, ()))
        outputs[f"block{i}"] = y
    for i in range(2):
        shift0, shift1 = make.scales(100), make.scales(100)
        y = ops.memory_filter(y, make.bits(5, 100), channels=100, residual=y, look_back=2,
                              shifts=(shift0, shift1), **make.epilogue("slope", 100, 5, ()))
        y = ops.binary_dense(y, make.bits(100, 100), channels=100, shifts=(shift0, shift1)[: i + 1],
                             **make.epilogue("slope", 100, 100, ()))
        outputs[f"dual{i}"] = y
    four_levels = {"shifts": (np.full(100, 0.25, np.float32),), "step": 1.25}
    y = ops.memory_filter(y, make.bits(5, 100), channels=100, residual=y, look_back=2,
                          **four_levels, **make.epilogue("slope", 100, 5, ()))
    outputs["levels"] = ops.binary_dense(y, make.bits(100, 100), channels=100, **four_levels,
                                         **make.epilogue("slope", 100, 100, ()))
    return outputs


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    tf = pytest.importorskip("tensorflow")
    pytest.importorskip("ai_edge_litert")
    try:
        library.ops_library()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("paths")
    x = Operands(4).floats(1, 16, 16, 16)
    (folder / "model.tflite").write_bytes(convert(network, [x]))
    np.savez(folder / "inputs.npz", x0=x)
    expected = {name: value.numpy() for name, value in network(tf.constant(x)).items()}
    return folder, expected


def run(folder, name):
    target = folder / f"{name}.npz"
    done = subprocess.run(
        [sys.executable, "-c", WORKER, str(folder / "model.tflite"), str(library.ops_library()),
         str(folder / "inputs.npz"), str(target)],
        env={**os.environ, "BIFSMN_TF_KERNELS": name}, capture_output=True, text=True,
        timeout=120, cwd=pathlib.Path(__file__).parent,
    )
    return done, target


@pytest.fixture(scope="module")
def available(files):
    done, _ = run(files[0], "fastest")
    assert done.returncode != 0
    found = re.search(r'BIFSMN_TF_KERNELS should name kernels that this processor can run: (.*)\. '
                      r'Received: "fastest"', done.stderr)
    assert found, done.stderr
    return found.group(1).split(", ")


def test_an_unknown_path_is_an_error_that_names_the_choices(available):
    assert available[0] == "portable"
    assert set(available) <= set(PATHS)


@pytest.mark.parametrize("name", ("", *PATHS))
def test_every_path_gives_the_same_bits(files, available, name):
    if name and name not in available:
        pytest.skip(f"this processor has no {name}")
    folder, expected = files
    done, target = run(folder, name)
    assert done.returncode == 0, done.stderr
    with np.load(target) as actual:
        assert set(actual) == set(expected)
        for key, value in expected.items():
            np.testing.assert_array_equal(
                actual[key].view(np.int32), value.view(np.int32), err_msg=key
            )
