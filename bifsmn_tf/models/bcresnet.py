"""BC-ResNet, the row of that name in BiFSMN's Table 3."""

import keras
from keras import activations, layers, ops

from bifsmn_tf import binarizers
from bifsmn_tf.layers import (
    BinaryConv2D,
    BinaryDepthwiseConv2D,
    BinaryPointwise,
    SubSpectralNorm,
)
from bifsmn_tf.layers.dfsmn_block import make_activation
from bifsmn_tf.layers.switchable_batch_norm import batch_norm
from bifsmn_tf.models.comparison import ComparisonNetwork, build_in_turn, check_positive_integers

# Per stage: base width, normal blocks after the transition, frequency stride, time dilation.
_STAGES = ((8, 1, 1, 1), (12, 1, 2, 2), (16, 3, 2, 4), (20, 3, 1, 8))
_STEM_WIDTH, _LAST_WIDTH = 16, 32
# Rows are halved by the stem and two stages and then divided into five sub-bands.
_SUB_BANDS = 5
_ROW_UNIT = 8 * _SUB_BANDS


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class BroadcastedBlock(layers.Layer):
    r"""Residual block that adds a one-dimensional temporal path to all mel rows.

    $$y = \mathrm{SSN}(\mathrm{depthwise}_{3 \times 1}(u)), \quad
      q = \mathrm{drop}\big(W\,\mathrm{SiLU}(\mathrm{BN}(\mathrm{depthwise}_{1 \times 3}
      (\operatorname{mean}_f y)))\big), \quad \text{output} = f(r + y + q)$$

    A normal block has u = r = x. A transition block (`filters` given) has
    $u = f(\mathrm{BN}(W_0 x))$ and no r.

    Args:
        filters: Channels of a transition block; None for a normal block.
        stride: Frequency stride.
        dilation: Time dilation.
        dropout: Rate for whole channels of q.
        activation: f, "relu" or "prelu" (one slope).
        binarizer: Name or instance; None for a float block.

    Input shape: `(batch, mels, frames, channels)`.
    Output shape: `(batch, new_mels, frames, new_channels)`.
    """

    def __init__(
        self,
        filters=None,
        stride=1,
        dilation=1,
        dropout=0.5,
        activation="relu",
        binarizer=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.filters = filters
        self.stride = stride
        self.dilation = dilation
        self.activation = activation
        self.binarizer = binarizers.get(binarizer)
        bits = {"binarizer": self.binarizer, "use_bias": False}
        self.frequency_conv = BinaryDepthwiseConv2D(
            (3, 1), strides=(stride, 1), padding=(1, 0), name="frequency_conv", **bits
        )
        self.frequency_norm = SubSpectralNorm(_SUB_BANDS, name="frequency_norm")
        self.temporal_conv = BinaryDepthwiseConv2D(
            (1, 3), padding=(0, dilation), dilation=(1, dilation), name="temporal_conv", **bits
        )
        self.temporal_norm = batch_norm("temporal_norm")
        self.expansion = None
        if filters is not None:
            self.expansion = BinaryPointwise(filters, name="expansion", **bits)
            self.expansion_norm = batch_norm("expansion_norm")
            self.expansion_activation = make_activation(activation, "expansion_activation")
        self.dropout = layers.SpatialDropout2D(dropout, name="dropout")
        self.output_activation = make_activation(activation, "output_activation")

    def build(self, input_shape):
        shape = tuple(input_shape)
        if self.expansion is not None:
            self.expansion.build(shape)
            shape = (*shape[:-1], self.filters)
            self.expansion_norm.build(shape)
            self.expansion_activation.build(shape)
        self.frequency_conv.build(shape)
        shape = self.frequency_conv.compute_output_shape(shape)
        self.frequency_norm.build(shape)
        self.output_activation.build(shape)
        temporal = (shape[0], 1, *shape[2:])
        self.temporal_conv.build(temporal)
        self.temporal_norm.build(temporal)
        self.projection = BinaryPointwise(
            shape[-1], use_bias=False, binarizer=self.binarizer, name="projection"
        )
        self.projection.build(temporal)

    def call(self, inputs, training=None):
        x = inputs
        if self.expansion is not None:
            x = self.expansion_norm(self.expansion(x), training=training)
            x = self.expansion_activation(x)
        rows = self.frequency_norm(self.frequency_conv(x), training=training)
        temporal = self.temporal_conv(ops.mean(rows, axis=1, keepdims=True))
        temporal = activations.silu(self.temporal_norm(temporal, training=training))
        x = rows + self.dropout(self.projection(temporal), training=training)
        return self.output_activation(x if self.expansion is not None else inputs + x)

    def compute_output_shape(self, input_shape):
        shape = (*input_shape[:-1], self.filters or input_shape[-1])
        return self.frequency_conv.compute_output_shape(shape)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "stride": self.stride,
            "dilation": self.dilation,
            "dropout": self.dropout.rate,
            "activation": self.activation,
            "binarizer": binarizers.serialize(self.binarizer),
        }


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class BCResNet(ComparisonNetwork):
    """Broadcasted residual network, as BiFSMN's authors must have used it.

    A 5x5 convolution, four stages of `BroadcastedBlock`s, a grouped 5x5 convolution that
    leaves one row, a 1x1 convolution, the mean over time and a dense layer. The paper's parameter
    count and FLOPs are those of a public port whose widths were multiplied by 8 but for the 20
    groups of the last 5x5 convolution, meant to be depthwise. The first convolution and the last
    layer stay real-valued.

    In "faithful" mode most binarized layers read outputs of ReLU (see `ComparisonNetwork`), and
    the first of them reads the first convolution's output, whose values of tens of dB lie outside
    the window of any straight-through estimator. In "sound" mode the first convolution is
    followed by batch normalization, and a PReLU with one slope takes the place of every ReLU.

    Args:
        num_classes: Number of classes.
        width: Factor on all channel counts.
        groups: Groups of the last 5x5 convolution; `20 * width` makes it depthwise.
        dropout: Rate for whole channels of the blocks' temporal path.
        num_mels: Mel bands of the input, a multiple of 40: the rows are halved three times and
            then divided into five sub-bands.
        num_frames: Frames of the input.
        binarizer: Name or instance, see `bifsmn_tf.binarizers`; None for the float network.
        mode: "faithful" or "sound", see above.
        sign_of_zero: Sign of an exact zero in activations, 0 or 1; None: 0 if faithful, else 1.
        labels: Names of the classes; they travel with the saved model.

    Input shape: `(batch, num_mels, num_frames, 1)` in dB. Output shape: `(batch, num_classes)`,
    logits.

    Call arguments:
        inputs: Features.
        thin: Only 1.0.
        training: Whether to use batch statistics and dropout.
        return_blocks: Also return an empty list: there are no hidden states to distill.

    Reference:
        [Broadcasted Residual Learning for Efficient Keyword
        Spotting](https://arxiv.org/abs/2106.04140)
    """

    def __init__(
        self,
        num_classes,
        width=8,
        groups=20,
        dropout=0.5,
        num_mels=40,
        num_frames=32,
        **kwargs,
    ):
        super().__init__(num_classes, **kwargs)
        check_positive_integers(
            width=width, groups=groups, num_mels=num_mels, num_frames=num_frames
        )
        if num_mels % _ROW_UNIT:
            raise ValueError(
                f"`num_mels` should be a multiple of {_ROW_UNIT}: `BCResNet` halves the rows "
                f"three times and divides the rest into {_SUB_BANDS} sub-bands. "
                f"Received: num_mels={num_mels}"
            )
        self.width = width
        self.groups = groups
        self.dropout = dropout
        self.num_mels = num_mels
        self.num_frames = num_frames

        bits = {"binarizer": self.layer_binarizer}
        activation = "prelu" if self.sound else "relu"
        self.conv1 = BinaryConv2D(
            _STEM_WIDTH * width, 5, strides=(2, 1), padding=2, binarizer=None, name="conv1"
        )
        self.norm1 = batch_norm("norm1") if self.sound else None
        self.blocks = []
        for base, normal, stride, dilation in _STAGES:
            for index in range(1 + normal):
                first = index == 0
                self.blocks.append(
                    BroadcastedBlock(
                        base * width if first else None,
                        stride if first else 1,
                        dilation,
                        dropout,
                        activation,
                        name=f"block{len(self.blocks) + 1}",
                        **bits,
                    )
                )
        self.conv2 = BinaryConv2D(
            _STAGES[-1][0] * width, 5, padding=(0, 2), groups=groups, name="conv2", **bits
        )
        self.conv3 = BinaryPointwise(_LAST_WIDTH * width, use_bias=False, name="conv3", **bits)
        self.classifier = BinaryPointwise(
            num_classes, use_bias=False, binarizer=None, name="classifier"
        )
        self.finish((num_mels, num_frames, 1))

    def build_layers(self, shape):
        norm = () if self.norm1 is None else (self.norm1,)
        shape = build_in_turn(shape, self.conv1, *norm, *self.blocks, self.conv2, self.conv3)
        self.classifier.build((None, shape[-1]))

    def forward(self, inputs, training=None):
        x = self.conv1(inputs)
        if self.norm1 is not None:
            x = self.norm1(x, training=training)
        for block in self.blocks:
            x = block(x, training=training)
        x = self.conv3(self.conv2(x))
        return self.classifier(ops.mean(x, axis=(1, 2))), []

    def get_config(self):
        return {
            **super().get_config(),
            "width": self.width,
            "groups": self.groups,
            "dropout": self.dropout,
            "num_mels": self.num_mels,
            "num_frames": self.num_frames,
        }
