"""Keyword spotting networks."""

from bifsmn_tf import _keras_registration
from bifsmn_tf.models.bifsmn import BiFSMN
from bifsmn_tf.models.bifsmn_v2 import BiFSMNv2
from bifsmn_tf.models.dfsmn import DFSMN

__all__ = ["DFSMN", "BiFSMN", "BiFSMNv2", "small"]


def small(num_classes, model=BiFSMN, **kwargs):
    """BiFSMN_S (or another network at its size): memory 32, hidden 64, 3x3 front end.

    Args:
        num_classes: Number of classes.
        model: Class of the network.
        **kwargs: Further arguments of the class.

    Returns:
        A new model.
    """
    return model(num_classes, variant="S", **kwargs)

_keras_registration.register(__name__)
