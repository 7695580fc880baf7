"""Log-mel spectrogram in decibels, the front end of the official networks."""

import math

import keras
import numpy as np
from keras import layers, ops

from bifsmn_tf import mel


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class LogMelSpectrogram(layers.Layer):
    """Waveform to log-mel spectrogram in dB.

    Short-time Fourier transform with a periodic Hann window of the transform's length, frames
    centred by reflection, power divided by the window's energy, triangular mel filters, and
    `10 log10(max(mel, 1e-10))`: digital silence is exactly -100 dB. No further normalization.

    Only operations with TFLite builtin counterparts are used, so the layer can travel inside a
    converted model.

    Args:
        num_mels: Number of mel bands.
        fft_length: Length of transform and window in samples; a multiple of `hop_length`.
        hop_length: Samples between two frames.
        sample_rate: In Hz.

    Input shape: `(batch, samples)`, float in [-1, 1).
    Output shape: `(batch, num_mels, 1 + samples // hop_length, 1)`.
    """

    def __init__(
        self,
        num_mels=32,
        fft_length=mel.FFT_LENGTH,
        hop_length=mel.HOP_LENGTH,
        sample_rate=mel.SAMPLE_RATE,
        **kwargs,
    ):
        super().__init__(**kwargs)
        for name, value in (
            ("num_mels", num_mels),
            ("fft_length", fft_length),
            ("hop_length", hop_length),
            ("sample_rate", sample_rate),
        ):
            if not isinstance(value, int) or value < 1:
                raise ValueError(
                    f"`{name}` should be a positive integer. Received: {name}={value!r}"
                )
        if fft_length % hop_length or (fft_length // 2) % hop_length:
            raise ValueError(
                "`fft_length // 2` should be a multiple of `hop_length`. "
                f"Received: fft_length={fft_length}, hop_length={hop_length}"
            )
        self.num_mels = num_mels
        self.fft_length = fft_length
        self.hop_length = hop_length
        self.sample_rate = sample_rate
        window = mel.hann_window(fft_length)
        self._window = window.astype(np.float32)
        # The power is divided by the window's energy, and the floor becomes 1 (see `decibels`).
        bank = mel.mel_filter_bank(num_mels, fft_length, sample_rate)
        self._bank = (bank / (mel.POWER_FLOOR * np.sum(window**2))).astype(np.float32)

    def build(self, input_shape):
        if len(input_shape) != 2:
            raise ValueError(
                "`LogMelSpectrogram` expects waveforms of shape (batch, samples). "
                f"Received: input_shape={tuple(input_shape)}"
            )
        samples = input_shape[1]
        if samples is None or samples <= self.fft_length // 2:
            raise ValueError(
                "`LogMelSpectrogram` needs a known number of samples, more than "
                f"{self.fft_length // 2}. Received: input_shape={tuple(input_shape)}"
            )

    def _frames(self, inputs):
        """Overlapping frames `(batch, frames, fft_length)` without a gather."""
        half, hop = self.fft_length // 2, self.hop_length
        frames = 1 + inputs.shape[1] // hop
        overlap = self.fft_length // hop
        x = ops.pad(inputs, ((0, 0), (half, half)), mode="reflect")
        x = x[:, : (frames + overlap - 1) * hop]
        x = ops.reshape(x, (-1, frames + overlap - 1, hop))
        return ops.concatenate([x[:, i : i + frames] for i in range(overlap)], axis=-1)

    def decibels(self, inputs):
        """Waveforms `(batch, samples)` to `(batch, frames, num_mels)` in dB."""
        real, imaginary = ops.rfft(self._frames(inputs) * self._window)
        power = ops.square(real) + ops.square(imaginary)
        bands = ops.matmul(power, self._bank)
        # 10 log10(max(m, 1e-10)) as an offset to -100 dB: silence is then exact in float32.
        return ops.log(ops.maximum(bands, 1.0)) * (10.0 / math.log(10.0)) - 100.0

    def call(self, inputs):
        return ops.expand_dims(ops.transpose(self.decibels(inputs), (0, 2, 1)), -1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.num_mels, 1 + input_shape[1] // self.hop_length, 1)

    def get_config(self):
        return {
            **super().get_config(),
            "num_mels": self.num_mels,
            "fft_length": self.fft_length,
            "hop_length": self.hop_length,
            "sample_rate": self.sample_rate,
        }
