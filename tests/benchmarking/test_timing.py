"""Interleaved repeats and their statistics."""

import collections
import gc

import numpy as np
import pytest

from bifsmn_tf.benchmarking import timing


def test_summary_and_ratio():
    summary = timing.summarize(np.arange(1, 102))
    assert summary == timing.Summary(median=51, p10=11, p90=91, best=1)
    # Repeat by repeat: a slow machine slows both.
    ours = np.array([1.0, 10.0, 100.0])
    assert timing.ratio(ours, 3 * ours) == timing.Summary(3, 3, 3, 3)


def test_batches_take_turns_in_rotating_order():
    order = []

    def batch(name, seconds):
        def run(calls):
            order.append(name)
            return calls * seconds

        return run

    batches = {"a": batch("a", 1e-3), "b": batch("b", 2e-4), "c": batch("c", 1e-5)}
    samples = timing.interleave_batches(batches, repeats=6, sample_seconds=5e-4)
    measured = order[-18:]
    for start in range(0, 18, 3):
        assert sorted(measured[start : start + 3]) == ["a", "b", "c"]
    assert collections.Counter(measured[::3]) == {"a": 2, "b": 2, "c": 2}
    for name, seconds in (("a", 1e-3), ("b", 2e-4), ("c", 1e-5)):
        assert samples[name].shape == (6,)
        np.testing.assert_allclose(samples[name], seconds)


def test_a_sample_is_long_enough_and_a_mean_per_call():
    calls = []

    def batch(count):
        calls.append(count)
        return count * 1e-6

    timing.interleave_batches({"quick": batch}, repeats=2, sample_seconds=1e-3)
    assert calls[-1] * 1e-6 >= 1e-3
    assert calls[-1] * 1e-6 <= 2.1e-3


def test_functions_are_called_and_garbage_collection_comes_back():
    done, progress = [], []
    samples = timing.interleave(
        {"f": lambda: done.append(1)}, repeats=3, sample_seconds=1e-5, progress=progress.append
    )
    assert len(done) >= 3 and (samples["f"] > 0).all()
    assert progress == [1, 2, 3]
    assert gc.isenabled()


def test_garbage_collection_comes_back_after_a_failure():
    def fail():
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        timing.interleave({"f": fail}, repeats=1)
    assert gc.isenabled()
