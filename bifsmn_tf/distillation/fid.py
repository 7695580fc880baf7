"""FID, the distillation of BiFSMNv2: low and high frequencies are compared independently."""

import keras

from bifsmn_tf import wavelets
from bifsmn_tf.distillation.attention import attention_distance, frobenius_norm
from bifsmn_tf.distillation.base import Distillation


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class FID(Distillation):
    r"""Frequency independent distillation of BiFSMNv2.

    A wavelet splits student and teacher alike, $H = H_\mathrm L + H_\mathrm H$, and each band is
    compared with its counterpart,

    $$D(H_{S\mathrm L}, H_{T\mathrm L}) + D(H_{S\mathrm H}, H_{T\mathrm H}),$$

    with the attention distance D of `attention_distance`. Each band is scaled by its own norm, so
    the high band weighs as much as the low one, however little of the energy it holds.

    Args:
        wavelet: Orthogonal PyWavelets wavelet.
        level: Number of decomposition steps J.
        mse: Compare bands by $\lVert S - T \rVert_2$ over the whole batch tensor instead, without
            squares and normalization: the option of that name in the released code.

    Reference:
        [BiFSMNv2: Pushing Binary Neural Networks for Keyword Spotting to Real-Network
        Performance](https://arxiv.org/abs/2211.06987), as its released code computes it.
    """

    def __init__(self, wavelet="haar", level=1, mse=False):
        if not isinstance(mse, bool):
            raise ValueError(f"`mse` should be True or False. Received: mse={mse!r}")
        self.wavelet = wavelet
        self.level = level
        self.mse = mse

    def distance(self, student, teacher):
        bands = zip(
            wavelets.split(student, self.wavelet, self.level),
            wavelets.split(teacher, self.wavelet, self.level),
        )
        if self.mse:
            return sum(frobenius_norm(ours - theirs) for ours, theirs in bands)
        return sum(attention_distance(ours, theirs) for ours, theirs in bands)

    def get_config(self):
        return {"wavelet": self.wavelet, "level": self.level, "mse": self.mse}
