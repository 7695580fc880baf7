"""The one module that touches tensorflow-io.

The last release of tensorflow-io (0.37.1) carries compiled ops that load only beside
TensorFlow 2.16, and warns of that at import. Its ops written in plain TensorFlow work beside
newer versions; only those are used here, so the warnings are silenced.
"""

from __future__ import annotations

import functools
import warnings


@functools.cache
def _audio():
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from tensorflow_io import audio
    except ImportError as error:
        raise ImportError(
            "Spectrogram masks need tensorflow-io, which is not installed here or has no release "
            "for this Python (it has none for 3.13 and newer). Expected: pip install "
            f"tensorflow-io. Without it, leave the masks out. Received: {error}"
        ) from error
    return audio


def require() -> None:
    """Checks that tensorflow-io can be imported.

    Raises:
        ImportError: If it cannot.
    """
    _audio()


def is_available() -> bool:
    """Whether tensorflow-io can be imported."""
    try:
        require()
    except ImportError:
        return False
    return True


def freq_mask(spectrogram, param: int):
    """Zeroes a random band of frequencies.

    Args:
        spectrogram: Tensor of shape `(frames, bands)`.
        param: The band's width is uniform in `0..param-1`.

    Returns:
        A tensor of the same shape.

    Raises:
        ImportError: If tensorflow-io is not installed.
    """
    return _audio().freq_mask(spectrogram, param)


def time_mask(spectrogram, param: int):
    """Zeroes a random run of frames.

    Args:
        spectrogram: Tensor of shape `(frames, bands)`.
        param: The run's length is uniform in `0..param-1`.

    Returns:
        A tensor of the same shape.

    Raises:
        ImportError: If tensorflow-io is not installed.
    """
    return _audio().time_mask(spectrogram, param)
