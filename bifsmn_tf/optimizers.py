"""The papers' optimizers and learning-rate schedule, as Keras objects.

The optimizers here honour two attributes that a layer may set on a variable of its own,
`learning_rate_multiplier` and `weight_decay_multiplier` (1 where missing). Learnable binarizers
ask for a smaller rate and no decay this way; Keras' own optimizers do not know the attributes and
treat all variables alike.
"""

import keras
from keras import ops

from bifsmn_tf import _keras_registration


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class CosineSchedule(keras.optimizers.schedules.LearningRateSchedule):
    r"""Linear warm-up, then half a cosine down to zero.

    After `warmup_steps` steps the rate at position p of the remaining P steps is

    $$\eta = \tfrac{\eta_0}{2} \big(1 + \cos(\pi p / P)\big).$$

    Args:
        learning_rate: Highest rate eta_0.
        total_steps: Steps of the whole training, warm-up included.
        warmup_steps: Steps over which the rate rises from near zero to its highest value.
        steps_per_epoch: Keep the rate constant within an epoch of this many steps, as the
            released training code of BiFSMN does; 0 changes it with every step.
    """

    def __init__(self, learning_rate, total_steps, warmup_steps=0, steps_per_epoch=0):
        if not learning_rate > 0:
            raise ValueError(
                f"`learning_rate` should be positive. Received: learning_rate={learning_rate!r}"
            )
        if total_steps < 1 or not 0 <= warmup_steps <= total_steps or steps_per_epoch < 0:
            raise ValueError(
                "Expected total_steps >= 1, 0 <= warmup_steps <= total_steps and "
                f"steps_per_epoch >= 0. Received: total_steps={total_steps!r}, "
                f"warmup_steps={warmup_steps!r}, steps_per_epoch={steps_per_epoch!r}"
            )
        self.learning_rate = learning_rate
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps
        self.steps_per_epoch = steps_per_epoch

    def __call__(self, step):
        step = ops.cast(step, "float32")
        warm = (step + 1.0) / max(self.warmup_steps, 1)
        if self.steps_per_epoch:
            step = ops.floor(step / self.steps_per_epoch) * self.steps_per_epoch
        position = (step - self.warmup_steps) / max(self.total_steps - self.warmup_steps, 1)
        cosine = 0.5 * (1.0 + ops.cos(3.141592653589793 * ops.clip(position, 0.0, 1.0)))
        return self.learning_rate * ops.minimum(warm, cosine) if self.warmup_steps else (
            self.learning_rate * cosine
        )

    def get_config(self):
        return {
            "learning_rate": self.learning_rate,
            "total_steps": self.total_steps,
            "warmup_steps": self.warmup_steps,
            "steps_per_epoch": self.steps_per_epoch,
        }


class VariableMultipliers:
    """Mixin for a Keras optimizer: every variable has its own factors of rate and decay.

    The rate is scaled where a single variable is updated. Scaling the gradient instead would be
    the same for plain SGD only: Adam divides by the gradient's magnitude.
    """

    def _multiplier(self, variable, name):
        # What arrives here is the backend's variable; the attributes are the Keras variable's.
        return getattr(self._trainable_variables[self._get_variable_index(variable)], name, 1.0)

    def _apply_weight_decay(self, variables):
        """Nothing yet: `update_step` decays each variable right before its update."""

    def update_step(self, gradient, variable, learning_rate):
        learning_rate = learning_rate * self._multiplier(variable, "learning_rate_multiplier")
        if self.weight_decay is not None and self._use_weight_decay(variable):
            decay = self.weight_decay * self._multiplier(variable, "weight_decay_multiplier")
            shrinkage = ops.cast(learning_rate * decay, variable.dtype)
            self.assign_sub(variable, variable * shrinkage)
        super().update_step(gradient, variable, learning_rate)


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class Adam(VariableMultipliers, keras.optimizers.Adam):
    """`keras.optimizers.Adam` that honours the multipliers of variables."""


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class AdamW(VariableMultipliers, keras.optimizers.AdamW):
    """`keras.optimizers.AdamW` that honours the multipliers of variables."""


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class SGDWithCoupledDecay(VariableMultipliers, keras.optimizers.SGD):
    r"""SGD whose weight decay is part of the gradient, $g \leftarrow g + \lambda w$.

    This is what PyTorch calls `weight_decay` and what the papers' recipe means. The argument of
    that name in Keras is decoupled: it shrinks weights beside the momentum, not through it.
    Honours the multipliers of variables.

    Args:
        learning_rate: Rate or schedule.
        momentum: As for `keras.optimizers.SGD`.
        nesterov: As for `keras.optimizers.SGD`.
        coupled_decay: Lambda, applied to every trainable variable.
        **kwargs: Further arguments of `keras.optimizers.SGD`.
    """

    def __init__(
        self, learning_rate=0.01, momentum=0.0, nesterov=False, coupled_decay=0.0, **kwargs
    ):
        if not coupled_decay >= 0:
            raise ValueError(
                f"`coupled_decay` should not be negative. Received: coupled_decay={coupled_decay!r}"
            )
        super().__init__(
            learning_rate=learning_rate, momentum=momentum, nesterov=nesterov, **kwargs
        )
        self.coupled_decay = coupled_decay

    def update_step(self, gradient, variable, learning_rate):
        decay = self.coupled_decay * self._multiplier(variable, "weight_decay_multiplier")
        gradient = gradient + decay * ops.cast(variable, gradient.dtype)
        super().update_step(gradient, variable, learning_rate)

    def get_config(self):
        return {**super().get_config(), "coupled_decay": self.coupled_decay}


_BY_NAME = {"adam": Adam, "adamw": AdamW, "sgd": SGDWithCoupledDecay}


def get(identifier):
    """Resolves an optimizer, preferring those of this module to Keras' namesakes.

    Args:
        identifier: "adam", "adamw" or "sgd", or whatever `keras.optimizers.get` understands.

    Returns:
        A Keras optimizer.

    Raises:
        ValueError: If the identifier is not understood.
    """
    if isinstance(identifier, str) and identifier.lower() in _BY_NAME:
        return _BY_NAME[identifier.lower()]()
    return keras.optimizers.get(identifier)


_keras_registration.register(__name__)
