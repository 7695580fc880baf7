"""Augmentation for other voices, rooms, microphones and levels than those of the training set."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from bifsmn_tf.data import acoustics, audio_files
from bifsmn_tf.data.draws import coin, draw
from bifsmn_tf.data.noise_bank import NoiseBank

# Quieter clips count as this loud (root mean square) where noise is measured against speech, so
# that a clip of digital silence gets quiet noise instead of none.
_QUIETEST = 10 ** (-60 / 20)
_NOISE_SECONDS = 4
_RESPONSE_SAMPLES = 4096


@dataclasses.dataclass(frozen=True)
class Robustness:
    """How strong each step of `RobustAugmentation` is.

    Attributes:
        speed_probability, speed: Relative change of speed and pitch together, which also moves
            the formants: another vocal tract.
        response_probability, num_responses: Convolution with one of so many random impulse
            responses, each a microphone and a room.
        shift_probability, max_shift: Shift in time, in samples, zeros moving in.
        noise_probability, snr: Added noise and its level below the clip, in dB: half the time
            a background recording, half the time noise of a random colour.
        level_probability, level: Change of level in dB; what becomes too loud is clipped.
    """

    speed_probability: float = 0.7
    speed: tuple[float, float] = (-0.17, 0.17)
    response_probability: float = 0.5
    num_responses: int = 256
    shift_probability: float = 0.7
    max_shift: int = 2400
    noise_probability: float = 0.6
    snr: tuple[float, float] = (5.0, 35.0)
    level_probability: float = 0.7
    level: tuple[float, float] = (-20.0, 8.0)

    def __post_init__(self):
        for name in ("speed", "response", "shift", "noise", "level"):
            value = getattr(self, f"{name}_probability")
            if not 0 <= value <= 1:
                raise ValueError(
                    f"`{name}_probability` must be within 0 and 1. "
                    f"Received: {name}_probability={value!r}"
                )
        for name in ("speed", "snr", "level"):
            value = getattr(self, name)
            if len(value) != 2 or not value[0] <= value[1]:
                raise ValueError(
                    f"`{name}` must be a range (low, high). Received: {name}={value!r}"
                )
        if self.speed[0] <= -1:
            raise ValueError(f"`speed` must be above -1. Received: speed={self.speed!r}")
        if self.num_responses < 1:
            raise ValueError(
                f"`num_responses` must be positive. Received: num_responses={self.num_responses!r}"
            )
        if not 0 <= self.max_shift < audio_files.CLIP_SAMPLES:
            raise ValueError(
                f"`max_shift` must be within 0 and {audio_files.CLIP_SAMPLES - 1}. "
                f"Received: max_shift={self.max_shift!r}"
            )


class RobustAugmentation:
    """Waveform augmentation of the default recipe.

    In this order, each step drawn independently for every clip: speed (linear interpolation,
    about the middle of the clip), impulse response, shift, noise at a signal-to-noise ratio,
    level. Calling the object twice with one seed gives the same result.
    """

    def __init__(
        self,
        noise: Sequence[np.ndarray] | None = None,
        robustness: Robustness | None = None,
        seed: int = 0,
    ):
        """Draws the stock of impulse responses and coloured noise.

        Args:
            noise: Background noise, 1-D float arrays in [-1, 1) at 16,000 Hz; None or empty
                leaves coloured noise alone.
            robustness: Strength of the steps.
            seed: Of the stock.
        """
        self.robustness = Robustness() if robustness is None else robustness
        rng = np.random.default_rng(seed)
        coloured = [
            acoustics.coloured_noise(
                _NOISE_SECONDS * audio_files.SAMPLE_RATE, rng.uniform(0, 2), rng
            )
            for _ in range(32)
        ]
        self._coloured = NoiseBank(coloured, audio_files.CLIP_SAMPLES)
        self._recorded = NoiseBank(noise, audio_files.CLIP_SAMPLES) if noise else self._coloured
        self._padded = 1 << (audio_files.CLIP_SAMPLES + _RESPONSE_SAMPLES - 1).bit_length()
        responses = _impulse_responses(self.robustness.num_responses, self._padded, rng)
        with tf.init_scope():
            self._responses = tf.constant(np.fft.rfft(responses).astype(np.complex64))
        digest = hashlib.sha256(
            json.dumps([dataclasses.asdict(self.robustness), seed]).encode()
        )
        for recording in noise or ():
            digest.update(np.ascontiguousarray(recording, np.float32))
        self.fingerprint = digest.hexdigest()

    def __call__(self, waveforms, seed) -> tf.Tensor:
        """Augments a batch.

        Args:
            waveforms: Shape `(B, 16000)`, float in [-1, 1).
            seed: Integer tensor of shape `(2,)`, as TensorFlow's stateless random ops take.

        Returns:
            A float32 tensor of the same shape, within [-1, 1].
        """
        strength = self.robustness
        x = tf.convert_to_tensor(waveforms, tf.float32)
        if x.shape.rank != 2 or x.shape[1] not in (None, audio_files.CLIP_SAMPLES):
            raise ValueError(
                f"`waveforms` must have the shape (batch, {audio_files.CLIP_SAMPLES}). "
                f"Received: shape {tuple(x.shape)}"
            )
        seeds = tf.unstack(tf.random.split(seed, 5))
        batch = tf.shape(x)[0]
        x = _resample(x, draw(batch, seeds[0], strength.speed_probability, strength.speed, 0.0))
        x = self._respond(x, seeds[1])
        limit = float(strength.max_shift)
        shift = draw(batch, seeds[2], strength.shift_probability, (-limit, limit), 0.0)
        x = _shift(x, tf.cast(tf.round(shift), tf.int32))
        x = self._add_noise(x, seeds[3])
        level = draw(batch, seeds[4], strength.level_probability, strength.level, 0.0)
        return tf.clip_by_value(x * _amplitude(level)[:, None], -1.0, 1.0)

    def _respond(self, x, seed):
        coin_seed, choice_seed = tf.unstack(tf.random.split(seed, 2))
        batch = tf.shape(x)[0]
        # Transforms are the costly part: only the clips that need one get one.
        rows = tf.where(coin(batch, coin_seed, self.robustness.response_probability))[:, 0]
        number = self.robustness.num_responses
        choice = tf.random.stateless_uniform([batch], choice_seed, 0, number, tf.int32)
        # Padded here: the transform itself would refuse to pad where no clip is chosen.
        dry = tf.pad(tf.gather(x, rows), [[0, 0], [0, self._padded - audio_files.CLIP_SAMPLES]])
        spectrum = tf.signal.rfft(dry)
        spectrum *= tf.gather(self._responses, tf.gather(choice, rows))
        wet = tf.signal.irfft(spectrum, [self._padded])[:, : audio_files.CLIP_SAMPLES]
        return tf.tensor_scatter_nd_update(x, rows[:, None], wet)

    def _add_noise(self, x, seed):
        draw_seed, coin_seed, *crop_seeds = tf.unstack(tf.random.split(seed, 4))
        batch = tf.shape(x)[0]
        strength = self.robustness
        clean = 1000.0  # dB
        snr = draw(batch, draw_seed, strength.noise_probability, strength.snr, clean)
        recorded = self._recorded.crops(batch, crop_seeds[0])
        coloured = self._coloured.crops(batch, crop_seeds[1])
        crops = tf.where(coin(batch, coin_seed, 0.5)[:, None], recorded, coloured)
        signal = tf.maximum(_root_mean_square(x), _QUIETEST)
        gain = signal / tf.maximum(_root_mean_square(crops), 1e-6) * _amplitude(-snr)[:, None]
        return x + gain * crops


def _impulse_responses(count, length, rng):
    """Random microphones in random rooms, `(count, length)`, of about the direct sound's level."""
    before = _RESPONSE_SAMPLES // 8
    responses = np.zeros((count, length))
    for row in responses:
        impulse = np.zeros(_RESPONSE_SAMPLES)
        impulse[before] = 1.0
        row[:_RESPONSE_SAMPLES] = acoustics.room(acoustics.microphone(impulse, rng), rng)
    # The microphone's filter has no delay: what precedes the impulse belongs to it. In a circular
    # convolution that is the end of the whole length; the response's own would be a late echo.
    return np.roll(responses, -before, axis=1)


