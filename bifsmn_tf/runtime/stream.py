"""Keywords in audio that does not end."""

import collections
from typing import NamedTuple

import numpy as np

from bifsmn_tf.mel import CLIP_SAMPLES, SAMPLE_RATE
from bifsmn_tf.runtime.detector import Detector
from bifsmn_tf.runtime.frontend import fix_length


class Heard(NamedTuple):
    """A keyword that was heard.

    Attributes:
        label: The keyword.
        score: Mean of its probability over the last windows.
        seconds: End of the last of these windows, from the beginning of the stream.
    """

    label: str
    score: float
    seconds: float


class KeywordStream:
    """Hears keywords in a stream of audio, with the rule of `Detector`.

    Keywords are the labels that do not begin with an underscore, unlike `_silence_` and
    `_unknown_`. A threshold that goes with a rate of false accepts is read from the `det.csv` of
    `tools/evaluate.py --det --out DIR`, which was measured with the same rule.

    Args:
        spotter: `KeywordSpotter` of a file with labels. Its `thin` may change at any time.
        threshold: Of the averaged probability, above 0 and at most 1.
        detector: `Detector`; None for a window every 0.1 s, five averaged, and 1.5 s from a
            detection to the next one of the same keyword.

    Raises:
        ValueError: If the threshold is not one, or the file has no keyword.

    Example:
        stream = KeywordStream(KeywordSpotter("kws.tflite", thin=0.25))
        while True:
            for label, score, seconds in stream.feed(microphone.read()):
                print(label)
    """

    def __init__(self, spotter, threshold=0.5, detector=None):
        if not 0 < threshold <= 1:
            raise ValueError(
                f"`threshold` should be above 0 and at most 1. Received: threshold={threshold!r}"
            )
        labels = spotter.labels or ()
        self._columns = [i for i, label in enumerate(labels) if not label.startswith("_")]
        if not self._columns:
            raise ValueError(
                f"The spotter should know a keyword by name. Received: labels={spotter.labels}"
            )
        self.spotter = spotter
        self.threshold = threshold
        self.detector = Detector() if detector is None else detector
        self._audio = np.empty(0, np.float32)
        self._begin = 0  # of `_audio`, in samples from the beginning of the stream
        self._scores = collections.deque(maxlen=self.detector.smoothing)
        self._decisions = 0
        self._ready = dict.fromkeys(self._columns, 0)

    def feed(self, audio):
        """Listens on.

        Args:
            audio: The next samples, `(samples,)` at 16 kHz, as many as there are: float in
                [-1, 1) or int16.

        Returns:
            List of `Heard`, in the order of time.

        Raises:
            ValueError: If the audio is not of that kind, or not finite; the stream goes on
                without it.
        """
        if np.ndim(audio) != 1:
            raise ValueError(
                f"`audio` should have shape (samples,). Received: shape {np.shape(audio)}"
            )
        # Checked before it is kept: one bad chunk should not spoil what follows.
        self._audio = np.concatenate([self._audio, fix_length(audio, len(audio))[0]])
        heard = []
        while len(self._audio) >= max(CLIP_SAMPLES, self.detector.hop):
            self._scores.append(self.spotter.predict(self._audio[:CLIP_SAMPLES]).scores)
            if len(self._scores) == self.detector.smoothing:
                heard += self._decide(self._begin + CLIP_SAMPLES)
            self._audio = self._audio[self.detector.hop :]
            self._begin += self.detector.hop
        return heard

    def _decide(self, now):
        means = self.detector.smooth(self._scores)[0]
        found = []
        for column in self._columns:
            if means[column] >= self.threshold and self._decisions >= self._ready[column]:
                self._ready[column] = self._decisions + self.detector.pause
                found.append(
                    Heard(self.spotter.labels[column], float(means[column]), now / SAMPLE_RATE)
                )
        self._decisions += 1
        return found
