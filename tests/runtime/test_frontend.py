"""The numpy front end equals the Keras layer and the reference."""

import numpy as np
import pytest

from bifsmn_tf.runtime import log_mel


def test_golden_values(golden_dir):
    data = np.load(golden_dir / "logmel.npz")
    ours = log_mel(data["waveforms"])[..., 0]
    golden = data["logmel_db"]
    audible = golden > -80
    assert np.abs(ours - golden)[audible].max() < 0.02
    np.testing.assert_array_equal(ours[list(data["names"]).index("zeros")], -100.0)


def test_equals_the_keras_layer():
    from bifsmn_tf.layers import LogMelSpectrogram

    audio = np.random.default_rng(0).normal(0, 0.1, (3, 16000)).astype(np.float32)
    np.testing.assert_allclose(log_mel(audio), np.asarray(LogMelSpectrogram()(audio)), atol=1e-3)


def test_int16_and_lengths():
    clip = np.random.default_rng(1).integers(-3000, 3000, 9000).astype(np.int16)
    padded = np.concatenate([clip, np.zeros(7000, np.int16)]) / np.float32(32768)
    np.testing.assert_array_equal(log_mel(clip), log_mel(padded))
    long = np.concatenate([padded, np.ones(500, np.float32)])
    np.testing.assert_array_equal(log_mel(long), log_mel(padded))
    assert log_mel(clip).shape == (1, 32, 32, 1)


@pytest.mark.parametrize(
    "audio, message",
    [
        (np.zeros((2, 3, 4), np.float32), r"shape \(2, 3, 4\)"),
        (np.zeros(100, np.int32), "dtype int32"),
        (np.full(16000, np.nan, np.float32), "finite"),
    ],
)
def test_bad_audio(audio, message):
    with pytest.raises(ValueError, match=message):
        log_mel(audio)
