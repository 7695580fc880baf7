"""LSQ: two bits of activation at a learned step, as two XNOR passes with constant scales."""

import keras
from keras import initializers, ops

from bifsmn_tf.binarizers.base import (
    Activation,
    AtLeast,
    Deployed,
    ScaledSignWeights,
    sign,
    straight_through,
)

_MIN_STEP = 1e-3


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class LSQ(ScaledSignWeights):
    r"""Four levels of activation at a learned step, signs of weights.

    Per layer it learns a step $s$ and, one per input channel, a threshold $\theta$. With
    $y = (x - \theta) / s$, forward:

    $$b_1 = \operatorname{sign}(x - \theta), \qquad
      b_2 = \operatorname{sign}(x - (\theta + s b_1)), \qquad
      \hat x = s \big(b_1 + \tfrac12 b_2\big) + \theta, \qquad
      \hat w = \lVert w \rVert_1 / n \cdot \operatorname{sign}(w).$$

    A padded tap is 0, as in the real-valued network, and not the threshold, where the terms are 0:
    at the ends of a clip that is a bias of its own for every position.

    The levels are $\theta \pm \tfrac12 s$ and $\theta \pm \tfrac32 s$, a uniform quantizer's. As
    with `LPB` both terms are XNOR-popcounts with the same weights, but nothing is found at run
    time: $2 P_1 + P_2$ is an integer, of which everything else is an affine function. Backward:

    $$\frac{\partial \hat x}{\partial x} = 1_{|y| \le 2}, \qquad
      \frac{\partial \hat x}{\partial \theta} = 1_{|y| > 2}, \qquad
      \frac{\partial \hat x}{\partial s} = b_1 + \tfrac12 b_2 - y\, 1_{|y| \le 2}, \qquad
      \frac{\partial \hat w}{\partial w} = 1_{|w| \le 1}.$$

    (The paper also divides the step's gradient by a constant, which Adam undoes.)

    Reference:
        [Learned Step Size Quantization](https://arxiv.org/abs/1902.08153);
        [LSQ+](https://arxiv.org/abs/2004.09576) for the threshold, its "offset".
    """

    name = "lsq"
    thresholds = ("threshold",)
    passes = 2
    pads_zero = True

    def create_variables(self, add_weight, channels):
        variables = {
            "threshold": add_weight(name="threshold", shape=(channels,), initializer="zeros"),
            "step": add_weight(
                name="step", shape=(), initializer=initializers.Constant(1.0),
                constraint=AtLeast(_MIN_STEP),
            ),
        }  # fmt: skip
        for variable in variables.values():
            variable.weight_decay_multiplier = 0.0
        return variables

    def activation(self, x, variables=None, scale_axes=()):
        threshold, step = variables["threshold"], variables["step"]
        distance = x - threshold
        first = sign(distance)
        # Compared with sums of the parameters alone: constants when deployed, to the last bit.
        second = sign(x - ops.where(first > 0, threshold + step, threshold - step))
        # Scales have a length of 1 along every axis.
        scale = ops.reshape(ops.stop_gradient(step), (1,) * len(x.shape))
        levels = ops.stop_gradient(first + 0.5 * second)
        # The first term carries the gradient of both, divided by what the layer multiplies with.
        surrogate = step * levels / scale + ops.clip(distance / step, -2.0, 2.0)
        terms = (
            (straight_through(first, surrogate), scale),
            (ops.stop_gradient(second), 0.5 * scale),
        )
        return Activation(terms, -threshold)

    def deployed(self, variables=None):
        threshold, step = (ops.convert_to_tensor(variables[n]) for n in ("threshold", "step"))
        return Deployed((threshold,), -threshold, step, step)

    def centre(self, variables, middle, deviation):
        variables["threshold"].assign(middle)
        # The step of the four levels that are nearest to a normal distribution (Max, 1960).
        variables["step"].assign(ops.maximum(0.996 * deviation, _MIN_STEP))
