"""The aarch64 library under user-mode emulation, against eager TensorFlow on this machine."""

import os
import pathlib
import shutil
import subprocess

import numpy as np
import pytest
from ops_testing import convert, same_bits
from test_interpreters import Network, Operands, conv_cases, dense_cases, memory_cases

tf = pytest.importorskip("tensorflow")

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
LIBRARY = REPOSITORY / "bifsmn_tf/runtime/lib/linux_aarch64/libbifsmn_ops.so"


@pytest.fixture(scope="module", params=["tflite-runtime", "litert"])
def python(request):
    root = pathlib.Path(os.environ.get("BIFSMN_TF_EMULATED_ROOT", REPOSITORY / ".emulated/aarch64"))
    program = root / f"python-{request.param}"
    if not (root / ".complete").exists():
        pytest.skip(f"no emulated aarch64 machine: run tools/emulated_root.sh {root}")
    if not LIBRARY.exists():
        pytest.skip("no aarch64 library: run tools/build_ops.sh aarch64")
    if shutil.which("qemu-aarch64-static") is None:
        pytest.skip("qemu-aarch64-static is not installed")
    return program


def run_emulated(python, folder, model, inputs):
    (folder / "model.tflite").write_bytes(model)
    np.savez(folder / "inputs.npz", **inputs)
    script = pathlib.Path(__file__).with_name("emulated_run.py")
    subprocess.run(
        [python, script, folder / "model.tflite", LIBRARY, folder / "inputs.npz",
         folder / "outputs.npz"],
        check=True, timeout=300,
    )
    return np.load(folder / "outputs.npz")


@pytest.fixture(scope="module", params=[dense_cases, conv_cases, memory_cases, "network"])
def converted(request):
    """A model, its inputs and what eager TensorFlow makes of them."""
    if request.param == "network":
        function = Network()
        inputs = [Operands(21).residual(1, 8, function.channels)]
    else:
        function = request.param()
        inputs = function.inputs
    model = convert(lambda *x: function(*x), inputs)
    return model, inputs, function(*[tf.constant(x) for x in inputs])


def test_the_library_agrees_with_eager_bit_by_bit(converted, python, tmp_path):
    model, inputs, expected = converted
    named = {f"x{i}": x for i, x in enumerate(inputs)}
    results = run_emulated(python, tmp_path, model, named)
    assert sorted(results.files) == sorted(expected)
    for name in results.files:
        assert same_bits(results[name], expected[name]), name
