"""Batches of a recipe: of equal size, from any epoch on, with what the recipe adds."""

import dataclasses
import shutil
import types

import numpy as np
import pytest
from small_trainings import RECIPE, ROBUST

from bifsmn_tf.data import SpeechCommands
from bifsmn_tf.recipes.batches import (
    even_batch_size,
    evenly_spread,
    training_batches,
    validation_batches,
)


@pytest.mark.parametrize(
    "count, size", [(1383, 461), (100, 100), (4445, 635), (1024, 256), (2027, 2027), (4001, 256)]
)
def test_even_batch_size(count, size):
    assert even_batch_size(count) == size


@pytest.mark.parametrize("count, most", [(1, 1), (3, 7), (10, 10), (1383, 512), (10096, 960)])
def test_clips_are_spread_evenly(count, most):
    chosen = evenly_spread(count, most)
    assert len(chosen) == min(count, most)
    assert (chosen[0], chosen[-1]) == (0, count - 1)
    assert np.ptp(np.diff(chosen)) <= 1 if len(chosen) > 1 else count == 1


def test_validation_takes_some_of_every_class(data):
    labels = np.concatenate([y for _, y in validation_batches(data, most=8)])
    assert sorted(set(labels)) == [0, 1, 2, 3] and len(labels) == 8


def test_training_batches_can_start_at_any_epoch(data):
    dataset, steps = training_batches(data, RECIPE, seed=3)
    assert steps == len(list(dataset))
    second = next(iter(dataset))
    late, _ = training_batches(data, RECIPE, seed=3, first_epoch=1)
    for a, b in zip(second, next(iter(late))):
        np.testing.assert_array_equal(a, b)


def test_robust_batches_can_start_at_any_epoch(data):
    dataset, steps = training_batches(data, ROBUST, seed=3)
    epochs = [list(dataset) for _ in range(3)]
    assert steps == len(epochs[0])
    labels = np.concatenate([y for _, y in epochs[0]])
    assert labels.shape == (16 * steps, 4) and labels.max() == 1
    np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-6)
    assert 0.2 < np.mean(labels.max(axis=1) < 1) < 0.6  # mixed with another class
    late, _ = training_batches(data, ROBUST, seed=3, first_epoch=2)
    for a, b in zip(epochs[2], late, strict=True):
        np.testing.assert_array_equal(a[0], b[0])
        np.testing.assert_array_equal(a[1], b[1])
    assert np.any(epochs[0][0][0] != epochs[2][0][0])


def test_released_batches_have_digital_silence(data):
    def of_zeros(share):
        recipe = dataclasses.replace(RECIPE, digital_silence=share)
        dataset, _ = training_batches(data, recipe, seed=3)
        batches = [batch for _ in range(4) for batch in dataset]
        x, y = (np.concatenate(parts) for parts in zip(*batches))
        return y[np.all(x == -100, axis=(1, 2, 3))]

    assert set(of_zeros(1.0)) == {data.labels.index("_silence_")}
    assert not len(of_zeros(0.0))


def test_views_are_shared_by_trainings_of_any_seed(data, tmp_path):
    def sum_of_first_epoch(recipe, seed):
        cached = SpeechCommands(data.root, ["yes", "no"], cache_dir=tmp_path)
        dataset, _ = training_batches(cached, recipe, seed)
        return sum(float(np.sum(x)) for x, _ in dataset)

    plain = dataclasses.replace(ROBUST, masks=0.0, mixup=0.0)
    first, second = (sum_of_first_epoch(recipe, 1) for recipe in (plain, ROBUST))
    sum_of_first_epoch(dataclasses.replace(plain, views=1), 2)
    assert first != second
    assert len(list(tmp_path.glob("**/views-*"))) == 1
    sum_of_first_epoch(dataclasses.replace(plain, distractors=0.0), 1)
    assert len(list(tmp_path.glob("**/views-*"))) == 2


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_spoken_words_are_batches_like_others(data):
    first, again, without = (
        list(training_batches(data, dataclasses.replace(ROBUST, spoken=share), seed=0)[0])
        for share in (0.5, 0.5, 0.0)
    )
    for (x, y), (same, labels), (other, _) in zip(first, again, without, strict=True):
        np.testing.assert_array_equal(x, same)
        np.testing.assert_array_equal(y, labels)
        assert np.isfinite(x).all() and np.any(x != other)


def test_spoken_words_need_the_program_at_once(data, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="espeak-ng`; or train with spoken=0. Received"):
        training_batches(data, dataclasses.replace(ROBUST, spoken=0.5), seed=0)


def test_soft_labels_of_validation(data):
    hard, soft = (validation_batches(data, soft_labels=value) for value in (False, True))
    assert hard.options().autotune.enabled is False  # or every epoch waits for the tuner's thread
    (x, classes), (y, shares) = next(iter(hard)), next(iter(soft))
    np.testing.assert_array_equal(x, y)
    np.testing.assert_array_equal(shares, np.eye(4)[classes])


@pytest.mark.parametrize("network, shape", [
    (None, (32, 32, 1)),
    (types.SimpleNamespace(num_mels=40), (40, 32, 1)),
    (types.SimpleNamespace(num_samples=8192), (8192,)),
])  # fmt: skip
def test_inputs_that_a_network_wants(data, network, shape):
    recipe = dataclasses.replace(RECIPE, batch_size=4)
    dataset, _ = training_batches(data, recipe, seed=0, network=network)
    assert tuple(dataset.element_spec[0].shape[1:]) == shape
    inputs, _ = next(iter(validation_batches(data, network=network)))
    assert tuple(inputs.shape[1:]) == shape
