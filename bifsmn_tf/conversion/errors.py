"""Errors of the converter."""


class ConversionError(ValueError):
    """The model cannot be converted; the message says why and what would help."""
