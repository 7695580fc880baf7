"""Binarizers whose activations have a piecewise quadratic surrogate: Bi-Real and ReActNet."""

import keras
from keras import ops

from bifsmn_tf.binarizers.base import (
    Activation,
    Deployed,
    ScaledSignWeights,
    sign,
    straight_through,
)


def quadratic(x):
    r"""Surrogate $F$ of the sign with the gradient $2 - 2|x|$ within [-1, 1], else 0."""
    x = ops.clip(x, -1.0, 1.0)
    return x * (2.0 - ops.abs(x))


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class BiReal(ScaledSignWeights):
    r"""Sign with a closer surrogate: a piecewise quadratic function.

    Forward: $b_x = \operatorname{sign}(x)$ and
    $\hat w = \alpha_w \operatorname{sign}(w)$ with $\alpha_w = \lVert w \rVert_1 / n$. Backward:

    $$\frac{\partial b_x}{\partial x} = \begin{cases}
          2 + 2x & -1 \le x < 0 \\ 2 - 2x & 0 \le x < 1 \\ 0 & \text{else} \end{cases}, \qquad
      \frac{\partial \hat w}{\partial w} = 1_{|w| \le 1},$$

    with no gradient through $\alpha_w$.

    Reference:
        [Bi-Real Net: Enhancing the Performance of 1-bit CNNs With Improved Representational
        Capability and Advanced Training Algorithm](https://arxiv.org/abs/1808.00278)
    """

    name = "bi_real"

    def activation(self, x, variables=None, scale_axes=()):
        return Activation(((straight_through(sign(x), quadratic(x)), None),))

    def deployed(self, variables=None):
        return Deployed()


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class ReActNet(BiReal):
    r"""Bi-Real's surrogate behind a learned shift per channel (RSign).

    Forward, with $\beta$ one value per input channel, initially 0:
    $b_x = \operatorname{sign}(x + \beta)$ and $\hat w = \alpha_w \operatorname{sign}(w)$ with
    $\alpha_w = \lVert w \rVert_1 / n$. Backward:

    $$\frac{\partial b_x}{\partial x} = \frac{\partial b_x}{\partial \beta}
        = \max(0, 2 - 2|x + \beta|), \qquad
      \frac{\partial \hat w}{\partial w} = 1_{|w| \le 1},$$

    with no gradient through $\alpha_w$. The paper's other half, RPReLU, is an activation function
    and not part of a binarizer; the networks here have a PReLU in its place.

    Reference:
        [ReActNet: Towards Precise Binary Neural Network with Generalized Activation
        Functions](https://arxiv.org/abs/2003.03488)
    """

    name = "react_net"
    thresholds = ("beta",)

    def create_variables(self, add_weight, channels):
        return {"beta": add_weight(name="beta", shape=(channels,), initializer="zeros")}

    def activation(self, x, variables=None, scale_axes=()):
        return super().activation(x + variables["beta"])

    def deployed(self, variables=None):
        return Deployed((-variables["beta"],))

    def centre(self, variables, middle, deviation):
        variables["beta"].assign(-middle)
