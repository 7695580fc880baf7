"""Constants of the log-mel front end, shared by the Keras layer and the device's numpy code."""

import math

import numpy as np

SAMPLE_RATE = 16000
CLIP_SAMPLES = 16000
FFT_LENGTH = 2048
HOP_LENGTH = 512
# Power below which a band counts as silent: -100 dB.
POWER_FLOOR = 1e-10


def hann_window(length):
    """Periodic Hann window, float64 `(length,)`."""
    return 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(length) / length)


def mel_filter_bank(num_mels=32, fft_length=FFT_LENGTH, sample_rate=SAMPLE_RATE):
    r"""Triangular filters, evenly spaced on the HTK mel scale, without area normalization.

    $$\mathrm{mel}(f) = 2595 \log_{10}(1 + f / 700)$$

    Args:
        num_mels: Number of filters between 0 Hz and half the sample rate.
        fft_length: Length of the transform.
        sample_rate: In Hz.

    Returns:
        float64 array `(fft_length // 2 + 1, num_mels)`.
    """
    nyquist = sample_rate / 2
    bins = np.linspace(0.0, nyquist, fft_length // 2 + 1)
    mel_points = np.linspace(0.0, 2595.0 * math.log10(1.0 + nyquist / 700.0), num_mels + 2)
    points = 700.0 * (10.0 ** (mel_points / 2595.0) - 1.0)
    low, centre, high = points[:-2], points[1:-1], points[2:]
    rising = (bins[:, None] - low) / (centre - low)
    falling = (high - bins[:, None]) / (high - centre)
    return np.maximum(0.0, np.minimum(rising, falling))
