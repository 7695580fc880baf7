"""Finds the operator library and the TFLite interpreter to load it into."""

import importlib
import os
import platform

LIBRARY_NAME = "libbifsmn_ops.so"
LIBRARY_VARIABLE = "BIFSMN_TF_OPS_LIBRARY"

# TensorFlow last: it takes seconds to import, and a device seldom has it.
_INTERPRETERS = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter", "tensorflow.lite")


def ops_library():
    """Returns the absolute path of the operator library for this machine.

    The environment variable `BIFSMN_TF_OPS_LIBRARY` comes first, then the library inside the
    package, `bifsmn_tf/runtime/lib/linux_<machine>/libbifsmn_ops.so`.

    Returns:
        The path, as a string.

    Raises:
        FileNotFoundError: If there is no library there.
    """
    chosen = os.environ.get(LIBRARY_VARIABLE)
    if chosen:
        path = os.path.abspath(chosen)
        if not os.path.isfile(path):
            raise FileNotFoundError(
                f"The environment variable {LIBRARY_VARIABLE} should name the file "
                f"{LIBRARY_NAME}. Received: {chosen}"
            )
        return path
    machine = {"AMD64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())
    folder = f"{platform.system().lower()}_{machine}"
    here = os.path.dirname(os.path.abspath(__file__))
    path = os.path.join(here, "lib", folder, LIBRARY_NAME)
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f"{LIBRARY_NAME} has not been built for this machine ({folder}): run "
            f"`tools/build_ops.sh` in the source tree, or point the environment variable "
            f"{LIBRARY_VARIABLE} at a built one. Received: no file {path}"
        )
    return path


def tflite_module():
    """Returns the module with `Interpreter` and `load_delegate`, of the first package installed.

    The packages are tried in this order: `ai_edge_litert`, `tflite_runtime`, `tensorflow`.

    Returns:
        A module, or `tensorflow.lite` with its `experimental.load_delegate`.

    Raises:
        ImportError: If none is installed.
    """
    for name in _INTERPRETERS:
        package = name.partition(".")[0]
        try:
            # `tensorflow.lite` is loaded lazily by its package.
            module = importlib.import_module(package if package == "tensorflow" else name)
        except ModuleNotFoundError as error:
            if error.name in (name, package):
                continue
            raise
        return module.lite if package == "tensorflow" else module
    raise ImportError(
        "A TFLite interpreter is needed: install ai-edge-litert, tflite-runtime or tensorflow. "
        "Received: none of them"
    )


def load_ops_delegate(module=None):
    """Loads the operator library as a delegate.

    Args:
        module: Where `load_delegate` comes from; by default `tflite_module()`. A delegate serves
            the interpreters of its own package.

    Returns:
        The delegate, for `Interpreter(..., experimental_delegates=[delegate])`.

    Raises:
        FileNotFoundError: If the library has not been built.
        ImportError: If no TFLite interpreter is installed.
    """
    path = ops_library()
    module = tflite_module() if module is None else module
    load = getattr(module, "load_delegate", None) or module.experimental.load_delegate
    return load(path)
