"""XNOR-Net: scaling factors of weights and of activations."""

import keras
from keras import ops

from bifsmn_tf.binarizers.base import (
    Activation,
    ScaledSignWeights,
    clipped_identity,
    sign,
    straight_through,
)


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class XNORNet(ScaledSignWeights):
    r"""Signs with a scaling factor per output of the weights and one per sample of activations.

    Forward:

    $$\hat x = K \operatorname{sign}(x), \quad K = \operatorname{mean}|x|, \qquad
      \hat w = \alpha_w \operatorname{sign}(w), \quad \alpha_w = \lVert w \rVert_1 / n.$$

    The mean runs over everything but the batch: one K per sample, as in the comparisons of
    BiFSMN's authors. (The paper has one per output position, a box filter over mean|x|.) Backward,
    with no gradient through K or $\alpha_w$:

    $$\frac{\partial \hat x}{\partial x} = K\, 1_{|x| \le 1}, \qquad
      \frac{\partial \hat w}{\partial w} = 1_{|w| \le 1}.$$

    (The paper has $1/n + \alpha_w 1_{|w| \le 1}$ for the latter; the factor is left out as in the
    other binarizers, so that they train alike at one learning rate.)

    Reference:
        [XNOR-Net: ImageNet Classification Using Binary Convolutional Neural
        Networks](https://arxiv.org/abs/1603.05279)
    """

    name = "xnor_net"

    def activation(self, x, variables=None, scale_axes=()):
        axes = tuple(range(1, len(x.shape)))
        scale = ops.stop_gradient(ops.mean(ops.abs(x), axis=axes, keepdims=True))
        return Activation(((straight_through(sign(x), clipped_identity(x)), scale),))
