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
    "bifsmn_tf.training",
)


def _register():
    for name in _MODULES_WITH_KERAS_CLASSES:
        importlib.import_module(name)


class _KerasImportWatcher(importlib.abc.MetaPathFinder):
    """Runs `_register` right after the first import of `keras` has finished."""

    def find_spec(self, name, path=None, target=None):
        if name != "keras":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            _register()

        spec.loader.exec_module = exec_module
        return spec


def install():
    """Registers now if Keras is already imported, else as soon as it is."""
    if sys.modules.get("keras") is not None:
        _register()
    elif not any(isinstance(finder, _KerasImportWatcher) for finder in sys.meta_path):
        sys.meta_path.insert(0, _KerasImportWatcher())
