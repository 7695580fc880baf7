"""`LogMelSpectrogram` against closed forms and the official front end's golden values."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from layer_contract import check_layer

from bifsmn_tf.layers import LogMelSpectrogram
from bifsmn_tf.mel import mel_filter_bank

TIME = np.arange(16000) / 16000.0


def logmel(waveform):
    return np.asarray(LogMelSpectrogram()(waveform.astype(np.float32)[None]))[0, :, :, 0]


@pytest.fixture(scope="module")
def golden(golden_dir):
    with np.load(golden_dir / "logmel.npz") as archive:
        return {key: archive[key] for key in archive}


def test_contract(tmp_path):
    check_layer(LogMelSpectrogram, (3, 16000), (3, 32, 32, 1), 0, tmp_path)


def test_contract_of_another_geometry(tmp_path):
    check_layer(
        lambda: LogMelSpectrogram(num_mels=20, fft_length=512, hop_length=128, sample_rate=8000),
        (2, 4000),
        (2, 20, 32, 1),
        0,
        tmp_path,
    )


def test_golden_values(golden):
    ours = np.asarray(LogMelSpectrogram()(golden["waveforms"]))[..., 0]
    audible = golden["logmel_db"] > -80
    assert audible.mean() > 0.5
    assert np.abs(ours - golden["logmel_db"])[audible].max() <= 0.02
    silence = list(golden["names"]).index("zeros")
    np.testing.assert_array_equal(ours[silence], -100.0)
    assert ours.min() >= -100.0


def test_silence_is_exactly_minus_100_db():
    np.testing.assert_array_equal(logmel(np.zeros(16000)), np.full((32, 32), -100.0))


@pytest.mark.parametrize(
    "waveform, peak, mel, first",
    [
        (np.sin(2 * np.pi * 1000 * TIME), 24.949, 11, -6.106),
        (0.1 * np.sin(2 * np.pi * 440 * TIME), 5.034, 5, -18.741),
    ],
)
def test_sine(waveform, peak, mel, first):
    db = logmel(waveform)
    assert abs(db.max() - peak) < 0.01
    assert np.unravel_index(db.argmax(), db.shape)[0] == mel
    assert abs(db[0, 0] - first) < 0.02


def test_chirp():
    db = logmel(0.5 * np.sin(2 * np.pi * (100 * TIME + 1900 * TIME**2)))
    assert abs(db.max() - 20.145) < 0.01
    assert np.unravel_index(db.argmax(), db.shape) == (22, 27)
    assert abs(db.mean() + 75.73) < 0.01
    assert abs(db[0, 0] - 11.109) < 0.02


def test_gain_of_ten_is_20_db():
    noise = np.random.default_rng(0).normal(size=16000) * 0.01
    np.testing.assert_allclose(logmel(10 * noise) - logmel(noise), 20.0, atol=0.01)


def test_agrees_with_a_numpy_transform_frame_by_frame():
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, 16000)
    padded = np.pad(noise, 1024, mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(2048) / 2048)
    bank = mel_filter_bank()
    expected = np.empty((32, 32))
    for frame in range(32):
        spectrum = np.fft.rfft(padded[512 * frame : 512 * frame + 2048] * window)
        mel = (np.abs(spectrum) ** 2 / 768) @ bank
        expected[:, frame] = 10 * np.log10(np.maximum(mel, 1e-10))
    np.testing.assert_allclose(logmel(noise), expected, atol=1e-3)


def test_filter_bank():
    bank = mel_filter_bank()
    assert bank.shape == (1025, 32)
    sums = bank.sum(axis=0)
    np.testing.assert_allclose(sums[:4], [7.390, 7.968, 8.615, 9.310], atol=1e-3)
    np.testing.assert_allclose(sums[-2:], [73.063, 78.863], atol=1e-3)
    assert (bank >= 0).all() and (bank <= 1).all() and (bank.max(axis=0) > 0).all()


def test_runs_inside_a_data_pipeline():
    layer = LogMelSpectrogram()
    clips = np.random.default_rng(2).normal(size=(5, 16000)).astype(np.float32)
    dataset = tf.data.Dataset.from_tensor_slices(clips).batch(2).map(layer)
    result = np.concatenate([np.asarray(batch) for batch in dataset])
    np.testing.assert_allclose(result, layer(clips), atol=1e-3)


def test_is_differentiable():
    x = tf.random.stateless_normal((1, 16000), (0, 1))
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_mean(LogMelSpectrogram()(x))
    assert np.isfinite(tape.gradient(loss, x)).all()


@pytest.mark.parametrize(
    "arguments",
    [{"fft_length": 2048, "hop_length": 500}, {"fft_length": 512, "hop_length": 512}],
)
def test_wrong_hop(arguments):
    with pytest.raises(ValueError, match="multiple of `hop_length`.*Received: fft_length="):
        LogMelSpectrogram(**arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"hop_length": 0},
        {"hop_length": -512},
        {"num_mels": 0},
        {"num_mels": 2.5},
        {"fft_length": 0},
        {"sample_rate": 0},
    ],
)
def test_wrong_numbers(arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=f"`{name}`.*Received"):
        LogMelSpectrogram(**arguments)


@pytest.mark.parametrize("shape", [(None, None), (None, 1024), (None, 16000, 1), (16000,)])
def test_wrong_input_shape(shape):
    with pytest.raises(ValueError, match="`LogMelSpectrogram` (expects|needs).*Received"):
        LogMelSpectrogram().build(shape)


def test_symbolic_input_without_a_length_is_refused():
    with pytest.raises(ValueError, match="known number of samples"):
        LogMelSpectrogram()(keras.Input((None,)))
