"""Float D-FSMN: the teacher, and the network that BiFSMN binarizes."""

import keras
from keras import initializers

from bifsmn_tf.models.skeleton import DFSMNSkeleton

# front end and fc1, memory, hidden, output of a block
_ACTIVATIONS = {
    "pre": ("relu", "prelu", "relu", "prelu"),
    "relu": ("relu", "relu", "relu", "relu"),
    "prelu": ("prelu", "prelu", "prelu", "prelu"),
}


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class DFSMN(DFSMNSkeleton):
    """Real-valued D-FSMN over log-mel features.

    Two strided convolutions and a dense layer make `num_frames / 4` vectors of `memory_size`,
    `num_blocks` D-FSMN blocks process them, and a dense layer over all of them gives the logits.

    Args:
        num_classes: Number of classes.
        activation: Flavour of the official networks. "pre" is the teacher and starting point of
            the binarized networks (ReLU in the front end and after the first pointwise layer,
            PReLU after the memory and at the output of a block; dropout 0.2). "relu" is the plain
            network (ReLU everywhere, dropout 0.2 after both pointwise layers, He-normal
            convolutions and N(0, 0.01) dense layers). "prelu" is the binarized network's float
            twin (PReLU everywhere, no dropout).
        variant: "base", or "S" for memory 32, hidden 64 and a 3x3 front end.
        memory_size: Width of the residual stream.
        hidden_size: Width between the pointwise layers of a block.
        num_blocks: Number of blocks.
        frontend_kernel: Size of the square front-end kernels, odd.
        frontend_filters: Channels of the two front-end convolutions.
        look_back, look_ahead, stride_back, stride_ahead: Memory filter, see
            `bifsmn_tf.layers.MemoryFilter`.
        dropout: Rate for this flavour; None for the official one.
        num_mels, num_frames: Size of the input.
        labels: Names of the classes; they travel with the saved and the converted model.

    Input shape: `(batch, num_mels, num_frames, 1)` in dB. Output shape: `(batch, num_classes)`,
    logits.

    Call arguments:
        inputs: Features.
        thin: Only 1.0; present so that teachers and students are called alike.
        training: Whether to use batch statistics and dropout.
        return_blocks: Also return the list of block outputs, each `(batch, frames, memory_size)`.
    """

    def __init__(self, num_classes, activation="pre", dropout=None, **kwargs):
        if activation not in _ACTIVATIONS:
            raise ValueError(
                f"`activation` should be one of {sorted(_ACTIVATIONS)}. "
                f"Received: activation={activation!r}"
            )
        for name in ("binarizer", "weight_scale", "switches", "switch_all_bn"):
            if name in kwargs:
                raise ValueError(
                    f"`DFSMN` is real-valued and has one switch; `{name}` is an argument of "
                    f"`BiFSMN`. Received: {name}={kwargs[name]!r}"
                )
        rate = (0.0 if activation == "prelu" else 0.2) if dropout is None else dropout
        frontend, memory, hidden, output = _ACTIVATIONS[activation]
        initial = {}
        if activation == "relu":
            initial = {
                "conv_initializer": initializers.VarianceScaling(
                    2.0, mode="fan_out", distribution="untruncated_normal"
                ),
                "dense_initializer": initializers.RandomNormal(stddev=0.01),
                "bias_initializer": initializers.Zeros(),
            }
        super().__init__(
            num_classes,
            frontend_activation=frontend,
            memory_activation=memory,
            hidden_activation=hidden,
            output_activation=output,
            hidden_dropout=rate,
            output_dropout=rate if activation == "relu" else 0.0,
            classifier_dropout=rate,
            **initial,
            **kwargs,
        )
        self.activation = activation
        self.dropout = rate

    def get_config(self):
        return {**super().get_config(), "activation": self.activation, "dropout": self.dropout}
