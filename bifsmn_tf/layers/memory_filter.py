"""The memory of an FSMN: a learned FIR filter over time, one per channel."""

import keras
from keras import ops

from bifsmn_tf.layers.binarized import BinarizedLayer


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class MemoryFilter(BinarizedLayer):
    r"""Depthwise FIR filter over look-back and look-ahead frames.

    $$m_t = \alpha \odot \Big(\sum_{i=0}^{N_1} \hat a_i \odot \hat x_{t - s_1 i}
          + \sum_{j=1}^{N_2} \hat c_j \odot \hat x_{t + s_2 j}\Big) + b$$

    with $\hat\cdot$ the sign (BiFSMN Eq. (3); the identity term of the equation is the block's
    residual connection). Frames outside the clip contribute nothing: zeros are padded after
    binarization. With `binarizer=None` the filter is real-valued, with the same variables.

    Args:
        look_back: Look-back order N1, in steps of `stride_back` frames.
        look_ahead: Look-ahead order N2, in steps of `stride_ahead` frames.
        stride_back: s1, frames between two look-back taps.
        stride_ahead: s2, frames between two look-ahead taps.
        depth_multiplier: Filters per input channel; output `c * depth_multiplier + j` is filter j
            of channel c.
        binarizer: Name or instance, see `bifsmn_tf.binarizers.get`; None for float.
        weight_scale: "channel" (1-bit weights) or "official", see `bifsmn_tf.scales`.
        use_bias: Whether the filters have a bias.

    Input shape: `(batch, frames, channels)`.
    Output shape: `(batch, frames, channels * depth_multiplier)`.
    """

    _kind = "memory"
    _kernel_axes = 0
    _scale_axes = (1,)

    def __init__(
        self,
        look_back=2,
        look_ahead=2,
        stride_back=1,
        stride_ahead=1,
        depth_multiplier=1,
        binarizer="vanilla",
        weight_scale="channel",
        use_bias=True,
        **kwargs,
    ):
        super().__init__(binarizer, weight_scale, use_bias, **kwargs)
        for name, value, minimum in (
            ("look_back", look_back, 0),
            ("look_ahead", look_ahead, 0),
            ("stride_back", stride_back, 1),
            ("stride_ahead", stride_ahead, 1),
            ("depth_multiplier", depth_multiplier, 1),
        ):
            if not isinstance(value, int) or value < minimum:
                raise ValueError(
                    f"`{name}` should be an integer of at least {minimum}. "
                    f"Received: {name}={value!r}"
                )
        self.look_back = look_back
        self.look_ahead = look_ahead
        self.stride_back = stride_back
        self.stride_ahead = stride_ahead
        self.depth_multiplier = depth_multiplier

    @property
    def offsets(self):
        """Frame offset of every tap relative to the current frame, earliest first."""
        back = [-self.stride_back * i for i in range(self.look_back, 0, -1)]
        ahead = [self.stride_ahead * j for j in range(1, self.look_ahead + 1)]
        return [*back, 0, *ahead]

    def build(self, input_shape):
        if len(input_shape) != 3 or input_shape[-1] is None:
            raise ValueError(
                "`MemoryFilter` expects inputs of shape (batch, frames, channels). "
                f"Received: input_shape={tuple(input_shape)}"
            )
        taps = len(self.offsets)
        channels = input_shape[-1]
        self._add_weights(channels, (taps, channels * self.depth_multiplier), fan_in=taps)

    @property
    def _window(self):
        return (self.offsets[-1] - self.offsets[0] + 1,)

    def _repeat(self, x):
        return ops.repeat(x, self.depth_multiplier, axis=-1) if self.depth_multiplier > 1 else x

    def _per_output(self, scale):
        return scale if scale.shape[-1] == 1 else self._repeat(scale)

    @property
    def has_padding(self):
        return len(self.offsets) > 1

    def _pad(self, x):
        return ops.pad(x, ((0, 0), (-self.offsets[0], self.offsets[-1]), (0, 0)))

    def _contract(self, x, kernel):
        x = self._repeat(x)
        first = self.offsets[0]
        frames = ops.shape(x)[1] - (self.offsets[-1] - first)
        taps = (
            x[:, offset - first : offset - first + frames, :] * kernel[i]
            for i, offset in enumerate(self.offsets)
        )
        total = next(taps)
        for tap in taps:
            total = total + tap
        return total

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], input_shape[-1] * self.depth_multiplier)

    def get_config(self):
        return {
            **super().get_config(),
            "look_back": self.look_back,
            "look_ahead": self.look_ahead,
            "stride_back": self.stride_back,
            "stride_ahead": self.stride_ahead,
            "depth_multiplier": self.depth_multiplier,
        }
