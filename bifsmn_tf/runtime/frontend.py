"""The log-mel front end in numpy, for devices without TensorFlow."""

import functools

import numpy as np

from bifsmn_tf import mel


@functools.lru_cache(maxsize=None)
def _constants(num_mels):
    """Window, and the mel bank divided by the window's energy."""
    window = mel.hann_window(mel.FFT_LENGTH)
    bank = mel.mel_filter_bank(num_mels) / np.sum(window**2)
    return window.astype(np.float32), bank.astype(np.float32)


def fix_length(audio, samples=mel.CLIP_SAMPLES):
    """Keeps the first `samples` samples, or appends zeros.

    Args:
        audio: Array `(n,)` or `(batch, n)`, float in [-1, 1) or int16.

    Returns:
        float32 array `(batch, samples)`.

    Raises:
        ValueError: If the array has another shape, type or values that are not finite.
    """
    audio = np.asarray(audio)
    if audio.dtype == np.int16:
        audio = audio / np.float32(32768)
    if audio.ndim not in (1, 2) or not np.issubdtype(audio.dtype, np.floating):
        raise ValueError(
            "`audio` should be float in [-1, 1) or int16 of shape (samples,) or "
            f"(batch, samples). Received: dtype {audio.dtype}, shape {audio.shape}"
        )
    audio = np.atleast_2d(audio).astype(np.float32)[:, :samples]
    if not np.isfinite(audio).all():
        raise ValueError(
            "`audio` should be finite. Received: "
            f"{np.count_nonzero(~np.isfinite(audio))} samples that are not"
        )
    return np.pad(audio, ((0, 0), (0, samples - audio.shape[1])))


def log_mel(audio, num_mels=32):
    """Log-mel spectrogram in dB, equal to `bifsmn_tf.layers.LogMelSpectrogram` up to rounding.

    Args:
        audio: As for `fix_length`; brought to one second.
        num_mels: Number of bands.

    Returns:
        float32 array `(batch, num_mels, 32, 1)`; digital silence is exactly -100.
    """
    window, bank = _constants(num_mels)
    half = mel.FFT_LENGTH // 2
    padded = np.pad(fix_length(audio), ((0, 0), (half, half)), mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, mel.FFT_LENGTH, axis=1)
    spectrum = np.fft.rfft(frames[:, ::mel.HOP_LENGTH] * window, axis=-1)
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
    # One large product: with a small one per clip, BLAS threads mostly wait for each other.
    bands = (power.reshape(-1, power.shape[-1]) @ bank).reshape(*power.shape[:-1], -1)
    bands = np.maximum(bands, mel.POWER_FLOOR, dtype=np.float64)
    decibels = 10.0 * np.log10(bands)
    return decibels.astype(np.float32).transpose(0, 2, 1)[..., None]
