"""Finding and loading the operator library."""

import os
import subprocess
import sys
import textwrap

import pytest
from ops_testing import INTERPRETERS, interpreter_module

from bifsmn_tf.runtime import library


@pytest.fixture
def built():
    try:
        return library.ops_library()
    except FileNotFoundError as error:
        pytest.skip(str(error))


def test_the_path_is_absolute(built):
    assert os.path.isabs(built) and os.path.isfile(built)


def test_the_environment_comes_first(built, monkeypatch, tmp_path):
    other = tmp_path / "libbifsmn_ops.so"
    other.write_bytes(b"")
    monkeypatch.setenv(library.LIBRARY_VARIABLE, str(other))
    assert library.ops_library() == str(other)


def test_a_wrong_environment_is_an_error(monkeypatch):
    monkeypatch.setenv(library.LIBRARY_VARIABLE, "/nowhere/libbifsmn_ops.so")
    with pytest.raises(FileNotFoundError, match="BIFSMN_TF_OPS_LIBRARY.*Received: /nowhere"):
        library.ops_library()


def test_a_machine_without_a_library_is_told_how_to_build_it(monkeypatch):
    monkeypatch.delenv(library.LIBRARY_VARIABLE, raising=False)
    monkeypatch.setattr(library.platform, "machine", lambda: "riscv64")
    with pytest.raises(FileNotFoundError, match="linux_riscv64.*tools/build_ops.sh.*Received"):
        library.ops_library()


@pytest.mark.parametrize("name", INTERPRETERS)
def test_the_delegate_loads_in_every_package(built, name):
    assert library.load_ops_delegate(interpreter_module(name)) is not None


@pytest.mark.parametrize("name", INTERPRETERS)
def test_unknown_delegate_options_are_refused(built, name):
    module = interpreter_module(name)
    load = getattr(module, "load_delegate", None) or module.experimental.load_delegate
    with pytest.raises(ValueError, match='should be empty. Received: "threads"'):
        load(built, {"threads": 4})


def test_tensorflow_is_not_imported_beside_another_interpreter(built):
    pytest.importorskip("ai_edge_litert")
    script = """
        import sys
        from bifsmn_tf.runtime import library
        library.load_ops_delegate()
        assert "ai_edge_litert" in sys.modules
        assert "tensorflow" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True)


def test_without_any_interpreter_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(library, "_INTERPRETERS", ("no_such_package.interpreter",))
    with pytest.raises(ImportError, match="install ai-edge-litert, tflite-runtime or tensorflow"):
        library.tflite_module()
