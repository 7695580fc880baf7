"""False accepts per hour against false rejects: a classifier as a detector in continuous audio."""

import csv
import dataclasses
import math

import numpy as np

from bifsmn_tf import evaluation
from bifsmn_tf.data import progress, tasks
from bifsmn_tf.files import replacing
from bifsmn_tf.mel import SAMPLE_RATE
from bifsmn_tf.runtime.detector import Detector

NOISE, OTHER_WORDS = "noise", "other words"
# False accepts per hour at which the printed table reads the curve.
RATES = (1.0, 3.0, 10.0)
# Short enough to keep the words, long enough not to click.
_FADE = SAMPLE_RATE // 100
# Largest volume of the background noise between the clips of a stream.
_GAP_VOLUME = 0.1
# Clips of other words are streamed again in another order until there is as much audio.
_MIN_SECONDS, _MAX_ORDERS = 20 * 60, 10
_BATCH_SIZE = 256
_MAX_CANDIDATES = 300


def splice(clips, rng, gap=(0, 0), noise=()):
    """Joins clips to one stream, with short cross-fades.

    Args:
        clips: Sequence of int16 waveforms `(samples,)`, in the order to be joined.
        rng: `numpy.random.Generator`.
        gap: Shortest and longest gap before, between and after the clips, in samples; each
            length is drawn at random. Clips without a gap fade into one another.
        noise: int16 recordings to cut the gaps from, at a random low volume; without any, gaps
            are digital silence.

    Returns:
        The stream, int16 `(samples,)`, and the first sample of each clip in it, int64 `(n,)`.

    Raises:
        ValueError: If there are no clips or the gap is neither zero nor longer than two fades.
    """
    low, high = gap
    if len(clips) == 0 or not (low == high == 0 or 2 * _FADE <= low <= high):
        raise ValueError(
            f"Expected clips, and a gap of zero or of at least {2 * _FADE} samples. "
            f"Received: {len(clips)} clips, gap={gap!r}"
        )
    parts = [_gap(rng, gap, noise)] if high else []
    for clip in clips:
        parts.append(clip)
        if high:
            parts.append(_gap(rng, gap, noise))
    starts = np.cumsum([0] + [len(part) - _FADE for part in parts[:-1]])
    stream = np.zeros(starts[-1] + len(parts[-1]), np.float32)
    rise = (np.arange(_FADE, dtype=np.float32) + 0.5) / _FADE
    for i, (start, part) in enumerate(zip(starts, parts)):
        part = part.astype(np.float32)
        if i > 0:
            part[:_FADE] *= rise
        if i < len(parts) - 1:
            part[-_FADE:] *= rise[::-1]
        stream[start : start + len(part)] += part
    stream = np.clip(np.rint(stream), -32768, 32767).astype(np.int16)
    return stream, starts[1::2] if high else starts


def _gap(rng, gap, noise):
    length = int(rng.integers(gap[0], gap[1] + 1))
    if not noise:
        return np.zeros(length, np.int16)
    recording = noise[int(rng.integers(len(noise)))]
    begin = int(rng.integers(len(recording)))
    cut = recording.take(np.arange(begin, begin + length), mode="wrap")
    return cut * np.float32(_GAP_VOLUME * rng.random())


@dataclasses.dataclass(frozen=True)
class Background:
    """Audio without keywords.

    Attributes:
        name: `NOISE` or `OTHER_WORDS`.
        streams: int16 arrays `(samples,)`.
        clips: Number of different recordings in it.
        orders: How often each recording comes, in another order each time.
    """

    name: str
    streams: tuple
    clips: int
    orders: int = 1

    def hours(self, detector):
        """Hours in which a detector makes decisions."""
        decisions = sum(int(detector.decisions_until(len(s))) for s in self.streams)
        return decisions * detector.hop / SAMPLE_RATE / 3600


