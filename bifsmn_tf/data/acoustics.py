"""Signal processing for synthetic recordings: resampling, noise, room and microphone."""

from __future__ import annotations

import numpy as np

from bifsmn_tf.data.audio_files import SAMPLE_RATE

NOISE_COLOURS = {"white_noise": 0.0, "pink_noise": 1.0, "brown_noise": 2.0}


def resample(samples: np.ndarray, factor: float) -> np.ndarray:
    """Band-limited resampling.

    Args:
        samples: Array of shape `(n,)`.
        factor: New length over old length.

    Returns:
        An array of shape `(round(n factor),)`.
    """
    length = max(1, round(samples.shape[0] * factor))
    spectrum = np.fft.rfft(samples)
    bins = length // 2 + 1
    resized = np.zeros(bins, spectrum.dtype)
    kept = min(bins, spectrum.shape[0])
    resized[:kept] = spectrum[:kept]
    return np.fft.irfft(resized, length) * (length / samples.shape[0])


def trim(samples: np.ndarray, threshold: float = 0.02) -> np.ndarray:
    """Cuts quiet beginnings and ends.

    Args:
        samples: Array of shape `(n,)`, not all zero.
        threshold: Quiet is below this share of the peak.

    Returns:
        The part between, with 10 ms on either side where there is that much.
    """
    loud = np.flatnonzero(np.abs(samples) > threshold * np.abs(samples).max())
    margin = SAMPLE_RATE // 100
    return samples[max(0, loud[0] - margin) : loud[-1] + margin]


def middle(samples: np.ndarray, count: int) -> np.ndarray:
    """The middle `count` samples; all of them if there are fewer."""
    start = max(0, (samples.shape[0] - count) // 2)
    return samples[start : start + count]


def coloured_noise(count: int, exponent: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise whose power falls with frequency to the power of `exponent`.

    Args:
        count: Number of samples.
        exponent: 0 for white, 1 for pink, 2 for brown noise.
        rng: Source of randomness.

    Returns:
        An array of shape `(count,)` with a root mean square of 1.
    """
    spectrum = np.fft.rfft(rng.standard_normal(count))
    frequency = np.fft.rfftfreq(count, 1 / SAMPLE_RATE)
    spectrum *= np.maximum(frequency, 20.0) ** (-exponent / 2)
    return unit_power(np.fft.irfft(spectrum, count))


def hum(count: int, rng: np.random.Generator) -> np.ndarray:
    """Mains hum: 50 Hz and harmonics, swelling slowly, over a little pink noise.

    Args:
        count: Number of samples.
        rng: Source of randomness.

    Returns:
        An array of shape `(count,)` with a root mean square of 1.
    """
    time = np.arange(count) / SAMPLE_RATE
    sound = 0.2 * coloured_noise(count, 1.0, rng)
    for harmonic in range(1, 13):
        swell = 1 + 0.5 * np.sin(2 * np.pi * (rng.uniform(0.05, 0.4) * time + rng.random()))
        phase = 2 * np.pi * (50 * harmonic * time + rng.random())
        sound += rng.uniform(0.3, 1.0) / harmonic * swell * np.sin(phase)
    return unit_power(sound)


def microphone(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random frequency response: smooth gains of about +-4 dB, and a low cut.

    Args:
        samples: Array of shape `(n,)`.
        rng: Source of randomness.

    Returns:
        An array of the same shape.
    """
    frequency = np.fft.rfftfreq(samples.shape[0], 1 / SAMPLE_RATE)
    points = np.log2([60.0, 250.0, 700.0, 1500.0, 3000.0, 5500.0, 8000.0])
    gains = rng.uniform(-4, 4, points.shape[0])
    curve = np.interp(np.log2(np.maximum(frequency, 1.0)), points, gains)
    low_cut = frequency / np.hypot(frequency, rng.uniform(40, 160))
    return np.fft.irfft(np.fft.rfft(samples) * 10 ** (curve / 20) * low_cut, samples.shape[0])


def room(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Random reverberation: the direct sound and an exponentially decaying tail.

    Args:
        samples: Array of shape `(n,)`.
        rng: Source of randomness.

    Returns:
        An array of the same shape.
    """
    seconds = rng.uniform(0.05, 0.25)  # time for the tail to fall by 60 dB
    length = int(seconds * SAMPLE_RATE)
    decay = 10 ** (-3 * np.arange(length) / length)
    tail = rng.standard_normal(length) * decay
    tail *= rng.uniform(0.05, 0.45) / np.linalg.norm(tail)
    tail[0] = 1.0
    size = 1 << (samples.shape[0] + length - 1).bit_length()
    wet = np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(tail, size), size)
    return wet[: samples.shape[0]]


def unit_power(samples: np.ndarray) -> np.ndarray:
    """Scales samples, not all zero, to a root mean square of 1."""
    return samples / np.sqrt(np.mean(np.square(samples)))


def to_int16(samples: np.ndarray) -> np.ndarray:
    """Rounds samples in [-1, 1) to 16 bits; louder ones are clipped."""
    return np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16)
