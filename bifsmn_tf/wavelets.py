r"""2-D discrete wavelet split of a feature map into low- and high-frequency parts.

HED and FID look at block outputs `(batch, frames, channels)` as images over frames x channels.
One analysis step with an orthogonal wavelet splits each axis into approximation and detail; the
low part is what the approximation in both axes alone reconstructs, and the high part is the rest.
For the Haar wavelet the low part at level J is the mean over blocks of $2^J \times 2^J$.

Works for any orthogonal PyWavelets wavelet: signals are extended with zeros (PyWavelets mode
"zero"), and analysis and synthesis are multiplications by one small constant matrix per axis.
"""

import functools

import numpy as np
import pywt
from keras import ops


@functools.lru_cache(maxsize=None)
def _low_pass_projection(length, wavelet, level):
    """Matrix P with low(x) = P x along an axis of `length` samples.

    Columns are the responses of PyWavelets itself to unit impulses: analysis over `level` steps,
    all details dropped, synthesis.
    """
    filters = pywt.Wavelet(wavelet)
    if not filters.orthogonal:
        raise ValueError(
            "`wavelet` should be the name of an orthogonal PyWavelets wavelet. "
            f"Received: wavelet={wavelet!r}"
        )
    approximation = np.eye(length)
    lengths = []
    for _ in range(level):
        lengths.append(len(approximation))
        approximation, _ = pywt.dwt(approximation, filters, mode="zero", axis=0)
    for size in reversed(lengths):
        approximation = pywt.idwt(approximation, None, filters, mode="zero", axis=0)[:size]
    return approximation.astype(np.float32)


def split(x, wavelet="haar", level=1):
    """Splits a batch of 2-D maps into low- and high-frequency parts.

    Args:
        x: Tensor `(batch, rows, columns)` with known rows and columns.
        wavelet: Name of an orthogonal PyWavelets wavelet.
        level: Number of decomposition steps J.

    Returns:
        `(low, high)`, each of the shape of `x`, with `low + high == x` up to rounding.

    Raises:
        ValueError: If the wavelet is not orthogonal, the level not positive or the shape unknown.
    """
    if not isinstance(level, int) or level < 1:
        raise ValueError(f"`level` should be a positive integer. Received: level={level!r}")
    if len(x.shape) != 3 or None in x.shape[1:]:
        raise ValueError(
            "`x` should have shape (batch, rows, columns) with known rows and columns. "
            f"Received: shape {tuple(x.shape)}"
        )
    rows = ops.convert_to_tensor(_low_pass_projection(x.shape[1], wavelet, level))
    columns = ops.convert_to_tensor(_low_pass_projection(x.shape[2], wavelet, level))
    low = ops.matmul(ops.matmul(rows, x), ops.transpose(columns))
    return low, x - low
