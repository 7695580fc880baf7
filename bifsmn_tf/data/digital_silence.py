"""Silence as a muted microphone gives it: samples of exactly zero."""

from __future__ import annotations

import dataclasses

import numpy as np

from bifsmn_tf.data import audio_files


@dataclasses.dataclass(frozen=True)
class DigitalSilence:
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
        """Draws the replacements of one pass over the clips.

        Args:
            samples: int16 array `(n, 16000)`.
            labels: Integer array `(n,)`.
            rng: Source of randomness.

        Returns:
            `{row: float32 zeros (16000,)}`.
        """
        candidates = np.flatnonzero(labels == self.silence)
        rows = candidates[rng.random(len(candidates)) < self.probability]
        zeros = np.zeros(audio_files.CLIP_SAMPLES, np.float32)
        return {int(row): zeros for row in rows}
