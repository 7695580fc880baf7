"""Keras layers of the 1-bit keyword spotting networks."""

from bifsmn_tf import _keras_registration
from bifsmn_tf.layers.binary_conv2d import BinaryConv2D
from bifsmn_tf.layers.binary_dense import BinaryDense, BinaryPointwise
from bifsmn_tf.layers.binary_depthwise_conv2d import BinaryDepthwiseConv2D
from bifsmn_tf.layers.dfsmn_block import DFSMNBlock
from bifsmn_tf.layers.kernel_attention import KernelAttention, OrthogonalFeatures
from bifsmn_tf.layers.log_mel import LogMelSpectrogram
from bifsmn_tf.layers.memory_filter import MemoryFilter
from bifsmn_tf.layers.resampler import Resampler
from bifsmn_tf.layers.scalar_prelu import ScalarPReLU
from bifsmn_tf.layers.scale_norm import ScaleNorm
from bifsmn_tf.layers.sub_spectral_norm import SubSpectralNorm
from bifsmn_tf.layers.switchable_batch_norm import SwitchableBatchNorm

__all__ = [
    "BinaryConv2D",
    "BinaryDense",
    "BinaryDepthwiseConv2D",
    "BinaryPointwise",
    "DFSMNBlock",
    "KernelAttention",
    "LogMelSpectrogram",
    "MemoryFilter",
    "OrthogonalFeatures",
    "Resampler",
    "ScalarPReLU",
    "ScaleNorm",
    "SubSpectralNorm",
    "SwitchableBatchNorm",
]

_keras_registration.register(__name__)
