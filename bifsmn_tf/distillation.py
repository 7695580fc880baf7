r"""Distillation of block outputs: how a student's hidden states are compared with a teacher's.

A distillation object maps two lists of equally shaped block outputs `(batch, frames, channels)`
to a scalar. `ThinnableDistiller` matches block k of a student's switch with the teacher's block
at the same depth.

All compare with the attention distance

$$D(S, T) = \left\lVert \frac{S^2}{\lVert S^2 \rVert_2}
                      - \frac{T^2}{\lVert T^2 \rVert_2} \right\rVert_2$$

with elementwise squares and norms over the whole batch tensor: scale-invariant in both arguments
and at most $\sqrt 2$.
"""

import keras
from keras import ops

from bifsmn_tf import _keras_registration, wavelets

_EPSILON = 1e-12


def attention_distance(student, teacher):
    """D(S, T) of Eq. (10), a scalar between 0 and sqrt(2); a zero tensor has distance 1 or 0."""

    def normalized(x):
        square = ops.square(x)
        return square / (_norm(square) + _EPSILON)

    return _norm(normalized(student) - normalized(teacher))


def _norm(x):
    """Frobenius norm; its gradient at zero is zero instead of NaN."""
    total = ops.sum(ops.square(x))
    positive = total > 0
    return ops.where(positive, ops.sqrt(ops.where(positive, total, 1.0)), 0.0)


def _deviation(x):
    """Unbiased standard deviation over the whole tensor."""
    count = ops.cast(ops.size(x), x.dtype)
    centred = x - ops.mean(x)
    return ops.sqrt(ops.sum(ops.square(centred)) / ops.maximum(count - 1.0, 1.0)) + _EPSILON


class Distillation:
    """Base class: sums a distance over matched layers."""

    def distance(self, student, teacher):
        """Distance of one student layer from one teacher layer, a scalar."""
        raise NotImplementedError

    def __call__(self, student_blocks, teacher_blocks):
        """Sum of the distances of matched layers.

        Args:
            student_blocks: List of tensors `(batch, frames, channels)`.
            teacher_blocks: List of as many tensors of the same shapes.

        Returns:
            A scalar tensor.

        Raises:
            ValueError: If lists or shapes do not match.
        """
        if len(student_blocks) != len(teacher_blocks) or not student_blocks:
            raise ValueError(
                "Student and teacher should have the same positive number of matched blocks. "
                f"Received: {len(student_blocks)} and {len(teacher_blocks)}"
            )
        total = 0.0
        for student, teacher in zip(student_blocks, teacher_blocks):
            if tuple(student.shape[1:]) != tuple(teacher.shape[1:]):
                raise ValueError(
                    "Matched blocks should have the same shape. Received: "
                    f"{tuple(student.shape)} (student) and {tuple(teacher.shape)} (teacher)"
                )
            total = total + self.distance(student, teacher)
        return total

    def get_config(self):
        return {}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class AttentionTransfer(Distillation):
    """Plain distillation of hidden states: D(H_S, H_T) per layer ("Distill" in the papers)."""

    def distance(self, student, teacher):
        return attention_distance(student, teacher)


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


_keras_registration.register(__name__)
