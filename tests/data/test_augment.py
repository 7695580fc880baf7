"""Waveform augmentation: each step alone, bounds, frequencies, seeds."""

import numpy as np
import pytest

from bifsmn_tf.data import WaveformAugmentation

OFF = {
    "noise_probability": 0.0,
    "gain_probability": 0.0,
    "speed_probability": 0.0,
    "shift_probability": 0.0,
}


def augment(waveforms, seed=(1, 2), **kwargs):
    return WaveformAugmentation(**{**OFF, **kwargs})(waveforms, seed).numpy()


def clips(count=8, samples=16_000, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (count, samples)).astype(np.float32)


def test_nothing_switched_on_changes_nothing():
    x = clips()
    np.testing.assert_array_equal(augment(x, noise=[np.ones(20_000)]), x)


def test_default_constants_are_those_of_the_released_code():
    a = WaveformAugmentation()
    assert (a.noise_probability, a.noise_volume) == (0.3, (0.0, 0.3))
    assert (a.gain_probability, a.gain) == (0.5, (0.7, 1.1))
    assert (a.speed_probability, a.speed) == (0.5, (-0.2, 0.2))
    assert (a.shift_probability, a.max_shift) == (0.5, 3200)


def test_gain_range_and_probability():
    y = augment(np.ones((4000, 100)), clip_samples=100, max_shift=0, gain_probability=0.5)
    gains = y[:, 0]
    np.testing.assert_array_equal(y, np.repeat(gains[:, None], 100, axis=1))
    changed = gains[gains != 1.0]
    assert 0.46 < len(changed) / 4000 < 0.54
    assert 0.7 <= changed.min() < 0.71 and 1.09 < changed.max() <= 1.1
    assert abs(changed.mean() - 0.9) < 0.01


def test_noise_mix_is_a_convex_combination_of_crops():
    bank = [np.full(500, 0.25), np.full(700, -0.5)]
    y = augment(
        np.ones((6000, 100)), clip_samples=100, max_shift=0, noise=bank, noise_probability=0.3
    )[:, 0]
    mixed = y[y != 1.0]
    assert 0.27 < len(mixed) / 6000 < 0.33
    # x = 1: (1 - s) + s n = 1 - s (1 - n), with s below 0.3 and n one of the two levels.
    low = mixed < 1 - 0.3 * 0.75  # only the second recording gets there
    assert mixed.min() >= 1 - 0.3 * 1.5 - 1e-6 and low.any()
    share = np.mean(mixed < 1 - 0.3 * 0.75)
    assert abs(share - 0.5 * 0.5) < 0.05  # half the files, upper half of the volumes


def test_noise_crops_come_from_everywhere_and_stay_in_one_recording():
    ramp = np.arange(1000, dtype=np.float32)
    y = augment(
        np.zeros((2000, 100)),
        clip_samples=100,
        max_shift=0,
        noise=[ramp, ramp + 5000],
        noise_probability=1.0,
        noise_volume=(1.0, 1.0),
    )
    starts = y[:, 0]
    np.testing.assert_allclose(y, starts[:, None] + np.arange(100), atol=1e-3)
    inside = (starts <= 900) | ((starts >= 5000) & (starts <= 5900))
    assert inside.all()
    assert starts.min() < 20 and 880 < starts[starts < 1000].max() <= 899
    assert 0.45 < np.mean(starts < 1000) < 0.55


def test_short_noise_is_repeated():
    y = augment(
        np.zeros((4, 100)),
        clip_samples=100,
        max_shift=0,
        noise=[np.ones(7)],
        noise_probability=1.0,
        noise_volume=(0.5, 0.5),
    )
    np.testing.assert_allclose(y, 0.5)


