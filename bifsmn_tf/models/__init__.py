"""Keyword spotting networks."""

from bifsmn_tf import _keras_registration
from bifsmn_tf.models.audiomer import Audiomer, RedrawDirections
from bifsmn_tf.models.bcresnet import BCResNet
from bifsmn_tf.models.bifsmn import BiFSMN
from bifsmn_tf.models.bifsmn_v2 import BiFSMNv2
from bifsmn_tf.models.dfsmn import DFSMN
from bifsmn_tf.models.fsmn import FSMN
from bifsmn_tf.models.vgg import VGG19BN

__all__ = [
    "Audiomer",
    "BCResNet",
    "BiFSMN",
    "BiFSMNv2",
    "DFSMN",
    "FSMN",
    "NAMES",
    "RedrawDirections",
    "VGG19BN",
    "get",
    "small",
]

_BY_NAME = {
    "dfsmn": DFSMN,
    "bifsmn": BiFSMN,
    "bifsmnv2": BiFSMNv2,
    "fsmn": FSMN,
    "vgg19bn": VGG19BN,
    "bcresnet": BCResNet,
    "audiomer": Audiomer,
}
NAMES = tuple(_BY_NAME)


def get(network, num_classes, **kwargs):
    """Makes a network by its name.

    Args:
        network: Name, one of `NAMES`.
        num_classes: Number of classes.
        **kwargs: Further arguments of the class.

    Returns:
        A new model.

    Raises:
        ValueError: If the name is not known.
    """
    if network not in _BY_NAME:
        raise ValueError(
            f"The name of a network should be one of {', '.join(NAMES)}. Received: {network!r}"
        )
    return _BY_NAME[network](num_classes, **kwargs)


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
