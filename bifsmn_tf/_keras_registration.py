"""Registers the package's Keras classes when, and only when, Keras is in use.

`keras.models.load_model` finds a class by its registered name, so a saved model loads with no
`custom_objects` only if the modules below were imported. Importing them eagerly would pull
TensorFlow into every process that merely runs a converted model.
"""

import importlib
import importlib.abc
import importlib.util
import sys

_MODULES_WITH_KERAS_CLASSES = (
    "bifsmn_tf.binarizers",
    "bifsmn_tf.layers",
    "bifsmn_tf.models",
    "bifsmn_tf.distillation",
    "bifsmn_tf.optimizers",
    "bifsmn_tf.training",
)


def _is_being_imported(name):
    module = sys.modules.get(name)
    return getattr(getattr(module, "__spec__", None), "_initializing", False)


def register(caller=None):
    """Imports every module with Keras classes, unless one of them is half-way imported.

    Each of those modules calls this as its last step, so that the outermost one completes what
    had to wait.

    Args:
        caller: Name of the module that calls, which is complete but still counts as being
            imported.
    """
    others = [name for name in _MODULES_WITH_KERAS_CLASSES if name != caller]
    if not any(_is_being_imported(name) for name in others):
        for name in others:
            importlib.import_module(name)


class _KerasImportWatcher(importlib.abc.MetaPathFinder):
    """Calls `register` right after the first import of `keras` has finished."""

    def __init__(self):
        self._searching = False

    def find_spec(self, name, path=None, target=None):
        if name != "keras" or self._searching:
            return None
        self._searching = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._searching = False
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            # Looking for a spec is not importing: the watcher's work is done only now.
            if self in sys.meta_path:
                sys.meta_path.remove(self)
            register()

        spec.loader.exec_module = exec_module
        return spec


def install():
    """Registers now if Keras is already imported, else as soon as it is."""
    if sys.modules.get("keras") is not None:
        register()
    elif not any(isinstance(finder, _KerasImportWatcher) for finder in sys.meta_path):
        sys.meta_path.insert(0, _KerasImportWatcher())
