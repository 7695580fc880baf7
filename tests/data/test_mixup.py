"""Mixup: closed form, bounds, shares, seeds."""

import numpy as np
import pytest
import tensorflow as tf

from bifsmn_tf.data import Mixup

BATCH = 500


def mixed(mixup, features, seed=(1, 2)):
    """Mixed features, and the neighbour's share of every clip, read off its label."""
    labels = np.eye(len(features), dtype=np.float32)
    x, y = mixup(tf.constant(features), tf.constant(labels), seed)
    share = np.array([y.numpy()[i, i - 1] for i in range(len(features))])
    return x.numpy(), y.numpy(), share


@pytest.fixture(scope="module")
def features():
    return np.random.default_rng(0).normal(-50, 20, (BATCH, 4, 3, 1)).astype(np.float32)


def test_closed_form(features):
    x, y, share = mixed(Mixup(), features)
    factor = share[:, None, None, None]
    expected = (1 - factor) * features + factor * np.roll(features, 1, axis=0)
    np.testing.assert_allclose(x, expected, rtol=1e-5)
    eye = np.eye(BATCH)
    expected = (1 - share)[:, None] * eye + share[:, None] * np.roll(eye, 1, axis=0)
    np.testing.assert_allclose(y, expected, atol=1e-6)


def test_labels_stay_shares(features):
    _, y, _ = mixed(Mixup(1.0, 0.5), features)
    np.testing.assert_allclose(y.sum(axis=1), 1, atol=1e-6)
    assert y.min() >= 0
    np.testing.assert_array_equal(np.argmax(y, axis=1), np.arange(BATCH))  # a clip stays itself


@pytest.mark.parametrize("probability, most", [(0.5, 0.4), (0.2, 0.1), (1.0, 0.5)])
def test_probability_and_largest_share(features, probability, most):
    _, _, share = mixed(Mixup(probability, most), features)
    taken = share[share > 0]
    assert abs(len(taken) / BATCH - probability) < 0.08
    assert 0.95 * most < taken.max() <= most + 1e-6 and taken.min() < 0.05 * most
    assert abs(taken.mean() - most / 2) < 0.1 * most


def test_probability_zero_changes_nothing(features):
    x, y, _ = mixed(Mixup(0.0), features)
    np.testing.assert_array_equal(x, features)
    np.testing.assert_array_equal(y, np.eye(BATCH))


def test_seeds(features):
    first, again, other = (mixed(Mixup(), features, s)[0] for s in ((1, 2), (1, 2), (1, 3)))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


@pytest.mark.parametrize(
    "kwargs", [{"probability": -0.1}, {"probability": 1.5}, {"most": 0.0}, {"most": 0.6}]
)
def test_bad_arguments(kwargs):
    with pytest.raises(ValueError, match=f"`{next(iter(kwargs))}` must.*Received"):
        Mixup(**kwargs)
