"""Self-attention in linear time with positive random features (Performer)."""

import math

import keras
import numpy as np
from keras import initializers, layers, ops

from bifsmn_tf import binarizers
from bifsmn_tf.layers.binary_dense import BinaryDense

_FEATURE_FLOOR = 1e-4


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class OrthogonalFeatures(initializers.Initializer):
    """Random directions for `KernelAttention`, `(features, size)`.

    Rows come in blocks of `size` from the orthogonal factors of Gaussian matrices (the last block
    may be cut); each is multiplied by the norm of an independent Gaussian vector of that size, so
    that a single row is distributed like a Gaussian vector.

    Args:
        seed: Integer; None draws one from Keras' global generator.
    """

    def __init__(self, seed=None):
        self.seed = keras.random.SeedGenerator().next()[0] if seed is None else seed

    def __call__(self, shape, dtype=None):
        rng = np.random.default_rng(int(self.seed) % 2**32)
        rows, size = shape
        blocks = []
        for _ in range(-(-rows // size)):
            q, r = np.linalg.qr(rng.normal(size=(size, size)))
            # Signs that make the factors uniformly distributed, whatever the algorithm's own.
            blocks.append((q * np.sign(np.diag(r))).T)
        lengths = np.linalg.norm(rng.normal(size=(rows, size)), axis=1, keepdims=True)
        return ops.convert_to_tensor(np.concatenate(blocks)[:rows] * lengths, dtype)

    def get_config(self):
        return {"seed": int(self.seed)}


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class KernelAttention(layers.Layer):
    r"""Multi-head self-attention whose cost grows linearly with the number of frames.

    For a head vector x of size d, fixed random directions P (m x d) and
    $l(x) = P x / d^{1/4}$, $h(x) = \lVert x \rVert^2 / (2 \sqrt d)$,

    $$\phi_q(x)_j = m^{-1/2} \big(e^{l_j - h - \max_j l} + 10^{-4}\big), \qquad
      \phi_k(x)_j = m^{-1/2} \big(e^{l_j - h - \max_{j,u} l} + 10^{-4}\big),$$

    $$y_t = \frac{\phi_q(Q_t)^\top \sum_u \phi_k(K_u) V_u^\top}
                 {\phi_q(Q_t)^\top \sum_u \phi_k(K_u)},$$

    where the maximum for keys is over features and frames of one clip and head. The projections
    to queries, keys, values and output are `BinaryDense` layers with biases; features, products
    and quotient are always real-valued, in float32 at least.

    Args:
        num_heads: Number of heads, which share the random directions.
        head_size: d. There are `floor(d ln d)` random directions.
        dropout: Rate on the output.
        binarizer: Of the four projections, see `bifsmn_tf.binarizers.get`; None for float.

    Input shape: `(batch, frames, channels)`. Output shape: the same.

    Reference:
        [Rethinking Attention with Performers](https://arxiv.org/abs/2009.14794)
    """

    def __init__(self, num_heads=2, head_size=32, dropout=0.0, binarizer=None, **kwargs):
        super().__init__(**kwargs)
        for name, value, minimum in (("num_heads", num_heads, 1), ("head_size", head_size, 2)):
            if not isinstance(value, int) or value < minimum:
                raise ValueError(
                    f"`{name}` should be an integer of at least {minimum}. "
                    f"Received: {name}={value!r}"
                )
        self.num_heads = num_heads
        self.head_size = head_size
        self.num_features = int(head_size * math.log(head_size))
        self.binarizer = binarizers.get(binarizer)
        width = num_heads * head_size
        self.query, self.key, self.value = (
            BinaryDense(width, binarizer=self.binarizer, name=name)
            for name in ("query", "key", "value")
        )
        self.dropout = layers.Dropout(dropout, name="dropout")

    def build(self, input_shape):
        shape = tuple(input_shape)
        if len(shape) != 3 or shape[-1] is None:
            raise ValueError(
                "`KernelAttention` expects inputs of shape (batch, frames, channels). "
                f"Received: input_shape={shape}"
            )
        for layer in (self.query, self.key, self.value):
            layer.build(shape)
        self.output_projection = BinaryDense(
            shape[-1], binarizer=self.binarizer, name="output_projection"
        )
        self.output_projection.build((*shape[:-1], self.num_heads * self.head_size))
        self.directions = self.add_weight(
            name="directions",
            shape=(self.num_features, self.head_size),
            initializer=OrthogonalFeatures(),
            trainable=False,
        )

    def redraw(self, seed=None):
        """Draws new random directions, between two training steps.

        Args:
            seed: Integer; None draws one from Keras' global generator.
        """
        self.directions.assign(OrthogonalFeatures(seed)(self.directions.shape, self.variable_dtype))

    def product_macs(self, frames):
        """Multiply-adds per clip of features, products and normalizer (not of the projections)."""
        per_head = self.num_features * (4 * self.head_size + 1)
        return self.num_heads * per_head * frames

    def _features(self, x, max_axes):
        exponents = ops.matmul(x, ops.transpose(self.directions)) / self.head_size**0.25
        half = ops.sum(ops.square(x), axis=-1, keepdims=True) / (2 * math.sqrt(self.head_size))
        highest = ops.stop_gradient(ops.max(exponents, axis=max_axes, keepdims=True))
        values = ops.exp(exponents - half - highest) + _FEATURE_FLOOR
        return values / math.sqrt(self.num_features)

    def call(self, inputs, training=None):
        frames = ops.shape(inputs)[1]

        def heads(layer):
            x = ops.reshape(layer(inputs), (-1, frames, self.num_heads, self.head_size))
            return ops.cast(ops.transpose(x, (0, 2, 1, 3)), self.variable_dtype)

        queries = self._features(heads(self.query), max_axes=-1)
        keys = self._features(heads(self.key), max_axes=(-2, -1))
        context = ops.matmul(ops.transpose(keys, (0, 1, 3, 2)), heads(self.value))
        total = ops.sum(keys, axis=-2)[..., None]
        x = ops.matmul(queries, context) / ops.matmul(queries, total)
        x = ops.reshape(
            ops.transpose(x, (0, 2, 1, 3)), (-1, frames, self.num_heads * self.head_size)
        )
        x = self.output_projection(ops.cast(x, self.compute_dtype))
        return self.dropout(x, training=training)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "head_size": self.head_size,
            "dropout": self.dropout.rate,
            "binarizer": binarizers.serialize(self.binarizer),
        }
