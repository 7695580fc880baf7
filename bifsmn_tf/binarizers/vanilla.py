"""Sign and straight-through estimator, as BiFSMN has them."""

import keras

from bifsmn_tf.binarizers.base import (
    Activation,
    ScaledSignWeights,
    clipped_identity,
    sign,
    straight_through,
)


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class Vanilla(ScaledSignWeights):
    r"""Sign with the clipped straight-through estimator and one scaling factor per output.

    Forward, Eq. (1) and (2) of BiFSMN:

    $$b_x = \operatorname{sign}(x), \qquad
      \hat w = \alpha_w \operatorname{sign}(w), \quad \alpha_w = \lVert w \rVert_1 / n.$$

    Backward:

    $$\frac{\partial b_x}{\partial x} = 1_{|x| \le 1}, \qquad
      \frac{\partial \hat w}{\partial w} = 1_{|w| \le 1},$$

    that is, the gradient with respect to the scaled binary weight reaches the real weight without
    being multiplied by $\alpha_w$, and none flows through $\alpha_w$ itself.

    Reference:
        [BiFSMN: Binary Neural Network for Keyword Spotting](https://arxiv.org/abs/2202.06483)
    """

    name = "vanilla"

    def activation(self, x, variables=None, scale_axes=()):
        return Activation(((straight_through(sign(x), clipped_identity(x)), None),))
