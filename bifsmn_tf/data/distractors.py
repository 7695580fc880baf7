"""Speech that is no keyword, made of keywords: played backwards, or spliced from two of them."""

from __future__ import annotations

import dataclasses

import numpy as np

from bifsmn_tf.data import audio_files
from bifsmn_tf.data.replacements import Replacement, draw_rows

_FADE = 320  # samples: 20 ms, so that a click does not give a splice away


@dataclasses.dataclass(frozen=True)
class Distractors(Replacement):
    """Replaces some clips of the unknown class, for a class that knows more than a few words.

    Attributes:
        unknown: Index of the unknown class.
        keywords: Indices of the keywords.
        probability: Share of unknown clips that is replaced.
    """

    unknown: int
    keywords: tuple[int, ...]
    probability: float = 0.3

    def make(self, samples, labels, rng):
        sources = np.flatnonzero(np.isin(labels, self.keywords))
        replaced = {}
        for row in draw_rows(labels, self.unknown, self.probability, rng):
            first, second = rng.choice(sources, 2)
            if rng.random() < 0.5 or labels[first] == labels[second]:
                clip = audio_files.to_float(samples[first])[::-1]
            else:
                clip = _splice(*audio_files.to_float(samples[[first, second]]))
            replaced[int(row)] = clip
        return replaced


def _splice(first, second):
    """The first half of one clip and the second half of another, of equal level."""
    power = np.sqrt(np.mean(np.square([first, second]), axis=1) + 1e-9)
    middle = len(first) // 2
    share = np.clip((np.arange(len(first)) - (middle - _FADE / 2)) / _FADE, 0, 1)
    level = np.sqrt(power[0] * power[1])
    spliced = (1 - share) * first * (level / power[0]) + share * second * (level / power[1])
    return np.clip(spliced, -1, 1).astype(np.float32)
