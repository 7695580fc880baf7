"""Initial values of the official networks: uniform in +-1/sqrt(fan_in), weights and biases."""

import math

from keras import initializers


def uniform_fan_in(fan_in, seed=None):
    """Uniform initializer in [-1/sqrt(fan_in), 1/sqrt(fan_in)].

    Keras computes the fan-in of a depthwise kernel wrongly and gives biases none, so it is passed
    explicitly.
    """
    limit = 1.0 / math.sqrt(fan_in)
    return initializers.RandomUniform(-limit, limit, seed=seed)


def serialize_initializer(initializer):
    """Configuration of an initializer; None stays None."""
    return None if initializer is None else initializers.serialize(initializer)
