"""Binarizers with the sign and the clipped straight-through estimator of activations."""

import keras
from keras import ops

from bifsmn_tf.binarizers.base import (
    Activation,
    Binarizer,
    Deployed,
    ScaledSignWeights,
    clipped_identity,
    scaling_factor,
    sign,
    straight_through,
)


class _SignActivation(Binarizer):
    """Activations become their sign; the gradient passes within [-1, 1]."""

    def activation(self, x, variables=None, scale_axes=()):
        return Activation(((straight_through(sign(x), clipped_identity(x)), None),))

    def deployed(self, variables=None):
        return Deployed()


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class Vanilla(_SignActivation, ScaledSignWeights):
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


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class BNN(_SignActivation):
    r"""Signs of activations and weights, without scaling factors.

    Forward: $b_x = \operatorname{sign}(x)$ and $\hat w = \operatorname{sign}(w)$. Backward, the
    derivative of the hard tangent $\operatorname{clip}(\cdot, -1, 1)$:

    $$\frac{\partial b_x}{\partial x} = 1_{|x| \le 1}, \qquad
      \frac{\partial \hat w}{\partial w} = 1_{|w| \le 1}.$$

    Reference:
        [Binarized Neural Networks: Training Deep Neural Networks with Weights and Activations
        Constrained to +1 or -1](https://arxiv.org/abs/1602.02830)
    """

    name = "bnn"

    def weight(self, kernel, axis, variables=None):
        binary = straight_through(sign(kernel), self.weight_surrogate(kernel, variables))
        return binary, ops.ones_like(scaling_factor(kernel, axis))


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class DoReFa(_SignActivation, ScaledSignWeights):
    r"""DoReFa-Net at one bit of weights and one of activations.

    Forward: $b_x = \operatorname{sign}(x)$ and
    $\hat w = \alpha_w \operatorname{sign}(w)$ with $\alpha_w = \lVert w \rVert_1 / n$ per output.
    (The paper has one $\alpha_w$ per layer and activations 0 and 1; this is the form in which
    BiFSMN's authors compare it.) Backward, with no gradient through $\alpha_w$:

    $$\frac{\partial b_x}{\partial x} = 1_{|x| \le 1}, \qquad
      \frac{\partial \hat w}{\partial w} = 1,$$

    the latter for weights of any magnitude, as in the paper.

    Reference:
        [DoReFa-Net: Training Low Bitwidth Convolutional Neural Networks with Low Bitwidth
        Gradients](https://arxiv.org/abs/1606.06160)
    """

    name = "dorefa"

    def weight_surrogate(self, kernel, variables=None):
        return kernel

    def weight_window(self, variables=None):
        return None


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class RAD(BNN):
    r"""BNN with a loss that regularizes the distributions of activations in front of the sign.

    Forward and backward as `BNN`. With $\mu_c$ and $\sigma_c$ the mean and the standard deviation
    ($\sigma_c^2 = \operatorname{var} + 10^{-10}$) of channel c over batch and positions, every
    layer adds $\lambda (L_1 + L_2)$ to the losses of the model, where

    $$L_1 = \operatorname{mean}_c \max(0, \min(2 - \mu_c - \sigma_c, 2 + \mu_c - \sigma_c))^2
          + \operatorname{mean}_c \max(0, \sigma_c - 4)^2,$$
    $$L_2 = \operatorname{mean}_c \max(0, \mu_c^2 - \sigma_c^2).$$

    They counter degeneration (all of one sign), saturation and vanishing of activations.

    Args:
        coefficient: $\lambda$. The layers' losses add up.

    Reference:
        [Regularizing Activation Distribution for Training Binarized Deep
        Networks](https://arxiv.org/abs/1904.02823)
    """

    name = "rad"

    def __init__(self, coefficient=0.05):
        if not coefficient >= 0:
            raise ValueError(
                f"`coefficient` should not be negative. Received: coefficient={coefficient!r}"
            )
        self.coefficient = coefficient

    def activation_loss(self, x):
        axes = tuple(range(len(x.shape) - 1))
        mean = ops.mean(x, axis=axes)
        deviation = ops.sqrt(ops.var(x, axis=axes) + 1e-10)
        margin = ops.minimum(2.0 - mean - deviation, 2.0 + mean - deviation)
        first = ops.mean(ops.square(ops.relu(margin)))
        first = first + ops.mean(ops.square(ops.relu(deviation - 4.0)))
        second = ops.mean(ops.relu(ops.square(mean) - ops.square(deviation)))
        return self.coefficient * (first + second)

    def get_config(self):
        return {"coefficient": self.coefficient}