def backgrounds(data, subset="testing"):
    """The audio without keywords of a data set: background noise, and streams of other words.

    Args:
        data: `bifsmn_tf.data.SpeechCommands`. Its unknown clips are the other words: to have all
            of them, `unknown_percentage="all"`.
        subset: "testing", "validation" or "training". The noise is the same for all.

    Returns:
        Tuple of one or two `Background`.

    Raises:
        ValueError: If the data has neither.
    """
    noise = _noise(data)
    result = [Background(NOISE, tuple(noise), len(noise))] if noise else []
    labels = list(data.labels)
    if tasks.UNKNOWN in labels:
        samples, classes = data.waveforms(subset, dtype="int16")
        others = samples[classes == labels.index(tasks.UNKNOWN)]
        if len(others):
            orders = math.ceil(_MIN_SECONDS * SAMPLE_RATE / others.size)
            orders = min(orders, _MAX_ORDERS)
            rng = np.random.default_rng([data.seed, 1])
            chosen = np.concatenate([rng.permutation(len(others)) for _ in range(orders)])
            stream, _ = splice([others[i] for i in chosen], rng)
            result.append(Background(OTHER_WORDS, (stream,), len(others), orders))
    if not result:
        raise ValueError(
            "False accepts need audio without keywords: recordings in _background_noise_, or of "
            f"other words than the keywords. Received: neither in {data!r}, {subset}"
        )
    return tuple(result)


def _noise(data):
    return [np.rint(samples * 32768).astype(np.int16) for samples in data.noise]


@dataclasses.dataclass(frozen=True)
class OperatingPoint:
    """A threshold, and what it leads to.

    Attributes:
        threshold: Of the smoothed probability.
        false_accepts: Their number.
        false_accepts_per_hour: Their rate.
        false_reject_rate: Share of the keyword clips that were not detected.
    """

    threshold: float
    false_accepts: int
    false_accepts_per_hour: float
    false_reject_rate: float


@dataclasses.dataclass(frozen=True)
class DetectionCurve:
    """The detection error trade-off of one switch.

    Attributes:
        thin: The switch.
        thresholds: Rising, `(n,)`.
        rejects: Keyword clips that are not detected at each threshold, `(n,)`.
        clips: Number of keyword clips.
        accepts: Number of false accepts at each threshold, `(n,)`, by background.
        hours: Hours of audio, by background.
    """

    thin: float
    thresholds: np.ndarray
    rejects: np.ndarray
    clips: int
    accepts: dict
    hours: dict

    @property
    def false_reject_rate(self):
        """Share of the keyword clips that are not detected, `(n,)`."""
        return self.rejects / self.clips

    def false_accepts_per_hour(self, background):
        """Rate of false accepts in one background, `(n,)`."""
        return self.accepts[background] / self.hours[background]

    def at(self, background, rate):
        """The lowest threshold with no more false accepts than wanted.

        Args:
            background: `NOISE` or `OTHER_WORDS`.
            rate: False accepts per hour.

        Returns:
            An `OperatingPoint`.
        """
        rates = self.false_accepts_per_hour(background)
        # The last threshold is above all scores: there are no false accepts.
        index = int(np.argmax(rates <= rate))
        return OperatingPoint(
            float(self.thresholds[index]),
            int(self.accepts[background][index]),
            float(rates[index]),
            float(self.false_reject_rate[index]),
        )

    def to_dict(self):
        """Plain numbers, for JSON."""
        points = {}
        for background in self.accepts:
            points[background] = []
            for rate in RATES:
                point = self.at(background, rate)
                rejects = round(point.false_reject_rate * self.clips)
                points[background].append(
                    {
                        "at_most_per_hour": rate,
                        **dataclasses.asdict(point),
                        "interval_95": list(evaluation.wilson_interval(rejects, self.clips)),
                    }
                )
        return {
            "thin": self.thin,
            "operating_points": points,
            "thresholds": self.thresholds.tolist(),
            "false_reject_rate": self.false_reject_rate.tolist(),
            "false_accepts_per_hour": {
                name: self.false_accepts_per_hour(name).tolist() for name in self.accepts
            },
        }


