"""Augmentation of the default recipe: each step alone, bounds, shares, seeds."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from bifsmn_tf.data import RobustAugmentation, Robustness

OFF = {
    f"{step}_probability": 0.0 for step in ("speed", "response", "shift", "noise", "level")
}  # fmt: skip
LENGTH = 16_000


def augmentation(noise=None, seed=0, **kwargs):
    return RobustAugmentation(noise, Robustness(**{**OFF, "num_responses": 8, **kwargs}), seed)


def augment(waveforms, seed=(1, 2), **kwargs):
    return augmentation(**kwargs)(np.asarray(waveforms, np.float32), seed).numpy()


def clips(count=8, scale=0.5, seed=0):
    return (scale * np.random.default_rng(seed).uniform(-1, 1, (count, LENGTH))).astype(np.float32)


def tones(count, amplitude=0.1, frequency=200.0):
    """The same sine in every row: its power is constant."""
    wave = amplitude * np.sin(2 * np.pi * frequency * np.arange(LENGTH) / LENGTH)
    return np.tile(wave.astype(np.float32), (count, 1))


def level_of(x):
    return np.sqrt(np.mean(np.square(x, dtype=np.float64), axis=1))


def test_nothing_switched_on_changes_nothing():
    x = clips()
    np.testing.assert_allclose(augment(x, noise=[np.ones(20_000)]), x, atol=1e-7)


@pytest.mark.parametrize("change", [-0.17, -0.05, 0.1, 0.25])
def test_speed_moves_frequencies_and_keeps_the_middle(change):
    frequency, middle = 200.0, (LENGTH - 1) / 2
    y = augment(tones(2, 0.5, frequency), speed_probability=1.0, speed=(change, change))
    source = (np.arange(LENGTH) - middle) * (1 + change) + middle
    expected = 0.5 * np.sin(2 * np.pi * frequency * source / LENGTH)
    inside = (source > 0.01) & (source < LENGTH - 1.01)
    # Linear interpolation is off by (2 pi 200 / 16000)^2 / 8 of the amplitude at most.
    np.testing.assert_allclose(y[:, inside], np.tile(expected[inside], (2, 1)), atol=1e-3)
    outside = (source < -0.01) | (source > LENGTH - 0.99)
    assert not y[:, outside].any()
    assert outside.any() == (change > 0)


def test_speeds_fill_their_range():
    # A ramp read faster is a steeper ramp.
    x = np.tile(np.linspace(-1, 1, LENGTH, dtype=np.float32), (300, 1))
    y = augment(x, speed_probability=0.7, speed=(-0.1, 0.2))
    change = (y[:, 9000] - y[:, 7000]) / (x[0, 9000] - x[0, 7000]) - 1
    changed = change[np.abs(change) > 1e-4]
    assert 0.6 < len(changed) / 300 < 0.8
    assert -0.1 - 1e-4 <= changed.min() < -0.09 and 0.19 < changed.max() <= 0.2 + 1e-4
    assert abs(changed.mean() - 0.05) < 0.02


def test_shift_moves_an_impulse():
    x = np.zeros((300, LENGTH), np.float32)
    x[:, 8000] = 0.75
    y = augment(x, shift_probability=0.7, max_shift=2400)
    rows, places = np.nonzero(y)
    np.testing.assert_array_equal(rows, np.arange(300))
    np.testing.assert_array_equal(y[rows, places], 0.75)
    shift = places - 8000
    assert 0.6 < np.mean(shift != 0) < 0.8
    assert -2400 <= shift.min() < -2200 and 2200 < shift.max() <= 2400
    assert abs(shift.mean()) < 250


def test_shift_moves_zeros_in():
    y = augment(np.ones((50, LENGTH)), shift_probability=1.0, max_shift=1000)
    for row in y:
        used = np.flatnonzero(row)
        assert used[0] == 0 or used[-1] == LENGTH - 1  # nothing comes round the other end
        assert len(used) == used[-1] - used[0] + 1


@pytest.mark.parametrize("snr", [0.0, 12.0, 30.0])
def test_signal_to_noise_ratio(snr):
    noise = [np.full(40_000, 0.3), np.random.default_rng(0).normal(size=30_000)]
    x = tones(64)
    added = augment(x, noise=noise, noise_probability=1.0, snr=(snr, snr)) - x
    ratio = 20 * np.log10(level_of(x) / level_of(added))
    np.testing.assert_allclose(ratio, snr, atol=0.02)


def test_ratios_fill_their_range_and_half_of_the_noise_is_recorded():
    x = tones(400)
    # A constant is told apart from coloured noise.
    y = augment(x, noise=[np.full(20_000, 0.5)], noise_probability=0.6, snr=(5.0, 35.0))
    noisy = np.flatnonzero(np.any(y != x, axis=1))
    assert 0.5 < len(noisy) / 400 < 0.7
    added = y[noisy] - x[noisy]
    ratio = 20 * np.log10(level_of(x[noisy]) / level_of(added))
    assert 4.9 < ratio.min() < 7 and 33 < ratio.max() < 35.1
    assert abs(ratio.mean() - 20) < 3
    recorded = np.ptp(added, axis=1) < 1e-4
    assert 0.4 < recorded.mean() < 0.6


@pytest.mark.parametrize("noise", [None, []])
def test_without_recordings_all_noise_is_coloured(noise):
    added = augment(np.zeros((40, LENGTH)), noise=noise, noise_probability=1.0)
    assert (np.ptp(added, axis=1) > 0).all()
    # From white to brown: the share of neighbouring samples' difference varies widely.
    smooth = level_of(np.diff(added, axis=1)) / level_of(added)
    assert smooth.min() < 0.3 and smooth.max() > 1.0


def test_silence_gets_quiet_noise():
    added = augment(np.zeros((20, LENGTH)), noise_probability=1.0, snr=(10.0, 10.0))
    np.testing.assert_allclose(20 * np.log10(level_of(added)), -70.0, atol=0.02)
    quiet = tones(20, amplitude=1e-6)
    added = augment(quiet, noise_probability=1.0, snr=(10.0, 10.0)) - quiet
    np.testing.assert_allclose(20 * np.log10(level_of(added)), -70.0, atol=0.02)


@pytest.mark.parametrize("decibels", [-20.0, -6.0, 3.0])
def test_level_in_decibels(decibels):
    x = clips()
    y = augment(x, level_probability=1.0, level=(decibels, decibels))
    np.testing.assert_allclose(y, x * 10 ** (decibels / 20), rtol=1e-5)


def test_levels_fill_their_range():
    x = np.full((400, LENGTH), 0.25, np.float32)
    level = 20 * np.log10(augment(x, level_probability=0.7, level=(-20.0, 8.0))[:, 0] / 0.25)
    changed = level[np.abs(level) > 1e-3]
    assert 0.6 < len(changed) / 400 < 0.8
    assert -20.01 < changed.min() < -19 and 7 < changed.max() < 8.01
    assert abs(changed.mean() + 6) < 2


def test_what_is_too_loud_is_clipped():
    x = clips(scale=0.9)
    y = augment(x, level_probability=1.0, level=(8.0, 8.0))
    np.testing.assert_allclose(y, np.clip(x * 10 ** (8 / 20), -1, 1), rtol=1e-5)
    assert y.max() == 1.0 and y.min() == -1.0


def test_impulse_responses_keep_the_direct_sound():
    x = np.zeros((40, LENGTH), np.float32)
    x[:, 8000] = 0.5
    y = augment(x, response_probability=1.0, num_responses=20) / 0.5
    np.testing.assert_array_equal(np.argmax(np.abs(y), axis=1), 8000)
    direct = y[:, 8000]
    assert 0.6 < direct.min() and direct.max() < 1.6  # microphones vary by 4 dB
    assert 0.9 < direct.mean() < 1.15
    # The microphone's filter has no delay, the room's tail ends within 0.25 s, and no later echo
    # follows.
    assert (np.abs(y[:, 7900:8000]).max(axis=1) > 1e-3).all()
    assert np.abs(y[:, : 8000 - 512]).max() < 2e-3
    assert np.abs(y[:, 8000 + 3584 :]).max() < 2e-3
    assert len(np.unique(direct)) > 10


def test_impulse_responses_do_not_wrap_around():
    x = np.zeros((8, LENGTH), np.float32)
    x[:, -1] = x[:, 0] = 0.5
    y = augment(x, response_probability=1.0)
    assert np.abs(y[:, 5000:11_000]).max() < 1e-3
    alone = x.copy()
    alone[:, -1] = 0
    y = augment(alone, response_probability=1.0)
    assert np.abs(y[:, 8000:]).max() < 1e-3


def test_a_batch_of_which_no_clip_gets_a_response():
    augment_one = augmentation(response_probability=0.5)
    x = tones(1)
    for function in (augment_one, tf.function(augment_one, reduce_retracing=True)):
        same = [np.allclose(function(x, tf.constant((0, i))), x) for i in range(8)]
        assert 0 < sum(same) < 8


def test_share_of_impulse_responses():
    x = tones(200)
    y = augment(x, response_probability=0.5)
    assert 0.4 < np.mean(np.any(y != x, axis=1)) < 0.6


def test_steps_are_drawn_independently():
    x = np.zeros((200, LENGTH), np.float32)
    x[:, 8000] = 0.25
    y = augment(x, shift_probability=0.5, level_probability=0.5, level=(6.0, 6.0))
    place, level = np.argmax(y, axis=1), y.max(axis=1)
    both = np.mean((place != 8000) & (level != 0.25))
    assert 0.15 < both < 0.35


def test_defaults_are_all_on():
    x = tones(100)
    y = RobustAugmentation([np.random.default_rng(0).normal(size=20_000)])(x, (3, 4)).numpy()
    assert y.shape == x.shape and y.dtype == np.float32
    assert np.abs(y).max() <= 1 and np.isfinite(y).all()
    # All five steps are left out for about one clip in two hundred.
    assert np.mean(np.any(y != x, axis=1)) > 0.95


def test_seeds():
    x = clips()
    everything = {name: 1.0 for name in OFF}
    first, again = (augmentation(**everything) for _ in range(2))
    np.testing.assert_array_equal(first(x, (1, 2)), again(x, (1, 2)))
    tf.random.set_seed(7)  # has no say
    np.testing.assert_array_equal(first(x, (1, 2)), again(x, (1, 2)))
    assert np.all(np.any(first(x, (1, 2)) != first(x, (1, 3)), axis=1))
    assert np.any(first(x, (1, 2)) != augmentation(seed=1, **everything)(x, (1, 2)))
    same = first(np.tile(x[:1], (8, 1)), (1, 2)).numpy()
    assert len({row.tobytes() for row in same}) == 8  # every clip has its own draw


def test_fingerprint_tells_augmentations_apart():
    noise = [np.ones(100), np.zeros(50)]
    assert augmentation(noise).fingerprint == augmentation(noise).fingerprint
    others = [
        augmentation(), augmentation(noise, seed=1), augmentation(noise[::-1]),
        augmentation(noise, snr=(5.0, 34.0)), augmentation(noise),
    ]  # fmt: skip
    assert len({other.fingerprint for other in others}) == 5


@pytest.mark.parametrize(
    "kwargs",
    [
        {"speed_probability": 1.1}, {"response_probability": -0.1}, {"shift_probability": 2},
        {"noise_probability": float("nan")}, {"level_probability": -1}, {"speed": (0.2, 0.1)},
        {"speed": (-1.0, 0.0)}, {"snr": (1.0,)}, {"level": (3.0, 2.0)}, {"num_responses": 0},
        {"max_shift": -1}, {"max_shift": 16_000},
    ],
)  # fmt: skip
def test_bad_strength(kwargs):
    with pytest.raises(ValueError, match=f"`{next(iter(kwargs))}` must.*Received"):
        Robustness(**kwargs)


@pytest.mark.parametrize("shape", [(16_000,), (2, 15_999), (2, 16_000, 1)])
def test_bad_waveforms(shape):
    with pytest.raises(ValueError, match="batch, 16000.*Received"):
        augmentation()(np.zeros(shape, np.float32), (0, 0))


def test_bad_noise():
    with pytest.raises(ValueError, match="Received: shape \\(0,\\) at index 1"):
        augmentation([np.ones(5), np.ones(0)])


def test_strength_cannot_be_changed_afterwards():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Robustness().snr = (0, 1)
