"""Trained networks that come with the package, each as `.keras`, `.tflite` and model card.

Example:
    model = bifsmn_tf.pretrained.load("bifsmnv2_sc10")              # Keras
    spotter = KeywordSpotter(bifsmn_tf.pretrained.path("bifsmnv2_sc10"), thin=0.5)
"""

import builtins
from pathlib import Path

_FOLDER = Path(__file__).parent
_SUFFIXES = {"tflite": ".tflite", "keras": ".keras", "card": ".md"}


def list():
    """Names of the networks.

    Returns:
        A sorted list of strings.
    """
    # A file whose name begins with a dot is one that is being written.
    return sorted(file.stem for file in _FOLDER.glob("[!.]*.tflite"))


def path(name, kind="tflite"):
    """Where a file of a network is.

    Args:
        name: One of `list()`.
        kind: "tflite", "keras", or "card" for its model card in Markdown.

    Returns:
        A `pathlib.Path`.

    Raises:
        ValueError: If there is no such network or kind.
    """
    if name not in list():
        raise ValueError(f"`name` should be one of {', '.join(list())}. Received: name={name!r}")
    if kind not in _SUFFIXES:
        raise ValueError(
            f"`kind` should be one of {', '.join(builtins.list(_SUFFIXES))}. "
            f"Received: kind={kind!r}"
        )
    return _FOLDER / f"{name}{_SUFFIXES[kind]}"


def load(name):
    """Loads a network into Keras.

    Args:
        name: One of `list()`.

    Returns:
        A `DFSMN`, `BiFSMN` or `BiFSMNv2`, not compiled.

    Raises:
        ValueError: If there is no such network.
        ImportError: If Keras is not installed; a `.tflite` needs none, see `path`.
    """
    file = path(name, "keras")
    import keras

    return keras.saving.load_model(file, compile=False)
