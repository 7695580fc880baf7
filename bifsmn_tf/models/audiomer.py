"""Audiomer, the row of that name in BiFSMN's Table 3."""

import keras
from keras import activations, initializers, layers, ops

from bifsmn_tf import binarizers
from bifsmn_tf.layers import (
    BinaryConv2D,
    BinaryDense,
    BinaryDepthwiseConv2D,
    BinaryPointwise,
    KernelAttention,
    ScaleNorm,
)
from bifsmn_tf.layers.dfsmn_block import make_activation
from bifsmn_tf.layers.switchable_batch_norm import batch_norm
from bifsmn_tf.models.comparison import ComparisonNetwork, build_in_turn, check_positive_integers

_VARIANTS = {
    "S": (4, 8, 8, 16, 16, 32, 32, 64, 64),
    "M": (4, 8, 16, 16, 32, 64, 128),
    "L": (4, 8, 16, 16, 32, 32, 64, 64, 96, 96, 192),
}
# Padding of the residual convolutions, chosen by the source for its own lengths.
_RESIDUAL_PADDING = (3, 4, 4, 3, 3, 3, 3, 4, 4, 4, 4)
_TOKEN_SIZE = 128
_KERNEL = 5
_QUERY_STRIDE, _QUERY_PADDING = 2, 3
_CONTEXT_STRIDE, _CONTEXT_PADDING = 4, 1
_SQUEEZED = 8


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class AudiomerPath(layers.Layer):
    """Strided separable convolution with squeeze-and-excitation.

    Depthwise convolution over time, batch normalization, pointwise convolution, one frame of
    zeros at each end, and a factor per channel in (0, 1) computed from the mean over all frames.

    Args:
        filters: Output channels.
        stride, padding: Of the depthwise convolution.
        activation: Between the two layers that compute the factors: "relu" or "prelu".
        binarizer: Name or instance; None for float.
        first_binarizer: Of the depthwise convolution.

    Input shape: `(batch, frames, channels)`. Output shape: `(batch, new_frames, filters)`.
    """

    def __init__(
        self,
        filters,
        stride,
        padding,
        activation="relu",
        binarizer=None,
        first_binarizer=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.filters = filters
        self.stride = stride
        self.padding = padding
        self.activation = activation
        self.binarizer = binarizers.get(binarizer)
        self.first_binarizer = binarizers.get(first_binarizer)
        bits = {"binarizer": self.binarizer}
        self.depthwise = BinaryDepthwiseConv2D(
            (_KERNEL, 1),
            strides=(stride, 1),
            padding=(padding, 0),
            binarizer=self.first_binarizer,
            use_bias=False,
            name="depthwise",
        )
        self.norm = batch_norm("norm")
        # The padding of a width-1 kernel adds a frame of zeros at each end.
        self.pointwise = BinaryConv2D(
            filters, 1, padding=(1, 0), use_bias=False, name="pointwise", **bits
        )
        self.squeeze = BinaryPointwise(_SQUEEZED, name="squeeze", **bits)
        self.squeeze_activation = make_activation(activation, "squeeze_activation")
        self.excite = BinaryPointwise(filters, name="excite", **bits)

    def build(self, input_shape):
        batch, frames, channels = input_shape
        shape = (batch, frames, 1, channels)
        build_in_turn(shape, self.depthwise, self.norm, self.pointwise)
        shape = (batch, 1, self.filters)
        build_in_turn(shape, self.squeeze, self.squeeze_activation, self.excite)

    def call(self, inputs, training=None):
        x = self.depthwise(ops.expand_dims(inputs, 2))
        x = ops.squeeze(self.pointwise(self.norm(x, training=training)), 2)
        factors = self.squeeze_activation(self.squeeze(ops.mean(x, axis=1, keepdims=True)))
        return x * activations.sigmoid(self.excite(factors))

    def compute_output_shape(self, input_shape):
        batch, frames, channels = input_shape
        shape = self.depthwise.compute_output_shape((batch, frames, 1, channels))
        return (batch, self.pointwise.compute_output_shape(shape)[1], self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "stride": self.stride,
            "padding": self.padding,
            "activation": self.activation,
            "binarizer": binarizers.serialize(self.binarizer),
            "first_binarizer": binarizers.serialize(self.first_binarizer),
        }


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class AudiomerTransformer(layers.Layer):
    r"""Kernel attention and a gated feed-forward layer, each on normalized frames.

    $$y = x + \mathrm{Attn}(\mathrm{SN}_1(x)), \qquad
      z = y + W_2\big(\mathrm{GELU}(a) \odot v\big), \quad (a, v) = W_1\,\mathrm{SN}_2(y)$$

    Args:
        dropout: Rate after the attention.
        binarizer: Of the linear layers; None for float.

    Input shape: `(batch, frames, channels)`. Output shape: the same.
    """

    def __init__(self, dropout=0.2, binarizer=None, **kwargs):
        super().__init__(**kwargs)
        self.binarizer = binarizers.get(binarizer)
        self.attention_norm = ScaleNorm(name="attention_norm")
        self.attention = KernelAttention(
            2, 32, dropout=dropout, binarizer=self.binarizer, name="attention"
        )
        self.feedforward_norm = ScaleNorm(name="feedforward_norm")

    def build(self, input_shape):
        shape, channels = tuple(input_shape), input_shape[-1]
        bits = {"binarizer": self.binarizer}
        self.gate = BinaryDense(4 * channels, name="gate", **bits)
        self.projection = BinaryDense(channels, name="projection", **bits)
        for layer in (self.attention_norm, self.attention, self.feedforward_norm, self.gate):
            layer.build(shape)
        self.projection.build((*shape[:-1], 2 * channels))

    def call(self, inputs, training=None):
        x = inputs + self.attention(self.attention_norm(inputs), training=training)
        gate, value = ops.split(self.gate(self.feedforward_norm(x)), 2, axis=-1)
        return x + self.projection(activations.gelu(gate, approximate=False) * value)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        return {
            **super().get_config(),
            "dropout": self.attention.dropout.rate,
            "binarizer": binarizers.serialize(self.binarizer),
        }


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class AudiomerBlock(layers.Layer):
    r"""One block: $q = \mathrm{path}(x)$,
    $y = q + \mathrm{transformer}(q) + \mathrm{ReLU}(\mathrm{BN}(\mathrm{conv}(x)))$.

    The source has a second path, the context, whose output nothing reads.

    Args:
        filters: Output channels.
        residual_padding: Zeros at each end for the residual convolution (kernel and stride 2).
        dropout: Rate after the attention.
        context: Whether the unused path exists.
        activation: See `AudiomerPath`.
        binarizer: Name or instance; None for float.
        first_binarizer: Of the block's first layer.

    Input shape: `(batch, frames, channels)`. Output shape: `(batch, new_frames, filters)`.
    """

    def __init__(
        self,
        filters,
        residual_padding,
        dropout=0.2,
        context=True,
        activation="relu",
        binarizer=None,
        first_binarizer=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.filters = filters
        self.residual_padding = residual_padding
        self.binarizer = binarizers.get(binarizer)
        bits = {"activation": activation, "binarizer": self.binarizer}
        self.query = AudiomerPath(
            filters,
            _QUERY_STRIDE,
            _QUERY_PADDING,
            first_binarizer=first_binarizer,
            name="query",
            **bits,
        )
        self.context = None
        if context:
            self.context = AudiomerPath(
                filters,
                _CONTEXT_STRIDE,
                _CONTEXT_PADDING,
                first_binarizer=self.binarizer,
                name="context",
                **bits,
            )
        self.transformer = AudiomerTransformer(
            dropout, binarizer=self.binarizer, name="transformer"
        )
        self.residual = BinaryConv2D(
            filters,
            (2, 1),
            strides=(2, 1),
            padding=(residual_padding, 0),
            use_bias=False,
            binarizer=self.binarizer,
            name="residual",
        )
        self.residual_norm = batch_norm("residual_norm")

    def build(self, input_shape):
        batch, frames, channels = input_shape
        path = self.query.compute_output_shape(input_shape)
        residual = self.residual.compute_output_shape((batch, frames, 1, channels))
        if path[1] != residual[1]:
            raise ValueError(
                f"The convolution path and the residual path of `{self.name}` should have the "
                f"same number of frames. Received: {frames} frames, which become {path[1]} and "
                f"{residual[1]}"
            )
        self.query.build(input_shape)
        if self.context is not None:
            self.context.build(input_shape)
        self.transformer.build(path)
        self.residual.build((batch, frames, 1, channels))
        self.residual_norm.build(residual)

    def call(self, inputs, training=None):
        x = self.query(inputs, training=training)
        if self.context is not None:
            self.context(inputs, training=training)
        residual = self.residual(ops.expand_dims(inputs, 2))
        residual = ops.relu(self.residual_norm(residual, training=training))
        return x + self.transformer(x, training=training) + ops.squeeze(residual, 2)

    def compute_output_shape(self, input_shape):
        return self.query.compute_output_shape(input_shape)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "residual_padding": self.residual_padding,
            "dropout": self.transformer.attention.dropout.rate,
            "context": self.context is not None,
            "activation": self.query.activation,
            "binarizer": binarizers.serialize(self.binarizer),
            "first_binarizer": binarizers.serialize(self.query.first_binarizer),
        }


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class Audiomer(ComparisonNetwork):
    """Strided convolutions and linear-time attention on the raw waveform.

    128 trainable samples are put in front of the waveform, blocks of separable convolution,
    kernel attention and a gated feed-forward layer halve the number of frames again and again,
    and frame 0 of the last block goes through two dense layers. This is the state of the public
    source whose parameters and FLOPs BiFSMN's table shows. The depthwise convolution of the first
    block's main path and the last dense layer stay real-valued; so does, whatever the binarizer,
    the attention itself, with 86 % of all multiply-adds.

    Frame 0 of a block's main path is exactly zero and the residual's frame 0 sees only padding:
    the waveform reaches the logits through the attention alone.

    In "faithful" mode the second squeeze-and-excitation layers read outputs of ReLU (see
    `ComparisonNetwork`). In "sound" mode a PReLU with one slope takes its place there.

    Args:
        num_classes: Number of classes.
        variant: "S", "M" or "L": number and widths of the blocks.
        channels: Widths of the blocks, 11 at most, instead of a variant's.
        dropout: Rate after attention and before the last layer.
        context: Whether to have the source's context path, whose output nothing reads and whose
            weights get no gradient (55,523 parameters of "L").
        num_samples: Samples of the waveform, one second at 8,192 Hz by default. The paddings of
            the source fit multiples of 2 ** (number of blocks) only: 512, 128 and 2,048 for the
            three variants.
        binarizer: Name or instance, see `bifsmn_tf.binarizers`; None for the float network.
        mode: "faithful" or "sound", see above.
        sign_of_zero: Sign of an exact zero in activations, 0 or 1; None: 0 if faithful, else 1.
        labels: Names of the classes; they travel with the saved model.

    Input shape: `(batch, num_samples)` in [-1, 1). Output shape: `(batch, num_classes)`, logits.

    Call arguments:
        inputs: Waveforms.
        thin: Only 1.0.
        training: Whether to use batch statistics and dropout.
        return_blocks: Also return an empty list: there are no hidden states to distill.

    Reference:
        [Audiomer: A Convolutional Transformer For Keyword
        Spotting](https://arxiv.org/abs/2109.10252)
    """

    def __init__(
        self,
        num_classes,
        variant="L",
        channels=None,
        dropout=0.2,
        context=True,
        num_samples=8192,
        **kwargs,
    ):
        super().__init__(num_classes, **kwargs)
        check_positive_integers(num_samples=num_samples)
        if variant not in _VARIANTS:
            raise ValueError(
                f"`variant` should be one of {sorted(_VARIANTS)}. Received: variant={variant!r}"
            )
        self.channels = tuple(_VARIANTS[variant] if channels is None else channels)
        if not 1 <= len(self.channels) <= len(_RESIDUAL_PADDING):
            raise ValueError(
                f"`channels` should hold 1 to {len(_RESIDUAL_PADDING)} integers, one per block. "
                f"Received: channels={channels!r}"
            )
        unit = 2 ** len(self.channels)
        if num_samples % unit:
            raise ValueError(
                f"`num_samples` should be a multiple of {unit}, for only then have both paths of "
                f"every block the same number of frames; one second at 8,192 Hz has 8192. "
                f"Received: num_samples={num_samples}"
            )
        self.dropout = dropout
        self.context = bool(context)
        self.num_samples = num_samples

        binarizer = self.layer_binarizer
        self.blocks = [
            AudiomerBlock(
                filters,
                padding,
                dropout,
                self.context,
                "prelu" if self.sound else "relu",
                binarizer,
                None if number == 1 else binarizer,
                name=f"block{number}",
            )
            for number, (filters, padding) in enumerate(
                zip(self.channels, _RESIDUAL_PADDING), 1
            )
        ]
        self.hidden = BinaryDense(self.channels[-1], binarizer=binarizer, name="hidden")
        self.hidden_dropout = layers.Dropout(dropout, name="hidden_dropout")
        self.classifier = BinaryDense(num_classes, binarizer=None, name="classifier")
        self.finish((num_samples,))

    def build_layers(self, shape):
        self.token = self.add_weight(
            name="token", shape=(_TOKEN_SIZE,), initializer=initializers.RandomNormal(stddev=1.0)
        )
        shape = build_in_turn((None, _TOKEN_SIZE + self.num_samples, 1), *self.blocks)
        build_in_turn((None, shape[-1]), self.hidden, self.classifier)

    def redraw_directions(self, seed=None):
        """Draws new random directions for every attention, between two training steps.

        The source does so every 1,000 training steps, see `RedrawDirections`.

        Args:
            seed: Integer; None draws from Keras' global generator.
        """
        for number, block in enumerate(self.blocks):
            block.transformer.attention.redraw(None if seed is None else seed + number)

    def forward(self, inputs, training=None):
        token = ops.broadcast_to(self.token, (ops.shape(inputs)[0], _TOKEN_SIZE))
        x = ops.concatenate([ops.cast(token, inputs.dtype), inputs], axis=1)[..., None]
        for block in self.blocks:
            x = block(x, training=training)
        x = activations.gelu(self.hidden(x[:, 0]), approximate=False)
        return self.classifier(self.hidden_dropout(x, training=training)), []

    def get_config(self):
        return {
            **super().get_config(),
            "channels": list(self.channels),
            "dropout": self.dropout,
            "context": self.context,
            "num_samples": self.num_samples,
        }


class RedrawDirections(keras.callbacks.Callback):
    """Draws new random directions for an `Audiomer` now and then during training.

    Args:
        network: The `Audiomer`, be it the model that is fitted or part of it.
        every: Training steps between two drawings.
    """

    def __init__(self, network, every=1000):
        super().__init__()
        check_positive_integers(every=every)
        self.network = network
        self.every = every
        self._steps = 0

    def on_train_batch_end(self, batch, logs=None):
        self._steps += 1
        if self._steps % self.every == 0:
            self.network.redraw_directions()
