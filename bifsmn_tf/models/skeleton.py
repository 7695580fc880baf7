"""What the float D-FSMN and the binarized BiFSMN have in common: everything but the bits."""

import numbers

from keras import Model, layers, ops

from bifsmn_tf import binarizers, scales
from bifsmn_tf.layers import BinaryConv2D, BinaryDense, DFSMNBlock
from bifsmn_tf.layers.dfsmn_block import make_activation
from bifsmn_tf.layers.switchable_batch_norm import batch_norm

# Sizes by variant: memory, hidden, front-end kernel.
_VARIANTS = {"base": (128, 256, 5), "S": (32, 64, 3)}


def _stride_of(switch, num_blocks):
    """Block stride delta of a switch given as a fraction: 0.25 -> every 4th block."""
    if isinstance(switch, numbers.Real) and 0 < switch <= 1:
        delta = round(1 / switch)
        if abs(delta * switch - 1) < 1e-6 and delta <= num_blocks:
            return delta
    raise ValueError(
        "A switch should be a fraction 1/n of the blocks that leaves at least one of them "
        f"({num_blocks} blocks). Received: {switch!r}"
    )


class DFSMNSkeleton(Model):
    """Front end, D-FSMN blocks and classifier, float or binarized, thinnable or not.

    Not used directly: see `DFSMN` and `BiFSMN`. Subclasses choose activations, dropout and
    initial values and define `get_config`.
    """

    def __init__(
        self,
        num_classes,
        variant="base",
        memory_size=None,
        hidden_size=None,
        num_blocks=8,
        frontend_kernel=None,
        frontend_filters=(16, 32),
        look_back=2,
        look_ahead=2,
        stride_back=1,
        stride_ahead=1,
        num_mels=32,
        num_frames=32,
        labels=None,
        *,
        frontend_activation,
        memory_activation,
        hidden_activation,
        output_activation,
        hidden_dropout=0.0,
        output_dropout=0.0,
        classifier_dropout=0.0,
        switches=(1.0,),
        switch_all_bn=False,
        binarizer=None,
        weight_scale="channel",
        conv_initializer=None,
        dense_initializer=None,
        bias_initializer=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if variant not in _VARIANTS:
            raise ValueError(
                f"`variant` should be one of {sorted(_VARIANTS)}. Received: variant={variant!r}"
            )
        sizes = _VARIANTS[variant]
        self.num_classes = num_classes
        self.memory_size = sizes[0] if memory_size is None else memory_size
        self.hidden_size = sizes[1] if hidden_size is None else hidden_size
        self.frontend_kernel = sizes[2] if frontend_kernel is None else frontend_kernel
        self.num_blocks = num_blocks
        self.frontend_filters = tuple(frontend_filters)
        self.num_mels = num_mels
        self.num_frames = num_frames
        for name in ("num_classes", "memory_size", "hidden_size", "num_blocks", "num_mels",
                     "num_frames"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(
                    f"`{name}` should be a positive integer. Received: {name}={value!r}"
                )
        if not isinstance(self.frontend_kernel, int) or self.frontend_kernel % 2 != 1:
            raise ValueError(
                "`frontend_kernel` should be an odd integer. "
                f"Received: frontend_kernel={self.frontend_kernel!r}"
            )
        if len(self.frontend_filters) != 2:
            raise ValueError(
                "`frontend_filters` should be a pair of integers. "
                f"Received: frontend_filters={frontend_filters!r}"
            )
        self.labels = None if labels is None else [str(label) for label in labels]
        if self.labels is not None and len(self.labels) != num_classes:
            raise ValueError(
                f"`labels` should hold {num_classes} names, one per class. "
                f"Received {len(self.labels)}: labels={self.labels}"
            )
        if isinstance(switches, (numbers.Real, str)):
            raise ValueError(
                "`switches` should be a sequence of fractions such as (1.0, 0.5). "
                f"Received: switches={switches!r}"
            )
        self._strides = [_stride_of(switch, num_blocks) for switch in switches]
        self.switches = tuple(float(switch) for switch in switches)
        if not self.switches or len(set(self._strides)) != len(self._strides):
            raise ValueError(
                f"`switches` should be different fractions. Received: switches={switches!r}"
            )
        self.switch_all_bn = bool(switch_all_bn)
        self.weight_scale = scales.check_weight_scale(weight_scale)
        self.binarizer = binarizers.get(binarizer)
        self._memory_config = {
            "look_back": look_back,
            "look_ahead": look_ahead,
            "stride_back": stride_back,
            "stride_ahead": stride_ahead,
        }

        bits = {"binarizer": self.binarizer, "weight_scale": weight_scale}
        dense_init = {
            "kernel_initializer": dense_initializer, "bias_initializer": bias_initializer,
        }
        conv = {
            "kernel_size": self.frontend_kernel,
            "strides": 2,
            "padding": self.frontend_kernel // 2,
            "kernel_initializer": conv_initializer,
            "bias_initializer": bias_initializer,
        }
        # The first convolution and the classifier stay real-valued in every network.
        first, second = self.frontend_filters
        self.conv1 = BinaryConv2D(first, binarizer=None, name="conv1", **conv)
        self.norm1 = batch_norm("norm1")
        self.activation1 = make_activation(frontend_activation, "activation1")
        self.conv2 = BinaryConv2D(second, name="conv2", **conv, **bits)
        self.norm2 = batch_norm("norm2")
        self.activation2 = make_activation(frontend_activation, "activation2")
        self.fc1 = BinaryDense(self.memory_size, name="fc1", **dense_init, **bits)
        self.fc1_activation = make_activation(frontend_activation, "fc1_activation")
        self.blocks = [
            DFSMNBlock(
                self.hidden_size,
                memory_activation=memory_activation,
                hidden_activation=hidden_activation,
                output_activation=output_activation,
                hidden_dropout=hidden_dropout,
                output_dropout=output_dropout,
                num_switches=len(self.switches),
                switch_all_bn=switch_all_bn,
                name=f"block{i + 1}",
                **self._memory_config,
                **bits,
            )
            for i in range(num_blocks)
        ]
        self.classifier_dropout = layers.Dropout(classifier_dropout, name="classifier_dropout")
        self.classifier = BinaryDense(
            num_classes, binarizer=None, name="classifier", **dense_init
        )
        self.build((None, num_mels, num_frames, 1))

    def build(self, input_shape):
        if self.built:
            return
        shape = tuple(input_shape)
        if len(shape) != 4 or shape[1:] != (self.num_mels, self.num_frames, 1):
            raise ValueError(
                f"`{type(self).__name__}` expects features of shape (batch, {self.num_mels}, "
                f"{self.num_frames}, 1) in dB. Received: input_shape={shape}"
            )
        for layer in (
            self.conv1, self.norm1, self.activation1, self.conv2, self.norm2, self.activation2,
        ):
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        _, bands, frames, channels = shape
        self.fc1.build((None, frames, channels * bands))
        shape = (None, frames, self.memory_size)
        self.fc1_activation.build(shape)
        for block in self.blocks:
            block.build(shape)
        self.classifier.build((None, frames * self.memory_size))
        self.built = True

    def switch_index(self, thin):
        """Position of switch `thin` in `switches`; ValueError if the network has no such one."""
        for index, switch in enumerate(self.switches):
            if isinstance(thin, numbers.Real) and abs(switch - thin) < 1e-6:
                return index
        raise ValueError(
            f"`thin` should be one of this model's switches {self.switches}. "
            f"Received: thin={thin!r}"
        )

    def active_blocks(self, thin):
        """0-based indices of the blocks that switch `thin` executes, in order."""
        delta = self._strides[self.switch_index(thin)]
        return list(range(delta - 1, self.num_blocks, delta))

    def frontend(self, inputs, training=None):
        """Features `(batch, mels, frames, 1)` to the first residual stream `(batch, T, memory)`.

        The two strided convolutions leave a quarter of the frames; each remaining frame's
        channels and mel bands become one vector, channel-major.
        """
        x = self.activation1(self.norm1(self.conv1(inputs), training=training))
        x = self.activation2(self.norm2(self.conv2(x, training=training), training=training))
        x = ops.transpose(x, (0, 2, 3, 1))
        x = ops.reshape(x, (-1, x.shape[1], x.shape[2] * x.shape[3]))
        return self.fc1_activation(self.fc1(x, training=training))

    def _check_shape(self, inputs):
        if len(inputs.shape) != 4 or tuple(inputs.shape[1:]) != (
            self.num_mels, self.num_frames, 1,
        ):
            raise ValueError(
                f"`{type(self).__name__}` expects features of shape (batch, {self.num_mels}, "
                f"{self.num_frames}, 1) in dB. Received: shape {tuple(inputs.shape)}"
            )

    def call(self, inputs, thin=1.0, training=None, return_blocks=False):
        self._check_shape(inputs)
        x = self.frontend(inputs, training=training)
        return self._from_stream(x, thin, training, return_blocks)

    def call_switches(self, inputs, training=None):
        """All switches at once: they share the front end, which is a third of the work.

        Args:
            inputs: Features, as for a call.
            training: Whether to use batch statistics.

        Returns:
            A list over `switches` of `(logits, list of block outputs)`.
        """
        self._check_shape(inputs)
        x = self.frontend(inputs, training=training)
        return [self._from_stream(x, thin, training, True) for thin in self.switches]

    def _from_stream(self, x, thin, training, return_blocks):
        switch = self.switch_index(thin)
        outputs = []
        for index in self.active_blocks(thin):
            x = self.blocks[index](x, switch=switch, training=training)
            outputs.append(x)
        # Channel-major, as the official classifier's weights are ordered.
        x = ops.transpose(x, (0, 2, 1))
        x = ops.reshape(x, (-1, x.shape[1] * x.shape[2]))
        logits = self.classifier(self.classifier_dropout(x, training=training))
        return (logits, outputs) if return_blocks else logits

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.num_classes)

    def get_config(self):
        return {
            "name": self.name,
            "num_classes": self.num_classes,
            "memory_size": self.memory_size,
            "hidden_size": self.hidden_size,
            "num_blocks": self.num_blocks,
            "frontend_kernel": self.frontend_kernel,
            "frontend_filters": list(self.frontend_filters),
            **self._memory_config,
            "num_mels": self.num_mels,
            "num_frames": self.num_frames,
            "labels": self.labels,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(**config)
