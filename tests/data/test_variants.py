"""Augmented variants of evaluation clips."""

import numpy as np
import pytest

from bifsmn_tf.data import RobustAugmentation, audio_files
from bifsmn_tf.data.variants import augmented_variants


@pytest.fixture(scope="module")
def samples():
    # More than are augmented at once.
    rng = np.random.default_rng(0)
    return rng.integers(-3000, 3000, (300, 16_000)).astype(np.int16)


@pytest.fixture(scope="module")
def variants(samples):
    return list(augmented_variants(samples, None, 2, seed=3))


def test_every_clip_has_its_variants(samples, variants):
    assert len(variants) == 2
    for variant in variants:
        assert (variant.shape, variant.dtype) == (samples.shape, np.int16)
        # All steps leave about one clip in a hundred as it is.
        assert np.any(variant != samples, axis=1).mean() > 0.9
        assert np.abs(variant.astype(int)).max() > 1000
    assert np.any(variants[0] != variants[1], axis=1).mean() > 0.9


def test_the_seed_decides(samples, variants):
    (first,) = augmented_variants(samples[:20], None, 1, seed=3)
    (again,) = augmented_variants(samples, None, 1, seed=3)
    np.testing.assert_array_equal(again, variants[0])
    (other,) = augmented_variants(samples[:20], None, 1, seed=4)
    assert np.any(other != first)


def test_rooms_are_not_those_of_the_training(samples):
    ours, theirs = (
        np.stack([v[:, ::100] for v in augmented]).astype(float)
        for augmented in (
            augmented_variants(samples[:64], None, 1, seed=0),
            _variants_of_training(samples[:64]),
        )
    )
    assert np.any(ours != theirs, axis=-1).mean() > 0.5


def _variants_of_training(samples):
    """The same draws from the stock of a training."""
    rng = np.random.default_rng([0, 0])
    seed = rng.integers(2**31, size=2, dtype=np.int32)
    waveforms = RobustAugmentation(None)(audio_files.to_float(samples), seed).numpy()
    yield np.clip(np.round(32768 * waveforms), -32768, 32767)
