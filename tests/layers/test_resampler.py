"""Band-limited resampling."""

import numpy as np
import pytest
from layer_contract import check_layer

from bifsmn_tf.layers import Resampler


def test_contract(tmp_path):
    check_layer(lambda: Resampler(12), (3, 20), (3, 12), 0, tmp_path)


@pytest.mark.parametrize("samples, wanted", [(16_000, 8192), (8192, 16_000), (99, 40), (40, 99)])
def test_tones_keep_frequency_and_amplitude(samples, wanted):
    for cycles in (0, 1, 7, 19):
        phases = [2 * np.pi * cycles * np.arange(n) / n + 0.3 for n in (samples, wanted)]
        x, expected = (np.cos(phase)[None].astype(np.float32) for phase in phases)
        np.testing.assert_allclose(Resampler(wanted)(x), expected, atol=2e-5)


def test_frequencies_above_the_new_limit_vanish():
    time = np.arange(16_000) / 16_000
    x = np.cos(2 * np.pi * 5000 * time)[None].astype(np.float32)
    assert np.abs(Resampler(8192)(x)).max() < 1e-3


def test_nothing_to_do():
    x = np.random.default_rng(0).normal(size=(2, 64)).astype(np.float32)
    np.testing.assert_array_equal(Resampler(64)(x), x)


def test_errors():
    with pytest.raises(ValueError, match="`num_samples` should be an integer.*Received"):
        Resampler(0)
    with pytest.raises(ValueError, match="waveforms of shape.*Received"):
        Resampler(8).build((1, 2, 3))
