"""The tf.data pipeline: shapes, order, seeds, epochs."""

import numpy as np
import pytest
import tensorflow as tf

from bifsmn_tf.data import (
    SpectrogramAugmentation,
    SpeechCommands,
    WaveformAugmentation,
    log_mel_features,
    tfio,
)
from bifsmn_tf.data.digital_silence import DigitalSilence


@pytest.fixture
def data(tree):
    return SpeechCommands(tree(speakers={"training": 12, "validation": 4}), ("yes", "no"))


def epoch(dataset):
    batches = [(x.numpy(), y.numpy()) for x, y in dataset]
    return np.concatenate([x for x, _ in batches]), np.concatenate([y for _, y in batches])


def test_shapes_and_cardinality(data):
    dataset = data.dataset("training", batch_size=8)
    features, labels = next(iter(dataset))
    assert features.shape == (8, 32, 32, 1) and features.dtype == tf.float32
    assert labels.shape == (8,) and labels.dtype == tf.int32
    assert dataset.element_spec[0].shape.as_list() == [None, 32, 32, 1]
    assert len(dataset) == 4 and len(epoch(dataset)[1]) == 30
    dropped = data.dataset("training", batch_size=8, drop_remainder=True, features=False)
    assert len(dropped) == 3 and dropped.element_spec[0].shape.as_list() == [8, 16_000]
    assert len(epoch(dropped)[1]) == 24


def test_evaluation_is_plain_and_in_order(data):
    samples, labels = data.waveforms("validation")
    waveforms, y = epoch(data.dataset("validation", features=False, batch_size=3))
    np.testing.assert_array_equal(waveforms, samples)
    np.testing.assert_array_equal(y, labels)
    features, _ = epoch(data.dataset("validation", batch_size=3))
    np.testing.assert_allclose(features, log_mel_features(samples), atol=1e-3)


def test_training_holds_every_clip_once(data):
    samples, labels = data.waveforms("training")
    waveforms, y = epoch(data.dataset("training", features=False, augment=False, batch_size=7))
    assert np.any(y != labels)

    def rows(x, y):
        return sorted((row.tobytes(), int(label)) for row, label in zip(x, y, strict=True))

    assert rows(waveforms, y) == rows(samples, labels)


@pytest.mark.parametrize("features", [True, False])
def test_same_seed_same_batches_and_epochs_differ(data, features):
    tf.random.set_seed(1)
    first = data.dataset("training", batch_size=8, seed=5, features=features)
    tf.random.set_seed(2)  # has no say
    second = data.dataset("training", batch_size=8, seed=5, features=features)
    other = data.dataset("training", batch_size=8, seed=6, features=features)
    a1, a2, b1, b2, c1 = map(epoch, (first, first, second, second, other))
    np.testing.assert_array_equal(a1[0], b1[0])
    np.testing.assert_array_equal(a1[1], b1[1])
    np.testing.assert_array_equal(a2[0], b2[0])
    assert np.any(a1[0] != a2[0]) and np.any(a1[1] != a2[1])
    assert np.any(a1[0] != c1[0])


def test_augmentation_differs_between_epochs_without_shuffling(data):
    dataset = data.dataset("training", shuffle=False, features=False)
    (x1, y1), (x2, y2) = epoch(dataset), epoch(dataset)
    np.testing.assert_array_equal(y1, y2)
    changed = np.any(x1 != x2, axis=1)
    assert changed.mean() > 0.5


@pytest.mark.parametrize("augment", [True, False])
def test_clips_are_replaced_by_others_in_every_epoch(tree, augment):
    data = SpeechCommands(tree(speakers={"training": 60, "validation": 4}), ("yes", "no"))
    silence = data.labels.index("_silence_")
    kwargs = {"shuffle": False, "features": False, "augment": augment}
    plain = data.dataset("training", **kwargs)
    dataset = data.dataset("training", replacements=[DigitalSilence(silence, 0.5)], **kwargs)
    zero = []
    for _ in range(2):
        (x, y), (before, labels) = epoch(dataset), epoch(plain)
        np.testing.assert_array_equal(y, labels)
        changed = np.any(x != before, axis=1)
        assert 0 < changed.sum() < (y == silence).sum() and (y[changed] == silence).all()
        zero.append(~x.any(axis=1))
        assert np.any(zero[-1] & changed)
    assert np.any(zero[0] != zero[1])


def test_later_epochs(data):
    first = data.dataset("training", batch_size=8)
    later = data.dataset("training", batch_size=8, first_epoch=2)
    third = [epoch(first) for _ in range(3)][2]
    for a, b in zip(third, epoch(later), strict=True):
        np.testing.assert_array_equal(a, b)


def test_own_augmentation(data):
    louder = WaveformAugmentation(
        gain_probability=1.0, gain=(2.0, 2.0), speed_probability=0.0, shift_probability=0.0
    )
    samples, _ = data.waveforms("validation")
    x, _ = epoch(data.dataset("validation", augment=louder, features=False))
    np.testing.assert_array_equal(x, 2 * samples)


@pytest.mark.skipif(not tfio.is_available(), reason="tensorflow-io is not installed")
def test_spectrogram_augmentation(data):
    masks = SpectrogramAugmentation(value=-300.0, probability=1.0)
    kwargs = {"batch_size": 8, "spectrogram_augment": masks}
    x1, _ = epoch(data.dataset("training", **kwargs))
    x2, _ = epoch(data.dataset("training", **kwargs))
    np.testing.assert_array_equal(x1, x2)
    assert (x1 == -300).any(axis=(1, 2, 3)).mean() > 0.8
    with pytest.raises(ValueError, match="features=False"):
        data.dataset("training", features=False, spectrogram_augment=masks)


def test_model_fit(data):
    import keras

    model = keras.Sequential(
        [keras.Input((32, 32, 1)), keras.layers.Flatten(), keras.layers.Dense(data.num_classes)]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, metrics=["accuracy"])
    history = model.fit(
        data.dataset("training", batch_size=8),
        validation_data=data.dataset("validation"),
        epochs=2,
        shuffle=False,  # the dataset shuffles by itself, and Keras warns otherwise
        verbose=0,
    )
    assert len(history.history["val_accuracy"]) == 2


@pytest.mark.parametrize(
    "kwargs, message",
    [
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": 2.5}, "2.5"),
        ({"batch_size": 1000, "drop_remainder": True}, "1000 for 30 clips"),
        ({"augment": "strong"}, "augment='strong'"),
    ],
)
def test_bad_arguments(data, kwargs, message):
    with pytest.raises(ValueError, match=message):
        data.dataset("training", **kwargs)


def test_log_mel_features(data):
    samples, _ = data.waveforms("training", dtype="int16")
    features = log_mel_features(samples, batch_size=4)
    assert features.shape == (30, 32, 32, 1) and features.dtype == np.float32
    np.testing.assert_allclose(features, log_mel_features(samples / 32768.0), atol=1e-3)
    assert (log_mel_features(np.zeros((1, 16_000))) == -100).all()
    assert log_mel_features(np.zeros((0, 16_000))).shape == (0, 32, 32, 1)
    with pytest.raises(ValueError, match="shape \\(16000,\\)"):
        log_mel_features(samples[0])


@pytest.mark.parametrize("subset", ["training", "validation"])
def test_no_epoch_waits_for_a_tuner(data, subset):
    assert data.dataset(subset, batch_size=4).options().autotune.enabled is False
