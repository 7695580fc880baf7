"""Views: determinism, cache, damage, sharing."""

import concurrent.futures
import os
import threading

import numpy as np
import pytest
import tensorflow as tf

from bifsmn_tf.data import (
    FeatureViews,
    RobustAugmentation,
    Robustness,
    feature_views,
    log_mel_features,
)
from bifsmn_tf.data.digital_silence import DigitalSilence
from bifsmn_tf.data.distractors import Distractors
from bifsmn_tf.data.features import front_end

COUNT = 10


class Louder:
    """A cheap augmentation: another gain for every clip."""

    def __init__(self, fingerprint="louder", gain=2.0):
        self.fingerprint = fingerprint
        self.gain = gain

    def __call__(self, waveforms, seed):
        factor = tf.random.stateless_uniform([tf.shape(waveforms)[0], 1], seed, 0.1, self.gain)
        return factor * waveforms


class Forbidden:
    """Shows that nothing is computed."""

    fingerprint = "louder"

    def __call__(self, waveforms, seed):
        raise AssertionError("computed although it is in the cache")


@pytest.fixture(scope="module")
def clips():
    rng = np.random.default_rng(0)
    return rng.integers(-3000, 3000, (COUNT, 16_000)).astype(np.int16), np.arange(COUNT) % 3


@pytest.fixture(scope="module")
def make(clips):
    def make(augment=None, views=3, samples=clips[0], labels=clips[1], **kwargs):
        return FeatureViews(samples, labels, augment or Louder(), front_end(), views, **kwargs)

    return make


@pytest.fixture(scope="module")
def expected(make):
    views = make()
    return [np.array(views[i]) for i in range(3)]


def folders(path):
    return sorted(path.iterdir())


def test_shape_and_length(make, expected):
    views = make()
    assert len(views) == 3 and views.shape == (32, 32, 1)
    assert expected[0].shape == (COUNT, 32, 32, 1) and expected[0].dtype == np.float16


def test_features_are_those_of_augmented_clips(make, clips, expected):
    class Nothing(Louder):
        def __call__(self, waveforms, seed):
            return waveforms

    plain = make(Nothing("nothing"))
    features = log_mel_features(clips[0])
    for view in (0, 2):
        np.testing.assert_allclose(plain[view], features, atol=0.1)  # half precision
    assert np.abs(expected[0] - features).max() > 1


def test_views_differ_and_follow_from_the_seed(make, expected):
    assert np.all(np.any(expected[0] != expected[1], axis=(1, 2, 3)))
    views = make()
    np.testing.assert_array_equal(views[2], expected[2])  # in any order
    np.testing.assert_array_equal(views[0], expected[0])
    np.testing.assert_array_equal(make(views=1)[0], expected[0])  # of any number
    assert np.all(np.any(make(seed=1)[0] != expected[0], axis=(1, 2, 3)))


def test_cache_holds_what_memory_would(make, expected, tmp_path):
    views = make(cache_dir=tmp_path / "deep" / "cache")
    for _ in range(2):
        for i in (1, 0):
            np.testing.assert_array_equal(views[i], expected[i])
    (folder,) = folders(tmp_path / "deep" / "cache")
    files = folders(folder)
    assert len(files) == 2  # what was asked for, and nothing half-written
    for file, i in zip(files, (0, 1)):
        np.testing.assert_array_equal(np.load(file), expected[i])


def test_a_second_object_shares_the_cache(make, expected, tmp_path):
    np.testing.assert_array_equal(make(cache_dir=tmp_path)[1], expected[1])
    other = make(Forbidden(), views=40, cache_dir=tmp_path)
    np.testing.assert_array_equal(other[1], expected[1])
    with pytest.raises(AssertionError, match="although"):
        other[0]


@pytest.mark.parametrize("damage", [
    lambda content: b"", lambda content: b"no array", lambda content: content[:5],
    lambda content: content[:100], lambda content: content[:-10],
])  # fmt: skip
def test_a_damaged_file_is_made_anew(make, expected, tmp_path, damage):
    make(cache_dir=tmp_path)[0]
    (file,) = tmp_path.glob("*/*.npy")
    file.write_bytes(damage(file.read_bytes()))
    np.testing.assert_array_equal(make(cache_dir=tmp_path)[0], expected[0])
    assert list(file.parent.iterdir()) == [file]
    np.testing.assert_array_equal(np.load(file), expected[0])


def test_other_ingredients_get_other_folders(make, clips, tmp_path):
    samples, labels = clips
    changed = samples.copy()
    changed[3, 7] += 1
    distractors = Distractors(0, (1, 2), 0.5)
    for kwargs in (
        {}, {"augment": Louder("quieter")}, {"seed": 1}, {"samples": changed},
        {"labels": labels[::-1]}, {"replacements": [distractors]},
        {"replacements": [Distractors(0, (1, 2), 0.4)]},
        {"replacements": [distractors, DigitalSilence(1)]},
    ):  # fmt: skip
        make(cache_dir=tmp_path, **kwargs)[0]
    views = FeatureViews(samples, labels, Louder(), front_end(40), 3, cache_dir=tmp_path)
    assert views.shape == (40, 32, 1)
    views[0]
    assert len(folders(tmp_path)) == 9


