"""Keras layers of the 1-bit keyword spotting networks."""

from bifsmn_tf import _keras_registration
from bifsmn_tf.layers.binary_conv2d import BinaryConv2D
from bifsmn_tf.layers.binary_dense import BinaryDense, BinaryPointwise
from bifsmn_tf.layers.dfsmn_block import DFSMNBlock
from bifsmn_tf.layers.log_mel import LogMelSpectrogram
from bifsmn_tf.layers.memory_filter import MemoryFilter
from bifsmn_tf.layers.scalar_prelu import ScalarPReLU
from bifsmn_tf.layers.switchable_batch_norm import SwitchableBatchNorm

__all__ = [
    "BinaryConv2D",
    "BinaryDense",
    "BinaryPointwise",
    "DFSMNBlock",
    "LogMelSpectrogram",
    "MemoryFilter",
    "ScalarPReLU",
    "SwitchableBatchNorm",
]

_keras_registration.register(__name__)
