"""Digital silence: which clips become zeros."""

import numpy as np
import pytest

from bifsmn_tf.data.digital_silence import DigitalSilence

UNKNOWN, SILENCE, YES = range(3)
LABELS = np.tile([UNKNOWN, SILENCE, YES, SILENCE], 100)
SAMPLES = np.ones((len(LABELS), 16_000), np.int16)


def make(probability, seed=0):
    return DigitalSilence(SILENCE, probability).make(
        SAMPLES, LABELS, np.random.default_rng(seed)
    )


def test_a_share_of_the_silence_clips_becomes_zeros():
    replaced = make(0.2)
    assert 20 <= len(replaced) <= 60
    assert all(LABELS[row] == SILENCE for row in replaced)
    for clip in replaced.values():
        assert clip.shape == (16_000,) and clip.dtype == np.float32 and not clip.any()


@pytest.mark.parametrize("probability, count", [(0.0, 0), (1.0, 200)])
def test_none_or_all(probability, count):
    assert len(make(probability)) == count


def test_the_source_of_randomness_decides():
    assert list(make(0.2)) == list(make(0.2)) != list(make(0.2, seed=1))
