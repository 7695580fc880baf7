"""Distillation of logits: how a student's answer is compared with a teacher's."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class SoftTargets:
    r"""Distillation of logits with a softened teacher distribution (Hinton et al., 2015).

    $$\tau^2\, \mathrm{KL}\big(\operatorname{softmax}(z_T/\tau) \,\Vert\,
      \operatorname{softmax}(z_S/\tau)\big)$$

    averaged over the batch. Not part of the papers' v1 loss; an option of `ThinnableDistiller`.

    Args:
        temperature: tau, positive.
        weight: Factor of the term in a switch's loss.
    """

    def __init__(self, temperature=2.0, weight=1.0):
        if not temperature > 0:
            raise ValueError(
                f"`temperature` should be positive. Received: temperature={temperature!r}"
            )
        self.temperature = temperature
        self.weight = weight

    def __call__(self, student_logits, teacher_logits):
        """Weighted divergence of logits `(batch, classes)`, a scalar."""
        student = ops.log_softmax(student_logits / self.temperature)
        teacher = ops.log_softmax(teacher_logits / self.temperature)
        divergence = ops.sum(ops.exp(teacher) * (teacher - student), axis=-1)
        return self.weight * self.temperature**2 * ops.mean(divergence)

    def get_config(self):
        return {"temperature": self.temperature, "weight": self.weight}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class LogitMSE:
    r"""Mean squared difference of logits, the term that BiFSMNv2's released code adds to FID.

    $$\frac{\gamma}{B K} \sum_{b,k} (z_{S,bk} - z_{T,bk})^2$$

    over the batch B and the classes K.

    Args:
        weight: Factor gamma of the term in a switch's loss; the released code gives it the weight
            of its FID term.
    """

    def __init__(self, weight=0.01):
        if not weight >= 0:
            raise ValueError(f"`weight` should not be negative. Received: weight={weight!r}")
        self.weight = weight

    def __call__(self, student_logits, teacher_logits):
        """Weighted mean squared difference of logits `(batch, classes)`, a scalar."""
        return self.weight * ops.mean(ops.square(student_logits - teacher_logits))

    def get_config(self):
        return {"weight": self.weight}

    @classmethod
    def from_config(cls, config):
        return cls(**config)
