"""When a keyword counts as heard: the rule of evaluation and device alike."""

import dataclasses
import math

import numpy as np

from bifsmn_tf.mel import CLIP_SAMPLES, SAMPLE_RATE


@dataclasses.dataclass(frozen=True)
class Detector:
    """Slides the one-second window over audio and decides when a keyword was heard.

    A keyword is detected when the mean of its probability over the last windows reaches the
    threshold; the same keyword is not detected again during the refractory time. A keyword's
    detections do not hold up another's. Therefore no count of detections grows with the
    threshold.

    Attributes:
        hop: Samples from a window to the next.
        smoothing: Windows that are averaged.
        refractory: Samples from a detection to the next possible one of the same keyword: at
            least as long as one sound stays in the averaged windows.

    Raises:
        ValueError: If one of them is not a positive integer.
    """

    hop: int = SAMPLE_RATE // 10
    smoothing: int = 5
    refractory: int = 3 * SAMPLE_RATE // 2

    def __post_init__(self):
        values = dataclasses.asdict(self)
        if not all(isinstance(value, int) and value > 0 for value in values.values()):
            raise ValueError(f"A detector's numbers should be positive integers. Received: {self}")

    @property
    def span(self):
        """Samples that the averaged windows cover together."""
        return CLIP_SAMPLES + (self.smoothing - 1) * self.hop

    @property
    def pause(self):
        """Decisions from a detection to the next possible one of the same keyword."""
        return -(-self.refractory // self.hop)

    def windows(self, stream):
        """The windows of a stream.

        Args:
            stream: Audio `(samples,)`.

        Returns:
            View `(num_windows, 16000)`; none of a stream shorter than a second.
        """
        if len(stream) < CLIP_SAMPLES:
            return np.empty((0, CLIP_SAMPLES), stream.dtype)
        return np.lib.stride_tricks.sliding_window_view(stream, CLIP_SAMPLES)[:: self.hop]

    def smooth(self, scores):
        """Averages the scores of successive windows.

        Args:
            scores: `(num_windows, num_classes)`.

        Returns:
            float64 array `(num_windows - smoothing + 1, num_classes)`, a row per decision: none
            before as many windows were heard as are averaged.
        """
        scores = np.asarray(scores, np.float64)
        if len(scores) < self.smoothing:
            return np.empty((0, scores.shape[1]))
        return np.lib.stride_tricks.sliding_window_view(scores, self.smoothing, axis=0).mean(-1)

    def decisions_until(self, samples):
        """Number of decisions made once so many samples were heard.

        Args:
            samples: Number of samples, or an array of numbers.

        Returns:
            int array of the same shape.
        """
        return np.maximum((np.asarray(samples) - self.span) // self.hop + 1, 0)

    def count(self, scores, thresholds):
        """Detections of all keywords together.

        Args:
            scores: Smoothed scores `(num_decisions, num_keywords)`.
            thresholds: `(num_thresholds,)`.

        Returns:
            int64 array `(num_thresholds,)`.
        """
        thresholds = np.asarray(thresholds, np.float64)[:, None]
        ready = np.zeros((len(thresholds), scores.shape[1]), np.int64)
        counts = np.zeros(len(thresholds), np.int64)
        lowest = thresholds.min(initial=math.inf)
        for now in np.flatnonzero((scores >= lowest).any(axis=1)):
            detected = (scores[now] >= thresholds) & (now >= ready)
            ready[detected] = now + self.pause
            counts += detected.sum(axis=1)
        return counts
