"""Running converted models on a device: needs numpy and a TFLite interpreter, no TensorFlow."""

from bifsmn_tf.runtime.detector import Detector
from bifsmn_tf.runtime.frontend import log_mel
from bifsmn_tf.runtime.interpreter import TFLiteModel
from bifsmn_tf.runtime.library import load_ops_delegate, ops_library
from bifsmn_tf.runtime.spotter import KeywordSpotter, Prediction
from bifsmn_tf.runtime.stream import Heard, KeywordStream

__all__ = [
    "Detector",
    "Heard",
    "KeywordSpotter",
    "KeywordStream",
    "Prediction",
    "TFLiteModel",
    "load_ops_delegate",
    "log_mel",
    "ops_library",
]
