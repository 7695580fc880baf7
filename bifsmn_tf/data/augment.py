"""Augmentation of training clips, on whole batches and reproducible by seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from bifsmn_tf.data import audio_files
from bifsmn_tf.data.draws import coin, draw
from bifsmn_tf.data.noise_bank import NoiseBank


class WaveformAugmentation:
    """The waveform augmentation of the BiFSMN papers' released training code.

    In this order, each step drawn independently for every clip:

    1.  Background noise: `x <- (1 - s) x + s n`, `s` uniform in `noise_volume`, `n` a random
        crop of a noise recording picked uniformly.
    2.  Amplitude: `x <- g x`, `g` uniform in `gain`.
    3.  Speed and pitch together: resampling by nearest neighbour with the factor `1 / (1 + c)`,
        `c` uniform in `speed`; the clip becomes longer or shorter.
    4.  Time shift by an integer drawn uniformly from `-max_shift..max_shift`, zeros moving in;
        it acts on the length after step 3.
    5.  The first 16,000 samples are kept, or zeros appended.

    Nothing is clipped. Calling the object twice with one seed gives the same result.
    """

    def __init__(
        self,
        noise: Sequence[np.ndarray] | None = None,
        noise_probability: float = 0.3,
        noise_volume: tuple[float, float] = (0.0, 0.3),
        gain_probability: float = 0.5,
        gain: tuple[float, float] = (0.7, 1.1),
        speed_probability: float = 0.5,
        speed: tuple[float, float] = (-0.2, 0.2),
        shift_probability: float = 0.5,
        max_shift: int = 3200,
        clip_samples: int = audio_files.CLIP_SAMPLES,
    ):
        """Prepares the augmentation.

        Args:
            noise: Background noise, 1-D float arrays in [-1, 1) at 16,000 Hz, for example
                `SpeechCommands.noise`. None or empty leaves step 1 out.
            noise_probability: Probability of step 1.
            noise_volume: Range of `s`.
            gain_probability: Probability of step 2.
            gain: Range of `g`.
            speed_probability: Probability of step 3.
            speed: Range of `c`, above -1.
            shift_probability: Probability of step 4.
            max_shift: Largest shift, in samples; 3,200 are 0.2 s.
            clip_samples: Length of the clips, in samples.

        Raises:
            ValueError: If an argument is not valid.
        """
        for name, value in (
            ("noise_probability", noise_probability),
            ("gain_probability", gain_probability),
            ("speed_probability", speed_probability),
            ("shift_probability", shift_probability),
        ):
            if not 0 <= value <= 1:
                raise ValueError(f"`{name}` must be within 0 and 1. Received: {name}={value!r}")
        for name, value in (("noise_volume", noise_volume), ("gain", gain), ("speed", speed)):
            if len(value) != 2 or not value[0] <= value[1]:
                raise ValueError(
                    f"`{name}` must be a range (low, high). Received: {name}={value!r}"
                )
        if speed[0] <= -1:
            raise ValueError(f"`speed` must be above -1. Received: speed={speed!r}")
        if clip_samples < 1 or not 0 <= max_shift < clip_samples:
            raise ValueError(
                "`max_shift` must not be negative and be below `clip_samples`. "
                f"Received: max_shift={max_shift}, clip_samples={clip_samples}"
            )
        self.noise_probability = noise_probability
        self.noise_volume = noise_volume
        self.gain_probability = gain_probability
        self.gain = gain
        self.speed_probability = speed_probability
        self.speed = speed
        self.shift_probability = shift_probability
        self.max_shift = int(max_shift)
        self.clip_samples = int(clip_samples)
        self._noise = NoiseBank(noise, self.clip_samples) if noise else None

    def __call__(self, waveforms, seed) -> tf.Tensor:
        """Augments a batch.

        Args:
            waveforms: Shape `(B, clip_samples)`, float in [-1, 1).
            seed: Integer tensor of shape `(2,)`, as TensorFlow's stateless random ops take.

        Returns:
            A float32 tensor of the same shape.
        """
        waveforms = tf.convert_to_tensor(waveforms, tf.float32)
        if waveforms.shape.rank != 2 or waveforms.shape[1] not in (None, self.clip_samples):
            raise ValueError(
                f"`waveforms` must have the shape (batch, {self.clip_samples}). "
                f"Received: shape {tuple(waveforms.shape)}"
            )
        noise_seed, gain_seed, speed_seed, shift_seed = tf.unstack(tf.random.split(seed, 4))
        if self._noise is not None:
            waveforms = self._mix_noise(waveforms, noise_seed)
        batch = tf.shape(waveforms)[0]
        gain = draw(batch, gain_seed, self.gain_probability, self.gain, 1.0)
        speed = draw(batch, speed_seed, self.speed_probability, self.speed, 0.0)
        low, high = -self.max_shift, self.max_shift + 1
        shift_coin, shift_value = tf.unstack(tf.random.split(shift_seed, 2))
        shift = tf.random.stateless_uniform([batch], shift_value, low, high, tf.int32)
        shift = tf.where(coin(batch, shift_coin, self.shift_probability), shift, 0)
        return _resample_and_shift(waveforms * gain[:, None], speed, shift, self.clip_samples)

    def _mix_noise(self, waveforms, seed):
        volume_seed, crop_seed = tf.unstack(tf.random.split(seed, 2))
        batch = tf.shape(waveforms)[0]
        volume = draw(batch, volume_seed, self.noise_probability, self.noise_volume, 0.0)
        # Crops are cut only for the clips that get noise: gathering is the costly part.
        rows = tf.where(volume > 0)
        crops = self._noise.crops(tf.shape(rows)[0], crop_seed)
        volume = volume[:, None]
        added = tf.scatter_nd(
            rows, crops, tf.cast([batch, self.clip_samples], tf.int64)
        )
        return (1.0 - volume) * waveforms + volume * added


def _resample_and_shift(waveforms, speed, shift, length: int):
    """Speed change, shift and fixed length in one gather.

    With L = floor(length / (1 + c)) samples after the speed change, output sample j is sample
    j - k of those if both j and j - k lie in 0..L-1, else zero; and sample i of those is sample
    floor(i (1 + c)) of the clip.
    """
    rate = 1.0 + speed[:, None]
    resampled_length = tf.cast(tf.floor(length / rate), tf.int32)
    position = tf.range(length)[None]
    moved = position - shift[:, None]
    valid = (moved >= 0) & (moved < resampled_length) & (position < resampled_length)
    source = tf.cast(tf.floor(tf.cast(moved, tf.float32) * rate), tf.int32)
    gathered = tf.gather(waveforms, tf.clip_by_value(source, 0, length - 1), batch_dims=1)
    return tf.where(valid, gathered, 0.0)
