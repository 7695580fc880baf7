"""Detection in continuous audio: closed forms, and models whose answers are known."""

import csv
import json
import math

import numpy as np
import pytest

from bifsmn_tf import detection, plots
from bifsmn_tf.detection import NOISE, OTHER_WORDS, Detector

SECOND = 16000


def column(*values):
    return np.array(values, float)[:, None]


def count(scores, thresholds, pause=3):
    """Counts of a detector that waits for `pause` decisions."""
    return Detector(hop=100, smoothing=1, refractory=100 * pause).count(scores, thresholds).tolist()


def test_a_detection_reaches_the_threshold():
    scores = column(0.1, 0.5, 0.2, 0.1, 0.9, 0.1)
    assert count(scores, [0.05, 0.5, 0.500001, 0.9, 0.91]) == [2, 2, 1, 1, 0]


def test_a_long_sound_is_detected_again_after_the_refractory_time():
    assert count(column(*[1.0] * 10), [0.5], pause=3) == [4]  # at 0, 3, 6 and 9
    assert count(column(*[1.0] * 10), [0.5], pause=1) == [10]
    assert count(column(*[1.0] * 10), [0.5], pause=20) == [1]
    # A refractory time within a hop lasts to its end.
    assert Detector(hop=100, smoothing=1, refractory=250).count(
        column(*[1.0] * 10), [0.5]
    ).tolist() == [4]


def test_keywords_do_not_hold_up_each_other():
    both = np.array([[0.9, 0.0], [0.0, 0.8], [0.9, 0.8], [0.0, 0.0]])
    assert count(both, [0.5, 0.85]) == [2, 1]


def test_counts_fall_with_the_threshold():
    rng = np.random.default_rng(0)
    scores = rng.random((400, 3)) ** 3
    counts = np.array(count(scores, np.linspace(0, 1, 200), pause=7))
    assert (np.diff(counts) <= 0).all() and counts[0] == 3 * math.ceil(400 / 7) and counts[-1] == 0


def test_smoothing_waits_until_all_windows_were_heard():
    detector = Detector(smoothing=3)
    np.testing.assert_allclose(detector.smooth(column(0, 3, 6, 0)), column(3, 3))
    assert detector.smooth(column(1, 1)).shape == (0, 1)


def test_windows_and_decisions_agree():
    detector = Detector()
    for samples in (100, SECOND, SECOND + 6399, SECOND + 6400, SECOND + 7999, SECOND + 8000):
        windows = detector.windows(np.arange(samples))
        smoothed = detector.smooth(np.zeros((len(windows), 2)))
        assert len(smoothed) == detector.decisions_until(samples)
    np.testing.assert_array_equal(
        detector.windows(np.arange(20000))[:, 0], np.arange(0, 4001, detector.hop)
    )
    assert detector.decisions_until([0, 22399, 22400, 24000]).tolist() == [0, 0, 1, 2]


@pytest.mark.parametrize("numbers", [{"hop": 0}, {"smoothing": -1}, {"refractory": 0.5}])
def test_detector_rejects(numbers):
    with pytest.raises(ValueError, match="positive integers. Received"):
        Detector(**numbers)


def constant_clips(*levels, samples=4000):
    return [np.full(samples, level, np.int16) for level in levels]


def test_splice_fades_clips_into_one_another():
    rng = np.random.default_rng(0)
    stream, starts = detection.splice(constant_clips(1000, 1000, -500), rng)
    assert starts.tolist() == [0, 3840, 7680] and len(stream) == 11680
    assert stream.dtype == np.int16
    # Where both sides are the same, a cross-fade changes nothing.
    assert (stream[:7680] == 1000).all() and (stream[7840:] == -500).all()
    assert (np.diff(stream[7679:7841].astype(int)) <= 0).all()


def test_splice_with_gaps_puts_clips_where_it_says():
    clips = constant_clips(700, 800, 900)
    stream, starts = detection.splice(clips, np.random.default_rng(0), gap=(1000, 1500))
    for level, start in zip((700, 800, 900), starts):
        assert (stream[start + 160 : start + 3840] == level).all()
        assert not stream[start - 500 : start].any() and not stream[start + 4000 :][:500].any()
    assert np.ptp(np.diff(starts)) > 0