@dataclasses.dataclass(frozen=True)
class Detection:
    """False accepts and false rejects of all switches on one subset.

    Attributes:
        subset: Name of the subset.
        keywords: Names of the keywords.
        detector: The `Detector`.
        backgrounds: Tuple of `Background`.
        curves: `DetectionCurve` per switch, the largest first.
    """

    subset: str
    keywords: tuple
    detector: Detector
    backgrounds: tuple
    curves: tuple

    def upper_bound(self, background):
        """False accepts per hour that none at all leaves possible, with 95 % confidence.

        By the rule of three, 3 / hours. Audio that comes again in another order counts once.

        Args:
            background: One of `backgrounds`.
        """
        return 3 * background.orders / background.hours(self.detector)

    def to_dict(self):
        """Plain numbers, for JSON."""
        return {
            "subset": self.subset,
            "keywords": list(self.keywords),
            "keyword_clips": self.curves[0].clips,
            "detector": {
                "hop_seconds": self.detector.hop / SAMPLE_RATE,
                "smoothing_windows": self.detector.smoothing,
                "refractory_seconds": self.detector.refractory / SAMPLE_RATE,
            },
            "backgrounds": {
                b.name: {
                    "hours": b.hours(self.detector),
                    "recordings": b.clips,
                    "orders": b.orders,
                    "upper_bound_95_of_none_per_hour": self.upper_bound(b),
                }
                for b in self.backgrounds
            },
            "switches": {str(curve.thin): curve.to_dict() for curve in self.curves},
        }

    def write_csv(self, path):
        """Writes the curves: a row per switch and threshold.

        Args:
            path: File to write.
        """
        names = [b.name for b in self.backgrounds]
        with replacing(path) as temporary:
            with open(temporary, "w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(
                    ["thin", "threshold", "false_reject_rate"]
                    + [f"false_accepts_per_hour_{name.replace(' ', '_')}" for name in names]
                )
                for curve in self.curves:
                    rates = [curve.false_accepts_per_hour(name).tolist() for name in names]
                    columns = (curve.thresholds.tolist(), curve.false_reject_rate.tolist(), *rates)
                    writer.writerows([curve.thin, *row] for row in zip(*columns))

    def __str__(self):
        detector, sounds = self.detector, self.backgrounds
        hours = {b.name: b.hours(detector) for b in sounds}
        lines = [
            f"{self.subset}: a one-second window every {detector.hop / SAMPLE_RATE:g} s, "
            f"{detector.smoothing} averaged, {detector.refractory / SAMPLE_RATE:g} s from one "
            "detection to the next",
            f"{self.curves[0].clips} keyword clips with pauses; "
            + ", ".join(f"{hours[b.name]:.2f} h of {b.name}" for b in sounds),
            "false rejects at so many false accepts per hour of",
        ]
        width = 10 * len(RATES)
        lines.append((" " * 8 + "".join(f"   {b.name:^{width}}" for b in sounds)).rstrip())
        rates = "   " + "".join(f"{rate:>8g}  " for rate in RATES)
        lines.append((f"{'switch':<8}" + rates * len(sounds)).rstrip())
        for curve in self.curves:
            line = f"{curve.thin!s:<8}"
            for background in sounds:
                points = [curve.at(background.name, rate) for rate in RATES]
                line += "   " + "".join(f"{100 * p.false_reject_rate:>8.1f} %" for p in points)
            lines.append(line)
        for background in sounds:
            one = 1 / hours[background.name]
            orders = f", each {background.orders} times" if background.orders > 1 else ""
            lines.append(
                f"{background.name}: {background.clips} recordings{orders}; one false accept is "
                f"{one:.2g} per hour,\n  none at all means less than "
                f"{self.upper_bound(background):.2g} (95 % confidence)"
            )
        if min(RATES) < max(1 / value for value in hours.values()):
            lines.append("Columns that allow less than one false accept have none.")
        if NOISE in hours:
            lines.append("Training on the same noise recordings flatters the figures for noise.")
        return "\n".join(lines)


