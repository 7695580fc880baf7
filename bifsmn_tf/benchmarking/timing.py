"""Wall time of several functions, measured in turn so that a busy machine disturbs all alike."""

import functools
import gc
import time
from typing import NamedTuple

import numpy as np


class Summary(NamedTuple):
    """Distribution of a figure over the repeats.

    Attributes:
        median: Half of the repeats lie below.
        p10: A tenth of the repeats lie below.
        p90: Nine tenths of the repeats lie below.
        best: The smallest.
    """

    median: float
    p10: float
    p90: float
    best: float


def summarize(samples):
    """Distribution of samples.

    Args:
        samples: Array of at least one number.

    Returns:
        A `Summary`.
    """
    p10, median, p90 = np.percentile(samples, (10, 50, 90))
    return Summary(float(median), float(p10), float(p90), float(np.min(samples)))


def ratio(ours, peer):
    """How many times slower the peer is, repeat by repeat.

    Args:
        ours: Samples of one function of `interleave`.
        peer: Samples of another one, from the same call.

    Returns:
        A `Summary` of `peer / ours`.
    """
    return summarize(np.asarray(peer) / np.asarray(ours))


def interleave(functions, repeats=100, sample_seconds=5e-4, progress=None):
    """Measures functions in turn.

    A repeat measures each function once, in an order that rotates; a sample is the mean of as
    many calls in a row as fill `sample_seconds`. What calls share (caches, clock speed, other
    programs) therefore changes for all of them together.

    Args:
        functions: Dictionary from names to functions without arguments.
        repeats: Samples per function.
        sample_seconds: Least duration of a sample.
        progress: Optional function called with the number of finished repeats.

    Returns:
        Dictionary from names to float arrays `(repeats,)`, seconds per call.
    """
    batches = {
        name: functools.partial(seconds, function) for name, function in functions.items()
    }
    return interleave_batches(batches, repeats, sample_seconds, progress)


def interleave_batches(batches, repeats=100, sample_seconds=5e-4, progress=None):
    """Like `interleave`, for functions that time themselves, for example in another process.

    Args:
        batches: Dictionary from names to functions from a number of calls to the seconds that
            they took together.
        repeats: Samples per function.
        sample_seconds: Least duration of a sample.
        progress: Optional function called with the number of finished repeats.

    Returns:
        Dictionary from names to float arrays `(repeats,)`, seconds per call.
    """
    names = list(batches)
    calls = {name: _calls_to_fill(batches[name], sample_seconds) for name in names}
    samples = {name: np.empty(repeats) for name in names}
    collecting = gc.isenabled()
    gc.disable()
    try:
        for repeat in range(repeats):
            first = repeat % len(names) if names else 0
            for name in names[first:] + names[:first]:
                samples[name][repeat] = batches[name](calls[name]) / calls[name]
            if progress is not None:
                progress(repeat + 1)
    finally:
        if collecting:
            gc.enable()
    return samples


def seconds(function, calls):
    """Seconds that a number of calls of a function takes."""
    start = time.perf_counter_ns()
    for _ in range(calls):
        function()
    return (time.perf_counter_ns() - start) * 1e-9


def _calls_to_fill(batch, seconds):
    """Warms up, and finds how many calls take `seconds`."""
    calls = 1
    while batch(calls) < seconds and calls < 1 << 20:
        calls *= 2
    return calls
