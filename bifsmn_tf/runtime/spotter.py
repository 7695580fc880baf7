"""The keyword spotter: audio in, word out."""

from typing import NamedTuple

import numpy as np

from bifsmn_tf.runtime.frontend import fix_length, log_mel
from bifsmn_tf.runtime.interpreter import TFLiteModel


class Prediction(NamedTuple):
    """What was heard.

    Attributes:
        label: Name of the class, or its number if the file holds no names.
        score: Its probability.
        scores: Probabilities of all classes, float32 `(num_classes,)`.
    """

    label: str
    score: float
    scores: np.ndarray


class KeywordSpotter:
    """Recognizes a keyword in one second of audio.

    Args:
        model: Path or bytes of a converted `.tflite`, with `features` or `audio` as its input.
        thin: The switch: 1.0 is the most accurate, smaller ones need less power. Can be changed
            at any time through the attribute.
        num_threads: Threads for the interpreter's builtin operators.

    Example:
        spotter = KeywordSpotter("kws.tflite", thin=0.5)
        label, score, _ = spotter.predict(audio)
        spotter.thin = 0.25
    """

    def __init__(self, model, thin=None, num_threads=1):
        self._model = TFLiteModel(model, num_threads=num_threads)
        self.thin = self.switches[0] if thin is None else thin

    @property
    def labels(self):
        """Names of the classes, or None if the file holds none."""
        return self._model.labels

    @property
    def switches(self):
        """Switches in the file, largest first."""
        return self._model.switches

    @property
    def thin(self):
        """The switch in use."""
        return self._thin

    @thin.setter
    def thin(self, value):
        if value not in self.switches:
            raise ValueError(
                f"`thin` should be one of the file's switches {self.switches}. "
                f"Received: thin={value!r}"
            )
        self._thin = value

    def predict(self, audio):
        """Recognizes one clip.

        Args:
            audio: `(samples,)` at 16 kHz, float in [-1, 1) or int16; the first second is used,
                shorter clips are padded with zeros.

        Returns:
            A `Prediction`.
        """
        if np.ndim(audio) != 1:
            raise ValueError(
                f"`audio` should have shape (samples,). Received: shape {np.shape(audio)}"
            )
        clip = fix_length(audio)
        if self._model.input_kind == "features":
            x = log_mel(clip, self._model.input_shape[0])[0]
        else:
            x = clip[0]
        scores = self._model.scores(x, thin=self._thin)
        best = int(np.argmax(scores))
        label = str(best) if self.labels is None else self.labels[best]
        return Prediction(label, float(scores[best]), scores)
