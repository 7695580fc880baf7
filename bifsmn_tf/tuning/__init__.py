"""Search over training recipes with keras-tuner, stored so that it can be interrupted."""

from bifsmn_tf.tuning.report import Report
from bifsmn_tf.tuning.search import METHODS, Search, Trial
from bifsmn_tf.tuning.space import PARAMETERS, Parameter, make_space, parse
from bifsmn_tf.tuning.subject import Subject

__all__ = [
    "METHODS",
    "PARAMETERS",
    "Parameter",
    "Report",
    "Search",
    "Subject",
    "Trial",
    "make_space",
    "parse",
]
