"""Distillation: how a student's hidden states and logits are compared with a teacher's.

A distillation object maps two lists of equally shaped block outputs `(batch, frames, channels)`
to a scalar. `ThinnableDistiller` matches block k of a student's switch with the teacher's block
at the same depth. Objects for its `logits` map two tensors of logits to a scalar.
`TeacherEnsemble` makes one teacher of several float networks.
"""

from bifsmn_tf import _keras_registration
from bifsmn_tf.distillation.attention import AttentionTransfer, attention_distance
from bifsmn_tf.distillation.base import Distillation
from bifsmn_tf.distillation.ensemble import TeacherEnsemble
from bifsmn_tf.distillation.fid import FID
from bifsmn_tf.distillation.hed import HED
from bifsmn_tf.distillation.logits import LogitMSE, SoftTargets

__all__ = [
    "FID",
    "HED",
    "AttentionTransfer",
    "Distillation",
    "LogitMSE",
    "SoftTargets",
    "TeacherEnsemble",
    "attention_distance",
]

_keras_registration.register(__name__)