def _amplitude(decibels):
    return tf.pow(10.0, decibels / 20.0)


def _root_mean_square(x):
    return tf.sqrt(tf.reduce_mean(tf.square(x), axis=1, keepdims=True))


def _resample(x, change):
    """Speed `1 + change` about the middle of the clip, zeros where it does not reach."""
    length = audio_files.CLIP_SAMPLES
    middle = (length - 1) / 2
    time = (tf.range(length, dtype=tf.float32)[None] - middle) * (1.0 + change[:, None]) + middle
    valid = (time >= 0.0) & (time <= length - 1.0)
    time = tf.clip_by_value(time, 0.0, length - 1.0)
    below = tf.minimum(tf.cast(time, tf.int32), length - 2)
    share = time - tf.cast(below, tf.float32)
    left = tf.gather(x, below, batch_dims=1)
    right = tf.gather(x, below + 1, batch_dims=1)
    return tf.where(valid, left + share * (right - left), 0.0)


def _shift(x, shift):
    length = audio_files.CLIP_SAMPLES
    source = tf.range(length)[None] - shift[:, None]
    valid = (source >= 0) & (source < length)
    moved = tf.gather(x, tf.clip_by_value(source, 0, length - 1), batch_dims=1)
    return tf.where(valid, moved, 0.0)
