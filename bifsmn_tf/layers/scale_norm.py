"""Normalization of a vector to a learned length."""

import keras
from keras import layers, ops

_SMALLEST_NORM = 1e-5


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class ScaleNorm(layers.Layer):
    r"""Scales every vector along the last axis to one learned length.

    $$y = g\, \frac{x}{\max(\lVert x \rVert_2, 10^{-5})}$$

    with one scalar g, 1 at the start (Nguyen and Salazar, 2019, "Transformers without Tears"). A
    zero vector stays zero and passes a finite gradient.

    Input shape: any. Output shape: the same.
    """

    def build(self, input_shape):
        self.length = self.add_weight(name="length", shape=(), initializer="ones")

    def call(self, inputs):
        square = ops.sum(ops.square(inputs), axis=-1, keepdims=True)
        return inputs * (self.length * ops.rsqrt(ops.maximum(square, _SMALLEST_NORM**2)))

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)
