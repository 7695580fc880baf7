"""What the networks that the papers compare BiFSMN with have in common."""

import numbers

from keras import Model

from bifsmn_tf import binarizers

MODES = ("faithful", "sound")


def check_positive_integers(**values):
    """ValueError for the first value that is not a positive integer."""
    for name, value in values.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(
                f"`{name}` should be a positive integer. Received: {name}={value!r}"
            )


def build_in_turn(shape, *layers):
    """Builds layers that are applied one after the other; returns the shape of the result."""
    for layer in layers:
        layer.build(shape)
        shape = layer.compute_output_shape(shape)
    return shape


class ComparisonNetwork(Model):
    """A network with one switch, float or binarized, as published or repaired.

    Not used directly: see `FSMN`, `VGG19BN`, `BCResNet` and `Audiomer`. A subclass makes its
    layers, calls `finish(clip_shape)` last in its constructor, and defines `build_layers(shape)`
    and `forward(inputs, training)`, which returns logits and a list of hidden states.

    The first and the last layer of every network stay real-valued; a binarizer is put in front of
    all others without changing the graph around them. That breaks some of the published
    architectures, so there are two modes:

    *   "faithful" is the published graph. Where the inputs of binarized layers are outputs of
        ReLU, the sign used is that of the frameworks, sign(0) = 0, which leaves activations in
        {0, 1}; with sign(0) = +1 every activation would be +1 and the output would not depend on
        the input (`sign_of_zero=1` shows it).
    *   "sound" is the smallest change with which 1-bit activations carry information; what it
        is, each class says. Float networks have this mode, too, so that they can be the starting
        point of a binarized one.
    """

    switches = (1.0,)
    # Hidden states that can be distilled: their number and width.
    num_blocks = 0
    memory_size = 0

    def __init__(
        self,
        num_classes,
        binarizer=None,
        mode="faithful",
        sign_of_zero=None,
        labels=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive_integers(num_classes=num_classes)
        if mode not in MODES:
            raise ValueError(f"`mode` should be one of {MODES}. Received: mode={mode!r}")
        if sign_of_zero is None:
            sign_of_zero = 0 if mode == "faithful" and self.reads_relu else 1
        if sign_of_zero not in (0, 1):
            raise ValueError(
                "`sign_of_zero` should be 0, 1, or None for what the mode says. "
                f"Received: sign_of_zero={sign_of_zero!r}"
            )
        self.num_classes = num_classes
        self.mode = mode
        self.sign_of_zero = sign_of_zero
        self.binarizer = binarizers.get(binarizer)
        self.labels = None if labels is None else [str(label) for label in labels]
        if self.labels is not None and len(self.labels) != num_classes:
            raise ValueError(
                f"`labels` should hold {num_classes} names, one per class. "
                f"Received {len(self.labels)}: labels={self.labels}"
            )

    # Whether binarized layers of the published graph read outputs of ReLU.
    reads_relu = True

    @property
    def sound(self):
        """Whether this is the "sound" mode."""
        return self.mode == "sound"

    @property
    def layer_binarizer(self):
        """Binarizer of every layer but the first and the last."""
        if self.binarizer is None or self.sign_of_zero == 1:
            return self.binarizer
        return binarizers.ZeroPreserving(self.binarizer)

    def finish(self, clip_shape):
        """Creates all variables; `clip_shape` is the input's without the batch."""
        self.clip_shape = tuple(clip_shape)
        self.build((None, *self.clip_shape))

    def build(self, input_shape):
        if not self.built:
            self.check_input_shape(input_shape)
            self.build_layers((None, *self.clip_shape))
            self.built = True

    def check_input_shape(self, shape):
        """ValueError unless `shape` is that of a batch of this network's inputs."""
        if tuple(shape[1:]) != self.clip_shape:
            sizes = ", ".join(map(str, ("batch", *self.clip_shape)))
            kind = "features in dB" if len(self.clip_shape) == 3 else "waveforms"
            raise ValueError(
                f"`{type(self).__name__}` expects {kind} of shape ({sizes}). "
                f"Received: shape {tuple(shape)}"
            )

    def switch_index(self, thin):
        """0, the only switch's position; ValueError if `thin` is not 1."""
        if not isinstance(thin, numbers.Real) or abs(thin - 1.0) >= 1e-6:
            raise ValueError(
                f"`thin` should be one of this model's switches {self.switches}. "
                f"Received: thin={thin!r}"
            )
        return 0

    def active_blocks(self, thin):
        """0-based indices of the executed hidden states, all of them."""
        self.switch_index(thin)
        return list(range(self.num_blocks))

    def call(self, inputs, thin=1.0, training=None, return_blocks=False):
        self.check_input_shape(inputs.shape)
        self.switch_index(thin)
        logits, blocks = self.forward(inputs, training)
        return (logits, blocks) if return_blocks else logits

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.num_classes)

    def get_config(self):
        return {
            "name": self.name,
            "num_classes": self.num_classes,
            "binarizer": binarizers.serialize(self.binarizer),
            "mode": self.mode,
            "sign_of_zero": self.sign_of_zero,
            "labels": self.labels,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(**config)
