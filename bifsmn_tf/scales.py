"""Weight scaling of the binarized layers, selected by `weight_scale`.

`"channel"` is the papers' Eq. (2): one scaling factor per output, which factors out of an
XNOR-popcount. `"official"` reproduces the arithmetic of the released training code, for parity
only: its scales vary inside what one output sums (for pointwise convolutions they even restore
the real weights), so such a layer cannot run on bits.
"""

from typing import NamedTuple

from keras import ops

from bifsmn_tf import binarizers

WEIGHT_SCALES = ("channel", "official")


class Official(NamedTuple):
    """How the released code binarizes in one kind of layer.

    Attributes:
        weight_axes: Kernel axes over which the magnitude is averaged; none keeps every magnitude,
            which makes the weights real-valued.
        centre: Whether the mean of the whole kernel is subtracted first.
        activation_axes: Axes of the second scale of activations.
        pad_first: Whether zeros are padded before binarization, which turns them into signs.
    """

    weight_axes: tuple
    centre: bool = False
    activation_axes: tuple = ()
    pad_first: bool = False


# By binarizer, then by kind of layer.
_OFFICIAL = {
    "vanilla": {
        "dense": Official((0,)),
        "pointwise": Official((), centre=True),
        "memory": Official((0,), centre=True),
        "conv2d": Official((0, 1), centre=True),
    },
    "lpb": {
        "dense": Official((0,), activation_axes=(-1,)),
        "pointwise": Official((), activation_axes=(1,)),
        "memory": Official((0,), activation_axes=(1,), pad_first=True),
        # Along time, the second spatial axis, only.
        "conv2d": Official((1,), activation_axes=(2,)),
    },
}


def check_weight_scale(weight_scale):
    """Returns `weight_scale` if it is known, else raises ValueError."""
    if weight_scale not in WEIGHT_SCALES:
        raise ValueError(
            f"`weight_scale` should be one of {WEIGHT_SCALES}. Received: {weight_scale!r}"
        )
    return weight_scale


def official(binarizer, kind):
    """How the released code binarizes in a layer.

    Args:
        binarizer: A `Binarizer`.
        kind: "dense", "pointwise", "memory" or "conv2d".

    Returns:
        An `Official`.

    Raises:
        ValueError: If the released code does not have the binarizer.
    """
    if binarizer.name not in _OFFICIAL:
        raise ValueError(
            "weight_scale='official' exists for the binarizers of the released code, "
            f"{sorted(_OFFICIAL)}. Received: binarizer={binarizer.name!r}"
        )
    return _OFFICIAL[binarizer.name][kind]


def official_weight(kernel, axis, centre, surrogate=binarizers.clipped_identity):
    """Scaled binary weight of the released code.

    Args:
        kernel: Real-valued weights.
        axis: Axes over which the magnitude is averaged; an empty tuple keeps every magnitude,
            which makes the result real-valued.
        centre: Whether the mean of the whole kernel is subtracted first.
        surrogate: Function of the (centred) weights that gives the gradient, unscaled.

    Returns:
        Tensor of the kernel's shape.
    """
    if centre:
        kernel = kernel - ops.mean(kernel)
    magnitude = ops.abs(kernel)
    if axis:
        magnitude = ops.mean(magnitude, axis=axis, keepdims=True)
    # The released sign maps an exact 0 to 0, and so does magnitude * sign for single weights.
    value = magnitude * ops.sign(kernel)
    return binarizers.straight_through(value, surrogate(kernel))
