"""PReLU with one slope for the whole layer."""

import keras
from keras import initializers, layers, ops


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class ScalarPReLU(layers.Layer):
    r"""Parametric ReLU with a single trainable slope.

    $$y = \begin{cases} x & x \ge 0 \\ a\,x & x < 0 \end{cases}$$

    `keras.layers.PReLU` never shares its slope over channels; the official networks have one
    scalar per layer.

    Args:
        initial_slope: Initial value of the slope `a`.

    Input shape: any. Output shape: the same.
    """

    def __init__(self, initial_slope=0.25, **kwargs):
        super().__init__(**kwargs)
        self.initial_slope = float(initial_slope)
        self.supports_masking = True

    def build(self, input_shape):
        self.slope = self.add_weight(
            name="slope", shape=(), initializer=initializers.Constant(self.initial_slope)
        )

    def call(self, inputs):
        return ops.where(inputs >= 0, inputs, inputs * self.slope)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "initial_slope": self.initial_slope}
