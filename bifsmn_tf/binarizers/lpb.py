"""BiFSMNv2's learning propagation binarizer, with one or two scales of activations."""

import keras
from keras import initializers, ops

from bifsmn_tf.binarizers.base import (
    Activation,
    AtLeast,
    Deployed,
    ScaledSignWeights,
    at_least_min_scale,
    clipped_identity,
    sign,
    straight_through,
)

# A window of zero would stop all gradients, a negative one flip them.
_MIN_WINDOW = 1e-3


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class LPB(ScaledSignWeights):
    r"""Learning propagation binarizer with dual-scale activations (BiFSMNv2).

    Per layer it learns thresholds $\theta_0, \theta_1, \theta_2$, one each per input channel, and
    windows $\alpha_1, \alpha_2$ (activations) and $\alpha_3$ (weights). Forward:

    $$b_1 = \operatorname{sign}(x - \theta_0), \qquad r = x - b_1 - \theta_1, \qquad
      s_2 = \operatorname{mean}|r|, \qquad b_2 = \operatorname{sign}(r),$$
    $$\hat x = b_1 + s_2 b_2 - \theta_2, \qquad
      \hat w = \lVert w \rVert_1 / n \cdot \operatorname{sign}(w).$$

    The mean runs over what one output sums, or over time for the depthwise memory, so that both
    terms are XNOR-popcounts with the same weights. Backward, with
    $q_\alpha(v) = \operatorname{clip}(\alpha v, -1, 1)$ in the place of every sign, scaled or not:

    $$\frac{\partial b_1}{\partial x} = \alpha_1 1_{|\alpha_1 (x - \theta_0)| \le 1}, \quad
      \frac{\partial (s_2 b_2)}{\partial r} = \alpha_2 1_{|\alpha_2 r| \le 1}, \quad
      \frac{\partial \hat w}{\partial w} = \alpha_3 1_{|\alpha_3 w| \le 1}, \quad
      \frac{\partial q_\alpha(v)}{\partial \alpha} = v\, 1_{|\alpha v| \le 1}.$$

    The scales receive no gradient and multiply none. The windows are kept at or above 0.001; they
    and the thresholds carry `learning_rate_multiplier` 0.1 and `weight_decay_multiplier` 0, which
    the optimizers of `bifsmn_tf.optimizers` honour.

    Args:
        dual: Whether there is the second term $s_2 b_2$. Without it $\theta_1$ and $\alpha_2$ do
            not exist and one layer costs one XNOR pass.

    Reference:
        [BiFSMNv2: Pushing Binary Neural Networks for Keyword Spotting to Real-Network
        Performance](https://arxiv.org/abs/2211.06987), as its released code has it.
    """

    name = "lpb"
    thresholds = ("threshold0", "threshold1", "threshold2")

    def __init__(self, dual=True):
        if not isinstance(dual, bool):
            raise ValueError(f"`dual` should be True or False. Received: dual={dual!r}")
        self.dual = dual

    @property
    def passes(self):
        return 2 if self.dual else 1

    def create_variables(self, add_weight, channels):
        variables = {
            f"threshold{i}": add_weight(
                name=f"threshold{i}",
                shape=(channels,),
                initializer=initializers.RandomUniform(0.0, 0.001),
            )
            for i in ((0, 1, 2) if self.dual else (0, 2))
        }
        for i in (1, 2, 3) if self.dual else (1, 3):
            variables[f"window{i}"] = add_weight(
                name=f"window{i}", shape=(), initializer="ones", constraint=AtLeast(_MIN_WINDOW)
            )
        for variable in variables.values():
            variable.learning_rate_multiplier = 0.1
            variable.weight_decay_multiplier = 0.0
        return variables

    def activation(self, x, variables=None, scale_axes=()):
        first = x - variables["threshold0"]
        first = straight_through(sign(first), clipped_identity(variables["window1"] * first))
        terms = [(first, None)]
        if self.dual:
            residual = (x - first) - variables["threshold1"]
            scale = ops.mean(ops.abs(residual), axis=scale_axes, keepdims=True)
            scale = ops.stop_gradient(scale)
            # The layer multiplies by `scale`, which would also scale the gradient: divide it out.
            surrogate = clipped_identity(variables["window2"] * residual)
            surrogate = surrogate / at_least_min_scale(scale)
            terms.append((straight_through(sign(residual), surrogate), scale))
        return Activation(tuple(terms), variables["threshold2"])

    def deployed(self, variables=None):
        names = ("threshold0", "threshold1") if self.dual else ("threshold0",)
        return Deployed(tuple(variables[name] for name in names), variables["threshold2"])

    def centre(self, variables, middle, deviation):
        # Both terms then describe x - middle, and the shift puts it back.
        for name, value in zip(self.thresholds, (middle, middle, -middle)):
            if name in variables:
                variables[name].assign(value)

    def weight_surrogate(self, kernel, variables=None):
        return clipped_identity(variables["window3"] * kernel)

    def weight_window(self, variables=None):
        return 1.0 / float(variables["window3"])

    def get_config(self):
        return {"dual": self.dual}