def test_splice_depends_on_the_seed_alone():
    noise = [np.random.default_rng(1).integers(-9000, 9000, 5000).astype(np.int16)]

    def spliced(seed):
        rng = np.random.default_rng(seed)
        return detection.splice(constant_clips(1, 2), rng, gap=(6000, 8000), noise=noise)[0]

    np.testing.assert_array_equal(spliced(0), spliced(0))
    assert spliced(0).shape != spliced(1).shape
    assert 0 < np.abs(spliced(0)[:1000]).max() <= 900  # a tenth of the noise at most


def test_splice_rejects():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="0 clips"):
        detection.splice([], rng)
    with pytest.raises(ValueError, match=r"gap=\(10, 20\)"):
        detection.splice(constant_clips(1), rng, gap=(10, 20))


def test_curve_closed_form():
    detector = Detector(hop=1600, smoothing=1, refractory=1600)
    # False accepts at 0.3, 0.6 and 0.95 in half an hour; four clips.
    scores = {NOISE: [column(0.3, 0.0, 0.6), column(0.95, 0.0)]}
    curve = detection.detection_curve(
        0.5, np.array([0.2, 0.5, 0.7, 0.99]), scores, {NOISE: 0.5}, detector
    )
    assert (np.diff(curve.thresholds) > 0).all()
    assert (np.diff(curve.accepts[NOISE]) <= 0).all() and curve.accepts[NOISE][-1] == 0
    assert (np.diff(curve.rejects) >= 0).all()
    none, one, two = (curve.at(NOISE, rate) for rate in (1.9, 2, 4))
    assert (none.false_accepts, none.false_accepts_per_hour, none.false_reject_rate) == (0, 0, 0.75)
    assert (one.false_accepts, one.false_accepts_per_hour, one.false_reject_rate) == (1, 2.0, 0.5)
    assert (two.false_accepts, two.false_accepts_per_hour, two.false_reject_rate) == (2, 4.0, 0.25)
    assert 0.6 < one.threshold < 0.600001 and 0.95 < none.threshold < 0.950001


def test_saturated_scores_cannot_be_told_apart():
    curve = detection.detection_curve(
        1.0, np.ones(3), {NOISE: [column(1.0)]}, {NOISE: 1.0}, Detector()
    )
    assert curve.at(NOISE, 0.5).false_reject_rate == 1.0
    assert curve.at(NOISE, 1.0).false_reject_rate == 0.0


class _Data:
    """Keywords are constant levels: yes 8192 and no 16384; bed, the other word, is 24576."""

    seed = 0

    def __init__(self, names, labels=("_unknown_", "yes", "no"), noise=()):
        self.labels = labels
        self.names = names
        self.noise = list(noise)

    def waveforms(self, subset, dtype):
        levels = {"yes": 8192, "no": 16384, "_unknown_": 24576}
        samples = np.array([np.full(SECOND, levels[name]) for name in self.names], np.int16)
        return samples, np.array([self.labels.index(name) for name in self.names], np.int32)


class _File:
    """A converted model that tells the word by the level in the middle of the window.

    The half network never says no; every network takes noise at 0.9 for yes.
    """

    labels = ["no", "_unknown_", "yes"]
    switches = (1.0, 0.5)
    input_kind = "audio"
    input_shape = (SECOND,)

    def scores(self, x, thin):
        level = round(4 * float(np.median(x[7000:9000])), 1)
        word = {1.0: "yes", 2.0: "no", 3.0: "_unknown_", 3.6: "yes"}.get(level, "_unknown_")
        if thin == 0.5 and word == "no":
            word = "_unknown_"
        score = 0.8 if level != 3.6 else 0.6
        return np.where(np.array(self.labels) == word, score, (1 - score) / 2).astype(np.float32)


def level(value, seconds):
    return np.full(round(seconds * SECOND), value, np.float32)


def test_evaluate_by_the_same_detector():
    quiet = level(0.0, 5)
    noise = [np.concatenate([quiet, level(0.9, 1), quiet, level(0.9, 1), quiet]), level(0.0, 19)]
    data = _Data(["yes", "no", "no", "_unknown_", "yes", "no"], noise=noise)
    result = detection.evaluate(_File(), data)
    full, half = result.curves
    assert result.keywords == ("yes", "no") and (full.thin, half.thin) == (1.0, 0.5)
    noise_sound, other = result.backgrounds
    assert (noise_sound.name, noise_sound.clips, noise_sound.orders) == (NOISE, 2, 1)
    # 17 and 19 seconds, less the first 1.4 s, in which a stream has one decision.
    hours = (34 - 2 * 1.4 + 2 + 2 * 0.1) / 3600
    assert noise_sound.hours(result.detector) == pytest.approx(hours)
    assert result.upper_bound(noise_sound) == pytest.approx(3 / hours)
    # One clip of another word, ten times.
    assert (other.name, other.clips, other.orders) == (OTHER_WORDS, 1, 10)
    assert result.upper_bound(other) == pytest.approx(30 / other.hours(result.detector))

    assert full.clips == 5
    point = full.at(NOISE, 0)
    assert 0.6 < point.threshold < 0.8 and point.false_reject_rate == 0
    assert half.at(NOISE, 0).false_reject_rate == pytest.approx(3 / 5)
    assert full.at(OTHER_WORDS, 0).false_reject_rate == 0
    below = np.searchsorted(full.thresholds, 0.6) - 1
    assert full.thresholds[below] < 0.6 and full.accepts[NOISE][below] == 2