def test_robust_augmentations_get_folders_of_their_own(make, tmp_path):
    for strength in (Robustness(num_responses=2), Robustness(num_responses=2, snr=(0.0, 1.0))):
        for _ in range(2):
            make(RobustAugmentation(None, strength), cache_dir=tmp_path)[0]
    assert len(folders(tmp_path)) == 2


def test_two_objects_may_write_the_same_view_at_once(make, expected, tmp_path, monkeypatch):
    both, replace = threading.Barrier(2, timeout=60), os.replace

    def replace_together(*args):
        both.wait()
        replace(*args)

    monkeypatch.setattr(os, "replace", replace_together)
    objects = [make(cache_dir=tmp_path) for _ in range(2)]
    for views in objects:
        views.prepare(0)
    for views in objects:
        np.testing.assert_array_equal(views[0], expected[0])
    assert len(os.listdir(folders(tmp_path)[0])) == 1


@pytest.mark.parametrize("cached", [False, True])
def test_prepared_views_are_the_same(make, expected, tmp_path, cached):
    views = make(cache_dir=tmp_path if cached else None)
    views.prepare(1)
    views.prepare(1)
    np.testing.assert_array_equal(views[1], expected[1])
    np.testing.assert_array_equal(views[1], expected[1])
    np.testing.assert_array_equal(views[0], expected[0])


def test_a_view_that_several_threads_want_is_made_once(make, expected, monkeypatch):
    views, make_all, calls = make(), feature_views.make_all, []

    def counting(*args):
        calls.append(args)
        return make_all(*args)

    monkeypatch.setattr(feature_views, "make_all", counting)
    together = threading.Barrier(8, timeout=60)

    def want(i):
        together.wait()
        if i % 2:
            views.wait(2)
        return views[2]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for got in pool.map(want, range(8)):
            np.testing.assert_array_equal(got, expected[2])
    assert len(calls) == 1


def test_an_error_in_the_background_is_raised_where_the_view_is_wanted(make):
    views = make(Forbidden())
    views.prepare(0)
    with pytest.raises(AssertionError, match="although"):
        views[0]


@pytest.mark.parametrize("cached", [False, True])
def test_a_view_that_was_waited_for_is_there(make, expected, tmp_path, cached):
    views = make(cache_dir=tmp_path if cached else None)
    for _ in range(2):
        views.wait(1)
        views.close()  # nothing is made any more
        np.testing.assert_array_equal(views[1], expected[1])


def test_an_error_is_raised_where_the_view_is_waited_for(make):
    with pytest.raises(AssertionError, match="although"):
        make(Forbidden()).wait(0)


def test_closing_gives_up_what_is_being_made(make, clips, tmp_path, monkeypatch):
    started, closing = threading.Event(), threading.Event()

    class Endless(Louder):
        def __call__(self, waveforms, seed):
            def wait():
                started.set()
                assert closing.wait(60)

            tf.py_function(wait, [], [])
            return super().__call__(waveforms, seed)

    samples, labels = np.tile(clips[0], (60, 1)), np.tile(clips[1], 60)  # three batches
    views = make(Endless(), samples=samples, labels=labels, cache_dir=tmp_path)
    views.prepare(0)
    views.prepare(1)
    assert started.wait(60)
    shutdown = concurrent.futures.ThreadPoolExecutor.shutdown

    def watched_shutdown(*args, **kwargs):
        closing.set()
        shutdown(*args, **kwargs)

    monkeypatch.setattr(concurrent.futures.ThreadPoolExecutor, "shutdown", watched_shutdown)
    views.close()
    views.close()
    for view in range(3):
        with pytest.raises(concurrent.futures.CancelledError):
            views[view]
    assert not list(tmp_path.glob("*/*"))  # nothing half-written


def test_more_clips_than_one_batch(make, clips):
    samples, labels = np.tile(clips[0], (30, 1)), np.tile(clips[1], 30)
    view = make(samples=samples, labels=labels)[0]
    assert view.shape == (300, 32, 32, 1)
    # Copies of one clip in different batches are augmented differently.
    assert len({row.tobytes() for row in view[::COUNT]}) == 30


def test_distractors_replace_only_the_unknown_class(make, clips):
    class Same(Louder):
        def __call__(self, waveforms, seed):
            return waveforms

    plain = make(Same("same"))[0]
    view = make(Same("same"), replacements=[Distractors(0, (1, 2), 1.0)])[0]
    changed = np.any(np.abs(view.astype(np.float32) - plain) > 0.5, axis=(1, 2, 3))
    np.testing.assert_array_equal(changed, clips[1] == 0)


@pytest.mark.parametrize("view", [-1, 3, 100])
def test_no_such_view(make, view):
    with pytest.raises(IndexError, match=f"3 views. Received: {view}"):
        make()[view]


@pytest.mark.parametrize("views", [0, -1, 2.0, "3"])
def test_bad_number_of_views(make, views):
    with pytest.raises(ValueError, match="`views` must be a positive integer. Received"):
        make(views=views)