def test_shift_is_whole_samples_with_zeros_moving_in():
    x = clips(300)
    y = augment(x, shift_probability=1.0)
    shifts = []
    for before, after in zip(x, y, strict=True):
        used = np.flatnonzero(after)
        if used[0] > 0:
            k = used[0]
            np.testing.assert_array_equal(after[k:], before[:-k])
        else:
            k = used[-1] - 15_999
            np.testing.assert_array_equal(after[: used[-1] + 1], before[-k:])
            assert not after[used[-1] + 1 :].any()
        shifts.append(k)
    assert -3200 <= min(shifts) < -2900 and 2900 < max(shifts) <= 3200
    assert abs(np.mean(shifts)) < 400


def test_zero_shift_range_is_the_identity():
    x = clips()
    np.testing.assert_array_equal(augment(x, shift_probability=1.0, max_shift=0), x)


@pytest.mark.parametrize("c", [-0.2, -0.05, 0.1, 0.2])
def test_speed_is_nearest_neighbour_resampling(c):
    x = clips(2)
    y = augment(x, speed_probability=1.0, speed=(c, c))
    rate = np.float32(1) + np.float32(c)
    length = int(np.floor(np.float32(16_000) / rate))
    assert 13_333 <= length <= 20_000
    source = np.floor(np.arange(min(length, 16_000), dtype=np.float32) * rate).astype(int)
    np.testing.assert_array_equal(y[:, : len(source)], x[:, source])
    assert not y[:, len(source) :].any()


def test_shift_acts_on_the_resampled_length():
    x = np.ones((200, 16_000), np.float32)
    y = augment(x, speed_probability=1.0, speed=(0.2, 0.2), shift_probability=1.0)
    for row in y:
        used = np.flatnonzero(row)
        # 13,333 samples after the speed change: a right shift loses its end, not the clip's.
        assert used[-1] <= 13_332
        assert len(used) == 13_333 - max(used[0], 13_332 - used[-1])
    slow = augment(x, speed_probability=1.0, speed=(-0.2, -0.2), shift_probability=1.0)
    # 20,000 samples: a left shift pulls speech in from behind the end, no zeros appear there.
    assert (slow[:, -1] == 1).all()


def test_pitch_falls_when_slowed():
    wave = np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000)[None].astype(np.float32)
    y = augment(wave, speed_probability=1.0, speed=(-0.2, -0.2))[0]
    assert int(np.abs(np.fft.rfft(y)).argmax()) == 800


def test_seeds():
    x, noise = clips(16), [clips(1, 40_000)[0]]
    a = WaveformAugmentation(noise=noise)
    np.testing.assert_array_equal(a(x, (1, 2)), a(x, (1, 2)))
    np.testing.assert_array_equal(a(x, (1, 2)), WaveformAugmentation(noise=noise)(x, (1, 2)))
    assert np.any(a(x, (1, 2)) != a(x, (1, 3)))
    assert a(x, (1, 2)).shape == (16, 16_000)


def test_clips_of_a_batch_are_drawn_independently():
    y = augment(np.ones((64, 16_000)), gain_probability=1.0, shift_probability=1.0)
    assert len(np.unique(y.max(axis=1))) == 64
    assert len(np.unique((y != 0).sum(axis=1))) > 50


@pytest.mark.parametrize(
    "kwargs, message",
    [
        ({"noise_probability": 1.5}, "noise_probability=1.5"),
        ({"shift_probability": -0.1}, "shift_probability=-0.1"),
        ({"gain": (1.1, 0.7)}, "gain="),
        ({"speed": (-1.0, 0.0)}, "above -1"),
        ({"max_shift": 16_000}, "max_shift=16000"),
        ({"noise": [np.zeros((2, 100))]}, "shape \\(2, 100\\) at index 0"),
        ({"noise": [np.ones(5), np.zeros(0)]}, "at index 1"),
    ],
)
def test_bad_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        WaveformAugmentation(**kwargs)


def test_bad_shapes():
    with pytest.raises(ValueError, match="Received: shape \\(4, 8000\\)"):
        WaveformAugmentation()(np.zeros((4, 8000)), (0, 0))
    with pytest.raises(ValueError, match="Received: shape \\(16000,\\)"):
        WaveformAugmentation()(np.zeros(16_000), (0, 0))
