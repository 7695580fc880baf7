"""Masks over the features, by tensorflow-io."""

import subprocess
import sys

import numpy as np
import pytest

from bifsmn_tf.data import SpectrogramAugmentation, tfio

needs_tfio = pytest.mark.skipif(not tfio.is_available(), reason="tensorflow-io is not installed")


@needs_tfio
def test_masks_are_rectangles_below_the_given_size():
    augment = SpectrogramAugmentation(freq_mask=5, time_mask=9, probability=1.0)
    x = np.zeros((400, 32, 32, 1), np.float32)
    masked = augment(x, (1, 2)).numpy()[..., 0] == -100.0
    bands, frames = masked.all(axis=2), masked.all(axis=1)
    np.testing.assert_array_equal(masked, bands[:, :, None] | frames[:, None, :])
    assert set(bands.sum(axis=1)) == set(range(5))
    assert set(frames.sum(axis=1)) == set(range(9))
    for rows in (bands, frames):  # one run each; tensorflow-io never masks the last place
        assert (np.abs(np.diff(rows.astype(int), axis=1)).sum(axis=1) <= 2).all()
        assert rows.any(axis=0)[:-1].all()


@needs_tfio
def test_probability_and_value():
    augment = SpectrogramAugmentation(freq_mask=8, time_mask=0, probability=0.5, value=-42.0)
    masked = (augment(np.zeros((2000, 32, 32, 1)), (5, 6)).numpy() == -42).any(axis=(1, 2, 3))
    assert 0.38 < masked.mean() < 0.5  # half, less the masks of width zero


@needs_tfio
def test_seeds():
    x = np.zeros((64, 32, 32, 1), np.float32)
    first, second = SpectrogramAugmentation(seed=3), SpectrogramAugmentation(seed=3)
    np.testing.assert_array_equal(first(x, (1, 2)), second(x, (1, 2)))
    assert np.any(first(x, (1, 2)) != first(x, (1, 3)))
    assert np.any(first(x, (1, 2)) != SpectrogramAugmentation(seed=4)(x, (1, 2)))


@needs_tfio
@pytest.mark.parametrize(
    "kwargs", [{"freq_mask": 33}, {"time_mask": -1}, {"probability": 2}, {"num_masks": 0}]
)
def test_bad_arguments(kwargs):
    with pytest.raises(ValueError, match=f"{next(iter(kwargs))}.*Received"):
        SpectrogramAugmentation(**kwargs)
    with pytest.raises(ValueError, match="shape \\(2, 32, 16, 1\\)"):
        SpectrogramAugmentation()(np.zeros((2, 32, 16, 1)), (0, 0))


@needs_tfio
def test_import_is_quiet():
    code = "import bifsmn_tf.data.tfio as t; assert t.is_available()"
    run = subprocess.run(
        [sys.executable, "-W", "always", "-c", code], capture_output=True, text=True, check=True
    )
    assert "unable to load" not in run.stderr and "plugins" not in run.stderr


def test_absence_is_a_clear_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_io", None)
    tfio._audio.cache_clear()
    try:
        assert not tfio.is_available()
        with pytest.raises(ImportError, match="pip install tensorflow-io"):
            SpectrogramAugmentation()
    finally:
        tfio._audio.cache_clear()


@needs_tfio
def test_masked_values_may_become_the_mean_of_the_clip():
    x = np.random.default_rng(0).normal(-50, 15, (50, 32, 32, 1)).astype(np.float32)
    plain, mean = (
        SpectrogramAugmentation(probability=0.5, value=value)(x, (1, 2)).numpy()
        for value in (-1000.0, None)
    )
    masked = plain == -1000.0
    assert 10 < masked.any(axis=(1, 2, 3)).sum() < 40
    means = np.broadcast_to(x.mean(axis=(1, 2, 3), keepdims=True), x.shape)
    np.testing.assert_allclose(mean, np.where(masked, means, x), rtol=1e-5)
