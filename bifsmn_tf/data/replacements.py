"""What stands in for some clips of a training set before they are augmented."""

from __future__ import annotations

import abc

import numpy as np


class Replacement(abc.ABC):
    """Replaces some clips: see `Distractors`, `SpokenWords`, `DigitalSilence`.

    Its `repr` tells augmented clips in a cache apart.
    """

    @abc.abstractmethod
    def make(self, samples, labels, rng):
        """Draws the replacements of one pass over the clips.

        Args:
            samples: int16 array `(n, 16000)`.
            labels: Integer array `(n,)`.
            rng: Source of randomness.

        Returns:
            `{row: float32 samples (16000,) in [-1, 1)}`.
        """


def make_all(replacements, samples, labels, rng):
    """What several `Replacement`s make; of a clip that two of them replace, the later one's."""
    result = {}
    for replacement in replacements:
        result.update(replacement.make(samples, labels, rng))
    return result


def draw_rows(labels, index, share, rng):
    """Rows of about a share of the clips of one class, in order."""
    candidates = np.flatnonzero(labels == index)
    return candidates[rng.random(len(candidates)) < share]
