"""Batches of views: epochs, order, labels, masks and mixing."""

import numpy as np
import pytest
import tensorflow as tf

from bifsmn_tf.data import Mixup, SpectrogramAugmentation, tfio
from bifsmn_tf.data.pipeline import view_batches

COUNT, CLASSES = 22, 3
LABELS = np.arange(COUNT) % CLASSES


class Views:
    """Features that tell view and clip: 100 view + row, exact in half precision."""

    shape = (4, 5, 1)

    def __init__(self, count=3):
        self.count = count
        self.asked, self.prepared = [], []

    def __len__(self):
        return self.count

    def __getitem__(self, view):
        self.asked.append(view)
        rows = 100 * view + np.arange(COUNT, dtype=np.float16)
        return np.tile(rows[:, None, None, None], (1, *self.shape))

    def of_epoch(self, epoch):
        return epoch % len(self)

    def prepare(self, view):
        self.prepared.append(view)


def make(views=None, **kwargs):
    return view_batches(views or Views(), LABELS, CLASSES, **{"batch_size": 5, **kwargs})


def epoch(dataset):
    batches = [(x.numpy(), y.numpy()) for x, y in dataset]
    return np.concatenate([x for x, _ in batches]), np.concatenate([y for _, y in batches])


def clips(features):
    """View and row of every clip."""
    assert (features == features[:, :1, :1]).all()
    return np.divmod(features[:, 0, 0, 0].astype(int), 100)


def test_shapes():
    dataset = make()
    x, y = dataset.element_spec
    assert (x.shape, x.dtype) == ((5, 4, 5, 1), tf.float32)
    assert (y.shape, y.dtype) == ((5, CLASSES), tf.float32)
    assert len(dataset) == 4 and len(epoch(dataset)[0]) == 20  # two clips are left out


def test_a_later_epoch_asks_for_its_view_only():
    first, views = make(Views()), Views()
    epochs = [epoch(first) for _ in range(3)]
    later = epoch(make(views, first_epoch=2))
    assert views.asked == [2]
    for a, b in zip(epochs[2], later, strict=True):
        np.testing.assert_array_equal(a, b)


def test_no_epoch_waits_for_a_tuner():
    assert make().options().autotune.enabled is False


def test_epochs_go_through_the_views_again_and_again():
    views = Views()
    dataset = make(views)
    left_out = set()
    for number in range(5):
        features, labels = epoch(dataset)
        view, rows = clips(features)
        assert set(view) == {number % 3}
        assert len(set(rows)) == 20
        np.testing.assert_array_equal(labels, np.eye(CLASSES)[LABELS[rows]])
        left_out |= set(range(COUNT)) - set(rows)
    assert views.asked == [0, 1, 2, 0, 1] and views.prepared == [1, 2, 0, 1, 2]
    assert len(left_out) > 2  # not the same ones every time


def test_order_follows_from_seed_and_epoch():
    first, again, other = make(seed=5), make(seed=5), make(seed=6)
    orders = [[tuple(clips(epoch(d)[0])[1]) for _ in range(4)] for d in (first, again, other)]
    assert orders[0] == orders[1]
    assert len(set(orders[0])) == 4  # also where a view comes back
    assert not set(orders[0]) & set(orders[2])


def test_an_iteration_that_was_only_begun_counts_as_an_epoch():
    whole, late = make(mixup=Mixup(1.0)), make(mixup=Mixup(1.0))
    for _ in range(2):
        epoch(whole)
        next(iter(late))
    for a, b in zip(epoch(whole), epoch(late)):
        np.testing.assert_array_equal(a, b)


def test_mixing():
    features, labels = epoch(make(mixup=Mixup(1.0, 0.5)))
    np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-6)
    # The same share mixes features and labels: a clip's neighbour in the batch is the one before.
    _, rows = clips(epoch(make())[0])
    before = np.roll(rows.reshape(4, 5), 1, axis=1).ravel()
    share = (features[:, 0, 0, 0] - rows) / (before - rows)
    assert share.min() >= 0 and share.max() <= 0.5 and len(set(share)) == 20
    eye = np.eye(CLASSES)
    expected = (1 - share)[:, None] * eye[LABELS[rows]] + share[:, None] * eye[LABELS[before]]
    np.testing.assert_allclose(labels, expected, atol=1e-5)


def test_mixing_and_masks_differ_between_batches_and_epochs():
    seeds = []

    def masks(features, seed):
        noise = tf.random.stateless_uniform(tf.shape(features), seed)
        return features + tf.reshape(noise[0, 0, 0, 0], (1, 1, 1, 1))

    dataset = make(spectrogram_augment=masks)
    for _ in range(2):
        for features, _ in dataset:
            seeds.append(float(features[0, 0, 0, 0] % 1))
    assert len(np.unique(np.round(seeds, 4))) == 8
    again = make(spectrogram_augment=masks)
    assert seeds[0] == float(next(iter(again))[0][0, 0, 0, 0] % 1)


@pytest.mark.skipif(not tfio.is_available(), reason="tensorflow-io is not installed")
def test_masks_come_before_mixing():
    masks = SpectrogramAugmentation(2, 2, 1.0, value=-500.0, shape=(4, 5))
    features, _ = epoch(make(spectrogram_augment=masks))
    assert set(np.unique(features[features < 0])) == {-500.0}
    features, _ = epoch(make(spectrogram_augment=masks, mixup=Mixup(1.0)))
    values = np.unique(features[features < 0])
    assert len(values) > 10 and values.min() > -500.1  # masked values are mixed


@pytest.mark.parametrize("batch_size", [0, 23])
def test_bad_batch_size(batch_size):
    with pytest.raises(ValueError, match=f"Received: batch_size={batch_size} for 22 clips"):
        make(batch_size=batch_size)
