"""Weight scaling of the binarized layers, selected by `weight_scale`.

`"channel"` is the papers' Eq. (2): one scaling factor per output, which factors out of an
XNOR-popcount. `"official"` reproduces the arithmetic of the released training code, for parity
only: its scales vary inside what one output sums (for pointwise convolutions they even restore
the real weights), so such a layer cannot run on bits.
"""

from keras import ops

from bifsmn_tf import binarizers

WEIGHT_SCALES = ("channel", "official")


def check_weight_scale(weight_scale):
    """Returns `weight_scale` if it is known, else raises ValueError."""
    if weight_scale not in WEIGHT_SCALES:
        raise ValueError(
            f"`weight_scale` should be one of {WEIGHT_SCALES}. Received: {weight_scale!r}"
        )
    return weight_scale


def official_weight(kernel, axis, centre):
    """Scaled binary weight of the released code.

    Args:
        kernel: Real-valued weights.
        axis: Axes over which the magnitude is averaged; an empty tuple keeps every magnitude,
            which makes the result real-valued.
        centre: Whether the mean of the whole kernel is subtracted first.

    Returns:
        Tensor of the kernel's shape. The gradient passes where the (centred) weight is within
        [-1, 1], unscaled.
    """
    if centre:
        kernel = kernel - ops.mean(kernel)
    magnitude = ops.abs(kernel)
    if axis:
        magnitude = ops.mean(magnitude, axis=axis, keepdims=True)
    # The released sign maps an exact 0 to 0, and so does magnitude * sign for single weights.
    value = magnitude * ops.sign(kernel)
    return binarizers.straight_through(value, binarizers.clipped_identity(kernel))
