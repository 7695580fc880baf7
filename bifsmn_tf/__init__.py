"""bifsmn_tf: 1-bit keyword spotting that can be trained, converted and run.

Training needs TensorFlow; `bifsmn_tf.runtime` needs only numpy and a TFLite interpreter. Therefore
nothing heavy is imported here: public names are resolved when they are first used, and the Keras
classes register themselves as soon as Keras is imported, before or after this package.
"""

from importlib import import_module as _import_module

from bifsmn_tf import _keras_registration

__version__ = "0.1.0"

_MODULES = (
    "accounting",
    "binarizers",
    "centring",
    "conversion",
    "data",
    "distillation",
    "information",
    "layers",
    "models",
    "official",
    "optimizers",
    "pretrained",
    "recipes",
    "runtime",
    "sign_freezing",
    "training",
    "wavelets",
)
_NAMES = {
    "ThinnableDistiller": "training",
    "paper_flops": "accounting",
    "summary": "accounting",
}

__all__ = ["__version__", *_MODULES, *_NAMES]


def __getattr__(name):
    if name in _MODULES:
        return _import_module(f"bifsmn_tf.{name}")
    if name in _NAMES:
        return getattr(_import_module(f"bifsmn_tf.{_NAMES[name]}"), name)
    raise AttributeError(f"module 'bifsmn_tf' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_MODULES, *_NAMES])


_keras_registration.install()
