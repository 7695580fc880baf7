r"""Binarizers: how real values become one bit, and how gradients pass through.

A binarizer has a forward and a backward side for activations and for weights. Every class here is
written with `keras.ops` only and uses one idiom for the straight-through estimator,

    value + (surrogate - stop_gradient(surrogate)),

whose forward result is exactly `value` (the bracket is exactly zero) and whose gradient is that of
`surrogate`.

Weights are returned in two factors, `binary` and `scale`, with `scale` constant over everything
that one output sums: a layer computes `contraction(x, binary) * scale`. The contraction of +-1
values is then an exact integer in float32, the same number an XNOR-popcount kernel finds.
Activations are returned as a sum of such products, see `Activation`.
"""

import keras

from bifsmn_tf import _keras_registration
from bifsmn_tf.binarizers.base import (
    Activation,
    Binarizer,
    Deployed,
    clipped_identity,
    scaling_factor,
    sign,
    straight_through,
)
from bifsmn_tf.binarizers.bi_real import BiReal, ReActNet
from bifsmn_tf.binarizers.ir_net import IRNet
from bifsmn_tf.binarizers.lpb import LPB
from bifsmn_tf.binarizers.lsq import LSQ
from bifsmn_tf.binarizers.real_activations import RealActivations
from bifsmn_tf.binarizers.straight_through_sign import BNN, RAD, DoReFa, Vanilla
from bifsmn_tf.binarizers.xnor_net import XNORNet
from bifsmn_tf.binarizers.zero_preserving import ZeroPreserving

_BY_NAME = {
    cls.name: cls
    for cls in (Vanilla, BNN, XNORNet, DoReFa, BiReal, IRNet, RAD, ReActNet, LPB, LSQ)
}

__all__ = [
    *(cls.__name__ for cls in _BY_NAME.values()),
    "Activation",
    "Binarizer",
    "Deployed",
    "RealActivations",
    "ZeroPreserving",
    "clipped_identity",
    "get",
    "scaling_factor",
    "serialize",
    "sign",
    "straight_through",
]


def get(identifier):
    """Resolves a binarizer.

    Args:
        identifier: A name ("vanilla", "bnn", "xnor_net", "dorefa", "bi_real", "ir_net", "rad",
            "react_net", "lpb" or "lsq"), a `Binarizer`, its serialized configuration, or None for
            no binarization (a float layer).

    Returns:
        A `Binarizer` or None.

    Raises:
        ValueError: If the identifier is not understood.
    """
    if identifier is None or isinstance(identifier, Binarizer):
        return identifier
    if isinstance(identifier, dict):
        return keras.saving.deserialize_keras_object(identifier)
    if isinstance(identifier, str) and identifier in _BY_NAME:
        return _BY_NAME[identifier]()
    raise ValueError(
        f"`binarizer` should be one of {sorted(_BY_NAME)}, a Binarizer, or None for a float "
        f"layer. Received: {identifier!r}"
    )


def serialize(binarizer):
    """Configuration of a binarizer from which `get` restores it."""
    return None if binarizer is None else keras.saving.serialize_keras_object(binarizer)


_keras_registration.register(__name__)
