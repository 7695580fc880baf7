r"""The attention distance of the papers, and distillation of hidden states as they are.

$$D(S, T) = \left\lVert \frac{S^2}{\lVert S^2 \rVert_2}
                      - \frac{T^2}{\lVert T^2 \rVert_2} \right\rVert_2$$

with elementwise squares and norms over the whole batch tensor: scale-invariant in both arguments
and at most $\sqrt 2$.
"""

import keras
from keras import ops

from bifsmn_tf.distillation.base import Distillation

_EPSILON = 1e-12


def frobenius_norm(x):
    """Frobenius norm; its gradient at zero is zero instead of NaN."""
    total = ops.sum(ops.square(x))
    positive = total > 0
    return ops.where(positive, ops.sqrt(ops.where(positive, total, 1.0)), 0.0)


def attention_distance(student, teacher):
    """D(S, T) of Eq. (10), a scalar between 0 and sqrt(2); a zero tensor has distance 1 or 0."""

    def normalized(x):
        square = ops.square(x)
        return square / (frobenius_norm(square) + _EPSILON)

    return frobenius_norm(normalized(student) - normalized(teacher))


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class AttentionTransfer(Distillation):
    """Plain distillation of hidden states: D(H_S, H_T) per layer ("Distill" in the papers)."""

    def distance(self, student, teacher):
        return attention_distance(student, teacher)
