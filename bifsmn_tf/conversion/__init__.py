"""Conversion of trained models to TFLite."""

# Architectures register themselves.
from bifsmn_tf.conversion import dfsmn_graph as _dfsmn_graph  # noqa: F401
from bifsmn_tf.conversion import fsmn_graph as _fsmn_graph  # noqa: F401
from bifsmn_tf.conversion.convert import convert, convert_with_report
from bifsmn_tf.conversion.errors import ConversionError
from bifsmn_tf.conversion.graph import Deployment
from bifsmn_tf.conversion.report import Parity, Report, inspect

__all__ = [
    "ConversionError",
    "Deployment",
    "Parity",
    "Report",
    "convert",
    "convert_with_report",
    "inspect",
]
