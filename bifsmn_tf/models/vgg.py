"""VGG19 with batch normalization, the row VGG19bn of the papers' tables."""

import keras
from keras import initializers, layers

from bifsmn_tf.layers import BinaryConv2D, BinaryDense
from bifsmn_tf.layers.dfsmn_block import make_activation
from bifsmn_tf.layers.switchable_batch_norm import batch_norm
from bifsmn_tf.models.comparison import ComparisonNetwork, build_in_turn, check_positive_integers

# Convolutions between two poolings (configuration E).
_CONVOLUTIONS = (2, 2, 4, 4, 4)


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class VGG19BN(ComparisonNetwork):
    """VGG configuration E with batch normalization on a one-channel log-mel "image".

    Sixteen 3x3 convolutions, each followed by batch normalization and ReLU, with 2x2 maximum
    pooling after the 2nd, 4th, 8th, 12th and 16th; then three dense layers with ReLU and dropout
    between them. The first convolution and the last dense layer stay real-valued.

    In "faithful" mode every binarized layer reads non-negative values (see `ComparisonNetwork`).
    In "sound" mode a PReLU with one slope takes the place of every ReLU, pooling comes right
    after the convolution as XNOR-Net advises (of the signs it would leave mostly +1), and there
    is no dropout in front of a binarized layer.

    Args:
        num_classes: Number of classes.
        widths: Channels of the five groups of convolutions.
        hidden_size: Width of the hidden dense layers.
        dropout: Rate after the hidden dense layers.
        num_mels, num_frames: Size of the input, at least 32.
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
        [Very Deep Convolutional Networks for Large-Scale Image
        Recognition](https://arxiv.org/abs/1409.1556)
    """

    def __init__(
        self,
        num_classes,
        widths=(64, 128, 256, 512, 512),
        hidden_size=4096,
        dropout=0.5,
        num_mels=32,
        num_frames=32,
        **kwargs,
    ):
        super().__init__(num_classes, **kwargs)
        check_positive_integers(
            hidden_size=hidden_size, num_mels=num_mels, num_frames=num_frames
        )
        if min(num_mels, num_frames) < 2 ** len(_CONVOLUTIONS):
            raise ValueError(
                "`num_mels` and `num_frames` should be at least 32, for five poolings. Received: "
                f"num_mels={num_mels}, num_frames={num_frames}"
            )
        self.widths = tuple(widths)
        if len(self.widths) != len(_CONVOLUTIONS):
            raise ValueError(f"`widths` should hold five integers. Received: widths={widths!r}")
        self.hidden_size = hidden_size
        self.dropout = dropout
        self.num_mels = num_mels
        self.num_frames = num_frames

        activation = "prelu" if self.sound else "relu"
        binarizer = self.layer_binarizer
        he = initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")
        self.convolutions, self.norms, self.activations = [], [], []
        self.pool = layers.MaxPooling2D(name="pool")
        self._pooled = []
        for width, count in zip(self.widths, _CONVOLUTIONS):
            for index in range(count):
                number = len(self.convolutions) + 1
                self.convolutions.append(
                    BinaryConv2D(
                        width,
                        3,
                        padding=1,
                        binarizer=None if number == 1 else binarizer,
                        kernel_initializer=he,
                        bias_initializer="zeros",
                        name=f"conv{number}",
                    )
                )
                self.norms.append(batch_norm(f"norm{number}"))
                self.activations.append(make_activation(activation, f"activation{number}"))
                self._pooled.append(index == count - 1)
        self.flatten = layers.Flatten(name="flatten")
        dense = {
            "kernel_initializer": initializers.RandomNormal(stddev=0.01),
            "bias_initializer": "zeros",
        }
        self.fc1 = BinaryDense(hidden_size, binarizer=binarizer, name="fc1", **dense)
        self.fc1_activation = make_activation(activation, "fc1_activation")
        self.fc1_dropout = layers.Dropout(
            0.0 if self.sound and self.binarizer is not None else dropout, name="fc1_dropout"
        )
        self.fc2 = BinaryDense(hidden_size, binarizer=binarizer, name="fc2", **dense)
        self.fc2_activation = make_activation(activation, "fc2_activation")
        self.fc2_dropout = layers.Dropout(dropout, name="fc2_dropout")
        self.classifier = BinaryDense(num_classes, binarizer=None, name="classifier", **dense)
        self.finish((num_mels, num_frames, 1))

    def build_layers(self, shape):
        for convolution, norm, activation, pooled in self._layers_by_number():
            shape = build_in_turn(shape, convolution, norm, activation)
            if pooled:
                shape = self.pool.compute_output_shape(shape)
        build_in_turn(
            shape, self.flatten, self.fc1, self.fc1_activation, self.fc2, self.fc2_activation,
            self.classifier,
        )  # fmt: skip

    def _layers_by_number(self):
        return zip(self.convolutions, self.norms, self.activations, self._pooled)

    def forward(self, inputs, training=None):
        x = inputs
        for convolution, norm, activation, pooled in self._layers_by_number():
            x = convolution(x)
            if pooled and self.sound:
                x = self.pool(x)
            x = activation(norm(x, training=training))
            if pooled and not self.sound:
                x = self.pool(x)
        x = self.fc1_activation(self.fc1(self.flatten(x)))
        x = self.fc1_dropout(x, training=training)
        x = self.fc2_activation(self.fc2(x))
        x = self.fc2_dropout(x, training=training)
        return self.classifier(x), []

    def get_config(self):
        return {
            **super().get_config(),
            "widths": list(self.widths),
            "hidden_size": self.hidden_size,
            "dropout": self.dropout,
            "num_mels": self.num_mels,
            "num_frames": self.num_frames,
        }
