"""HED, the distillation of BiFSMN: the teacher's high frequencies are emphasized."""

import keras
from keras import ops

from bifsmn_tf import wavelets
from bifsmn_tf.distillation.attention import attention_distance
from bifsmn_tf.distillation.base import Distillation

_EPSILON = 1e-12


def _deviation(x):
    """Unbiased standard deviation over the whole tensor."""
    count = ops.cast(ops.size(x), x.dtype)
    centred = x - ops.mean(x)
    return ops.sqrt(ops.sum(ops.square(centred)) / ops.maximum(count - 1.0, 1.0)) + _EPSILON


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class HED(Distillation):
    r"""High-frequency enhancement distillation, Eq. (8) to (10) and (14) of BiFSMN.

    The teacher's hidden state is emphasized by its own high-frequency part,

    $$\hat H_T = \frac{H_{T\mathrm H}}{\sigma(H_{T\mathrm H})} + \frac{H_T}{\sigma(H_T)},$$

    with $\sigma$ the standard deviation over the whole batch tensor; the student's is used as it
    is.

    Args:
        wavelet: Orthogonal PyWavelets wavelet.
        level: Number of decomposition steps J.
    """

    def __init__(self, wavelet="haar", level=1):
        self.wavelet = wavelet
        self.level = level

    def emphasize(self, teacher):
        """The emphasized teacher state, of the shape of `teacher`."""
        _, high = wavelets.split(teacher, self.wavelet, self.level)
        return high / _deviation(high) + teacher / _deviation(teacher)

    def distance(self, student, teacher):
        return attention_distance(student, self.emphasize(teacher))

    def get_config(self):
        return {"wavelet": self.wavelet, "level": self.level}