def evaluate(model, data, subset="testing", thin=None, detector=None):
    """Measures false accepts and false rejects of all switches on a subset.

    The same detector listens to the audio without keywords, and to a stream of the keyword
    clips, each between pauses long enough to keep the clips apart. A clip is a false reject where
    its keyword is not detected from its beginning to that of the next clip.

    Args:
        model: Keras network or `bifsmn_tf.runtime.TFLiteModel`, with labels.
        data: `bifsmn_tf.data.SpeechCommands` with the model's keywords; see `backgrounds`.
        subset: "testing", "validation" or "training".
        thin: Switches; None for all of the model's.
        detector: A `Detector`; None for the default one.

    Returns:
        A `Detection`.

    Raises:
        ValueError: If model or data have no keywords, not the same ones, or there is no audio
            without keywords long enough for a decision.
    """
    detector = Detector() if detector is None else detector
    if model.labels is None:
        raise ValueError("The model should carry the names of its classes. Received: none")
    words = _keywords(data.labels)
    if not words:
        raise ValueError(f"Labels should include a keyword. Received: {list(data.labels)}")
    evaluation.match_labels(_keywords(model.labels), words)
    columns = np.array([list(model.labels).index(word) for word in words])
    switches = evaluation.check_switches(model, thin)
    without = backgrounds(data, subset)
    short = [b.name for b in without if not b.hours(detector)]
    if short:
        raise ValueError(
            f"A stream should be longer than {detector.span / SAMPLE_RATE:g} s for a decision. "
            f"Received: shorter ones of {' and '.join(short)}"
        )

    samples, classes = data.waveforms(subset, dtype="int16")
    names = np.array(data.labels)[classes]
    chosen = np.flatnonzero(np.isin(names, words))
    rng = np.random.default_rng([data.seed, 0])
    pause = detector.span + 2 * _FADE
    # A hop of variation: clips begin anywhere between two windows.
    stream, starts = splice(
        samples[chosen], rng, (pause, pause + detector.hop - 1), _noise(data)
    )
    columns_of_clips = np.array([words.index(name) for name in names[chosen]])
    ends = np.append(starts[1:], len(stream))
    first, last = detector.decisions_until(starts), detector.decisions_until(ends)

    keyword_scores = _smoothed(model, stream, switches, columns, detector, "Keywords")
    scores = {
        b.name: [
            _smoothed(model, s, switches, columns, detector, b.name)
            for s in b.streams
            if detector.decisions_until(len(s))
        ]
        for b in without
    }
    hours = {b.name: b.hours(detector) for b in without}
    curves = []
    for switch in switches:
        peaks = np.array(
            [
                keyword_scores[switch][begin:end, column].max()
                for begin, end, column in zip(first, last, columns_of_clips)
            ]
        )
        of_switch = {name: [s[switch] for s in streams] for name, streams in scores.items()}
        curves.append(detection_curve(switch, peaks, of_switch, hours, detector))
    return Detection(subset, tuple(words), detector, without, tuple(curves))


def detection_curve(thin, peaks, scores, hours, detector):
    """The curve of one switch, from smoothed scores.

    Args:
        thin: The switch.
        peaks: Highest score of its keyword for each keyword clip, `(num_clips,)`.
        scores: By background, a list of arrays `(num_decisions, num_keywords)`, one per stream.
        hours: By background, hours of audio.
        detector: The `Detector`.

    Returns:
        A `DetectionCurve`. Where either kind of error is rare, it has every step.
    """
    candidates = [_some(np.sort(peaks))]
    pause = detector.pause
    for streams in scores.values():
        # One sound without keywords gives one false accept: its highest score counts.
        events = np.concatenate(
            [np.maximum.reduceat(s, np.arange(0, len(s), pause)).ravel() for s in streams]
        )
        candidates.append(np.nextafter(_some(np.sort(events)[::-1]), math.inf))
    thresholds = np.unique(np.concatenate(candidates))
    return DetectionCurve(
        thin,
        thresholds,
        np.searchsorted(np.sort(peaks), thresholds),
        len(peaks),
        {n: sum(detector.count(s, thresholds) for s in streams) for n, streams in scores.items()},
        hours,
    )


def _some(values):
    """The first of sorted values, and others that lie ever further apart."""
    ranks = np.geomspace(1, len(values), min(len(values), _MAX_CANDIDATES))
    return values[np.unique(ranks.astype(int)) - 1]


def _keywords(labels):
    return [label for label in labels if not label.startswith("_")]


def _smoothed(model, stream, switches, columns, detector, description):
    """Smoothed probabilities `(num_decisions, num_keywords)` of a stream, by switch."""
    windows = detector.windows(stream)
    starts = range(0, len(windows), _BATCH_SIZE)
    scores = {switch: [] for switch in switches}
    for start in progress.track(starts, len(starts), description.capitalize()):
        inputs = evaluation.inputs_of(model, windows[start : start + _BATCH_SIZE])
        for switch in switches:
            values = evaluation.scores_of(model, inputs, switch)
            if not hasattr(model, "input_kind"):
                values = _softmax(values)
            scores[switch].append(values[:, columns])
    return {switch: detector.smooth(np.concatenate(parts)) for switch, parts in scores.items()}


def _softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)