def test_keyword_clips_do_not_help_each_other():
    # The half network misses every no, whatever stands beside it.
    result = detection.evaluate(_File(), _Data(["yes", "no"] * 8, noise=[level(0.0, 5)]))
    half = result.curves[1]
    assert half.rejects[np.searchsorted(half.thresholds, 0.5)] == 8


def test_words_alone_and_noise_alone():
    (only,) = detection.backgrounds(_Data(["yes", "_unknown_"]))
    assert only.name == OTHER_WORDS and len(only.streams[0]) == 10 * SECOND - 9 * 160
    bare = _Data(["yes", "no"], labels=("yes", "no"), noise=[level(0.1, 2)])
    (only,) = detection.backgrounds(bare)
    assert only.name == NOISE and (only.streams[0] == round(0.1 * 32768)).all()


def test_enough_clips_of_other_words_come_once():
    rng = np.random.default_rng(0)
    clips = rng.integers(-9, 9, (1200, SECOND)).astype(np.int16)

    class Many(_Data):
        def waveforms(self, subset, dtype):
            return clips, np.zeros(len(clips), np.int32)

    (only,) = detection.backgrounds(Many([]))
    assert only.orders == 1 and len(only.streams[0]) == 1200 * SECOND - 1199 * 160


def test_errors():
    with pytest.raises(ValueError, match="audio without keywords.*Received: neither"):
        detection.evaluate(_File(), _Data(["yes", "no"]))
    with pytest.raises(ValueError, match="include a keyword"):
        detection.evaluate(_File(), _Data(["_unknown_"], labels=("_unknown_",)))
    with pytest.raises(ValueError, match="no only in the model"):
        detection.evaluate(_File(), _Data(["yes", "_unknown_"], labels=("_unknown_", "yes")))
    with pytest.raises(ValueError, match="longer than 1.4 s.*shorter ones of noise"):
        detection.evaluate(_File(), _Data(["yes", "no"], noise=[level(0.0, 1.3)]))
    with pytest.raises(ValueError, match="Received: thin"):
        detection.evaluate(_File(), _Data(["yes", "_unknown_"]), thin=(0.3,))
    nameless = _File()
    nameless.labels = None
    with pytest.raises(ValueError, match="names of its classes"):
        detection.evaluate(nameless, _Data(["yes", "_unknown_"]))


@pytest.mark.parametrize("noise", [[], [level(0.0, 4)]])
def test_what_is_written(tmp_path, noise):
    result = detection.evaluate(_File(), _Data(["yes", "no", "_unknown_"], noise=noise))
    text = str(result)
    assert "each 10 times" in text and "95 % confidence" in text
    assert ("hour of" in text) and ("h of noise" in text) == bool(noise)
    assert max(map(len, text.splitlines())) <= 110

    plain = json.loads(json.dumps(result.to_dict()))
    points = plain["switches"]["0.5"]["operating_points"]["other words"]
    assert [p["at_most_per_hour"] for p in points] == [1.0, 3.0, 10.0]
    assert points[0]["false_reject_rate"] == 0.5 and points[0]["interval_95"][1] < 1

    result.write_csv(tmp_path / "det.csv")
    rows = list(csv.DictReader(open(tmp_path / "det.csv", encoding="utf-8")))
    assert len(rows) == sum(len(curve.thresholds) for curve in result.curves)
    half = [row for row in rows if row["thin"] == "0.5"]
    assert [float(row["threshold"]) for row in half] == result.curves[1].thresholds.tolist()
    assert float(half[-1]["false_accepts_per_hour_other_words"]) == 0
    assert ("false_accepts_per_hour_noise" in rows[0]) == bool(noise)

    plots.detection(result, tmp_path / "det.png", "a model")
    assert (tmp_path / "det.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["det.csv", "det.png"]
