"""Silence as a muted microphone gives it: samples of exactly zero."""

from __future__ import annotations

import dataclasses

import numpy as np

from bifsmn_tf.data import audio_files
from bifsmn_tf.data.replacements import Replacement, draw_rows


@dataclasses.dataclass(frozen=True)
class DigitalSilence(Replacement):
    """Replaces some clips of the silence class by zeros.

    Recorded silence is never this quiet: a network that has only heard recordings may take
    zeros for a word. What adds noise later still adds it.

    Attributes:
        silence: Index of the silence class.
        probability: Share of its clips that is replaced.
    """

    silence: int
    probability: float = 0.2

    def make(self, samples, labels, rng):
        rows = draw_rows(labels, self.silence, self.probability, rng)
        zeros = np.zeros(audio_files.CLIP_SAMPLES, np.float32)
        return {int(row): zeros for row in rows}
