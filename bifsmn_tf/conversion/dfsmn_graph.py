"""The deployed D-FSMN, float or binarized."""

import numpy as np
import tensorflow as tf

from bifsmn_tf.conversion import ops
from bifsmn_tf.conversion.errors import ConversionError
from bifsmn_tf.conversion.folding import batch_norm_affine, fold, value_of
from bifsmn_tf.conversion.graph import Deployment, deployed_form
from bifsmn_tf.conversion.op_reference import WORD_BITS
from bifsmn_tf.models.skeleton import DFSMNSkeleton


class DFSMNDeployment(Deployment, model=DFSMNSkeleton):
    """`DFSMN`, `BiFSMN` and its subclasses."""

    @classmethod
    def check(cls, model):
        if model.weight_scale != "channel":
            raise ConversionError(
                "A model with weight_scale='official' has real-valued pointwise weights, as the "
                "released code does, and cannot be stored in bits. Train with "
                f"weight_scale='channel'. Received: weight_scale={model.weight_scale!r}"
            )
        if model.binarizer is not None:
            deployed_form(model.fc1)

    @classmethod
    def is_trained(cls, model, switch):
        index = model.switch_index(switch)
        for block in model.active_blocks(switch):
            factor, offset = batch_norm_affine(model.blocks[block].output_norm.of(index))
            if np.ptp(factor) > 0 or np.ptp(offset) > 0:
                return True
        return False

    def stem(self, features):
        """The first, real-valued convolution."""
        model = self.model
        return self._float_convolution(
            features, model.conv1, model.norm1, model.activation1, exact=True
        )

    def tail(self, x, thin=1.0, collect=None):
        model = self.model
        switch = model.switch_index(thin)
        if model.binarizer is None:
            x = self._float_convolution(x, model.conv2, model.norm2, model.activation2)
            x = self._float_fc1(x)
            for index in model.active_blocks(thin):
                x = self._float_block(x, model.blocks[index], switch)
        else:
            outputs = [] if collect is None else collect
            outputs.append(self._binary_convolution(x))
            outputs.append(self._binary_fc1(outputs[-1]))
            for index in model.active_blocks(thin):
                outputs += self._binary_block(outputs[-1], model.blocks[index], switch)
            x = outputs[-1]
        return self._classify(x)

    # ---------------------------------------------------------------- float layers

    def _float_convolution(self, x, layer, norm, activation, exact=False):
        factor, offset = fold(1.0, layer.bias, norm)
        kernel = value_of(layer.kernel) * factor
        kernel = kernel if exact else self._rounded(kernel)
        rows, columns = layer.padding
        x = tf.pad(x, [[0, 0], [columns, columns], [rows, rows], [0, 0]])
        x = tf.nn.conv2d(
            x,
            self._constant((layer.name, "kernel"), kernel.transpose(1, 0, 2, 3)),
            strides=layer.strides[::-1],
            padding="VALID",
        )
        return self._activate(x + self._constant((layer.name, "bias"), offset), activation)

    def _float_fc1(self, x):
        frames, bands, channels = x.shape[1:]
        layer = self.model.fc1
        x = tf.reshape(x, (1, 1, frames, bands * channels))
        kernel = self._rounded(_band_major(value_of(layer.kernel), bands, channels))
        x = self._pointwise(x, ("fc1",), kernel, value_of(layer.bias))
        return self._activate(x, self.model.fc1_activation)

    def _float_block(self, x, block, switch):
        key = (block.name, switch)
        filtered = self._memory(
            x, (*key, "memory"), block.memory, block.memory_norm.of(switch)
        )
        y = x + self._activate(filtered, block.memory_activation)
        hidden = y
        for layer, norm, activation in (
            (block.hidden, block.hidden_norm, block.hidden_activation),
            (block.projection, block.output_norm, block.output_activations[switch]),
        ):
            factor, offset = fold(1.0, layer.bias, norm.of(switch))
            kernel = self._rounded(value_of(layer.kernel) * factor)
            hidden = self._pointwise(hidden, (*key, layer.name), kernel, offset)
            hidden = self._activate(hidden, activation)
        return y + hidden

    def _classify(self, x):
        frames, channels = x.shape[-2:]
        kernel = value_of(self.model.classifier.kernel)
        # The model flattens channel-major, this graph frame-major.
        kernel = kernel.reshape(channels, frames, -1).transpose(1, 0, 2)
        kernel = kernel.reshape(frames * channels, -1)
        return self._scores(x, kernel, value_of(self.model.classifier.bias))

    # --------------------------------------------------------------- binary layers

    def _binary_convolution(self, x):
        model = self.model
        layer = model.conv2

        def arrange(kernel):  # (mel, time, in, out) -> rows of (time, mel, in)
            return kernel.transpose(3, 1, 0, 2).reshape(kernel.shape[-1], -1)

        return self._apply(
            ops.binary_conv2d, x, ("conv2",), 0, layer, (model.norm2, model.norm2),
            model.activation2, arrange=arrange, channels=x.shape[-1],
            # Only whole words can be flattened into the vector of a frame.
            packed_for=model.fc1 if layer.filters % WORD_BITS == 0 else None,
            kernel_size=layer.kernel_size[::-1], strides=layer.strides[::-1],
            padding=layer.padding[::-1],
        )

    def _binary_fc1(self, x):
        layer = self.model.fc1
        channels = self.model.conv2.filters
        inputs = layer.kernel.shape[0]
        bands = inputs // channels

        def arrange(kernel):
            return _band_major(kernel, bands, channels).T

        return self._apply(
            ops.binary_dense, x, ("fc1",), 0, layer, None, self.model.fc1_activation,
            arrange=arrange, channels=inputs,
            arrange_shift=lambda shift: _band_major(shift, bands, channels)[:, 0],
        )

    def _binary_block(self, x, block, switch):
        """Outputs of the block's three operators."""

        def norms(norm):
            return norm.of(0), norm.of(switch)

        y = self._apply_memory(
            x, (block.name, "memory"), switch, block.memory, norms(block.memory_norm),
            block.memory_activation, residual=x,
        )
        hidden = self._apply_dense(
            y, (block.name, "hidden"), switch, block.hidden, norms(block.hidden_norm),
            block.hidden_activation, packed_for=block.projection,
        )
        output = self._apply_dense(
            hidden, (block.name, "projection"), switch, block.projection,
            norms(block.output_norm), block.output_activations[switch], residual=y,
        )
        return y, hidden, output


def _band_major(kernel, bands, channels):
    """Rows of a kernel from channel-major (c * bands + f) to band-major (f * channels + c)."""
    return kernel.reshape(channels, bands, -1).transpose(1, 0, 2).reshape(bands * channels, -1)
