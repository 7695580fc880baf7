"""FSMN: the row of that name in the papers' tables."""

import keras
from keras import layers, ops

from bifsmn_tf.layers import BinaryDense, MemoryFilter, ScalarPReLU
from bifsmn_tf.layers.switchable_batch_norm import batch_norm
from bifsmn_tf.models.comparison import ComparisonNetwork, build_in_turn, check_positive_integers


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class FSMN(ComparisonNetwork):
    r"""Feedforward sequential memory network without skip connections or normalization.

    Layer l maps frames x_t to

    $$g_t = W x_t + b + V m_t, \qquad
      m_{t,(c,j)} = \sum_{i=-N_1}^{N_2} a_{c,j,i}\, x_{t+i,c}, \qquad y_t = f(g_t)$$

    with several memory filters per channel and a PReLU f with one slope (vectorized bidirectional
    FSMN of Zhang et al., 2015, with the memory on the layer's input). A dense layer over all
    frames gives the logits. W of the first layer and the classifier stay real-valued.

    In "faithful" mode the first layer's binarized memory sees the raw features, which are nearly
    always negative: its signs carry almost nothing. In "sound" mode the features are batch
    normalized per mel band first, without scale and shift parameters.

    Args:
        num_classes: Number of classes.
        memory_size: Width of a layer's output.
        num_filters: Memory filters of a layer, a multiple of its input's width.
        num_blocks: Number of layers.
        look_back, look_ahead: Orders N1 and N2 of the memory.
        num_mels, num_frames: Size of the input.
        binarizer: Name or instance, see `bifsmn_tf.binarizers`; None for the float network.
        mode: "faithful" or "sound", see above.
        sign_of_zero: Sign of an exact zero in activations, 0 or 1; None: 1.
        labels: Names of the classes; they travel with the saved and the converted model.

    Input shape: `(batch, num_mels, num_frames, 1)` in dB. Output shape: `(batch, num_classes)`,
    logits.

    Call arguments:
        inputs: Features.
        thin: Only 1.0.
        training: Whether to use batch statistics.
        return_blocks: Also return the list of pre-activations g, each
            `(batch, num_frames, memory_size)`.
    """

    reads_relu = False

    def __init__(
        self,
        num_classes,
        memory_size=128,
        num_filters=256,
        num_blocks=8,
        look_back=3,
        look_ahead=3,
        num_mels=32,
        num_frames=32,
        **kwargs,
    ):
        super().__init__(num_classes, **kwargs)
        check_positive_integers(
            memory_size=memory_size, num_filters=num_filters, num_blocks=num_blocks,
            num_mels=num_mels, num_frames=num_frames,
        )  # fmt: skip
        if num_filters % num_mels or num_filters % memory_size:
            raise ValueError(
                "`num_filters` should be a multiple of `num_mels` and of `memory_size`. Received: "
                f"num_filters={num_filters}, num_mels={num_mels}, memory_size={memory_size}"
            )
        self.memory_size = memory_size
        self.num_filters = num_filters
        self.num_blocks = num_blocks
        self.look_back = look_back
        self.look_ahead = look_ahead
        self.num_mels = num_mels
        self.num_frames = num_frames

        binarizer = self.layer_binarizer
        self.input_norm = None
        if self.sound:
            self.input_norm = batch_norm("input_norm", center=False, scale=False)
        self.linears, self.projections, self.memories, self.activations = [], [], [], []
        for number in range(1, num_blocks + 1):
            first = number == 1
            self.linears.append(
                BinaryDense(
                    memory_size, binarizer=None if first else binarizer, name=f"linear{number}"
                )
            )
            self.projections.append(
                BinaryDense(
                    memory_size, use_bias=False, binarizer=binarizer, name=f"projection{number}"
                )
            )
            self.memories.append(
                MemoryFilter(
                    look_back,
                    look_ahead,
                    depth_multiplier=num_filters // (num_mels if first else memory_size),
                    use_bias=False,
                    binarizer=binarizer,
                    name=f"memory{number}",
                )
            )
            self.activations.append(ScalarPReLU(name=f"activation{number}"))
        self.flatten = layers.Flatten(name="flatten")
        self.classifier = BinaryDense(num_classes, binarizer=None, name="classifier")
        self.finish((num_mels, num_frames, 1))

    def build_layers(self, shape):
        shape = (None, self.num_frames, self.num_mels)
        if self.input_norm is not None:
            self.input_norm.build(shape)
        for linear, projection, memory, activation in self._layers_by_number():
            linear.build(shape)
            shape = build_in_turn(shape, memory, projection, activation)
        build_in_turn(shape, self.flatten, self.classifier)

    def _layers_by_number(self):
        return zip(self.linears, self.projections, self.memories, self.activations)

    def forward(self, inputs, training=None):
        x = ops.transpose(inputs[..., 0], (0, 2, 1))
        if self.input_norm is not None:
            x = self.input_norm(x, training=training)
        hidden = []
        for linear, projection, memory, activation in self._layers_by_number():
            hidden.append(linear(x) + projection(memory(x)))
            x = activation(hidden[-1])
        return self.classifier(self.flatten(x)), hidden

    def get_config(self):
        return {
            **super().get_config(),
            "memory_size": self.memory_size,
            "num_filters": self.num_filters,
            "num_blocks": self.num_blocks,
            "look_back": self.look_back,
            "look_ahead": self.look_ahead,
            "num_mels": self.num_mels,
            "num_frames": self.num_frames,
        }
