"""Evaluation: closed forms, and models whose answers are known."""

import csv
import math

import numpy as np
import pytest

from bifsmn_tf import evaluation


def test_wilson_interval_closed_form():
    # With p = 1/2 the interval is 1/2 +- z / (2 sqrt(n + z^2)).
    z, n = 1.959963984540054, 100
    half = z / (2 * math.sqrt(n + z * z))
    low, high = evaluation.wilson_interval(50, n)
    assert low == pytest.approx(0.5 - half, abs=1e-12)
    assert high == pytest.approx(0.5 + half, abs=1e-12)


def test_wilson_interval_at_the_ends():
    z2 = 1.959963984540054**2
    assert evaluation.wilson_interval(10, 10) == (pytest.approx(10 / (10 + z2)), 1.0)
    assert evaluation.wilson_interval(0, 10) == (0.0, pytest.approx(z2 / (10 + z2)))
    assert evaluation.wilson_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("correct, count", [(-1, 5), (6, 5)])
def test_wilson_interval_rejects_what_is_no_proportion(correct, count):
    with pytest.raises(ValueError, match="Received"):
        evaluation.wilson_interval(correct, count)


def test_wilson_interval_covers():
    rng = np.random.default_rng(0)
    p, n = 0.9, 200
    ends = [evaluation.wilson_interval(k, n) for k in rng.binomial(n, p, 2000)]
    inside = [low <= p <= high for low, high in ends]
    assert 0.93 < np.mean(inside) < 0.97


def test_confusion_matrix():
    matrix = evaluation.confusion_matrix([0, 0, 1, 2, 2, 2], [0, 1, 1, 2, 0, 2], 3)
    np.testing.assert_array_equal(matrix, [[1, 1, 0], [0, 1, 0], [1, 0, 2]])


def test_confusion_matrix_rejects():
    with pytest.raises(ValueError, match="same length"):
        evaluation.confusion_matrix([0, 1], [0], 2)
    with pytest.raises(ValueError, match="within 0 and 1.*Received: 0 to 2"):
        evaluation.confusion_matrix([0, 1], [0, 2], 2)


def test_switch_result_figures(tmp_path):
    labels = ("_silence_", "_unknown_", "yes", "no")
    matrix = np.array([[5, 0, 0, 0], [1, 3, 1, 0], [0, 0, 8, 2], [0, 4, 0, 6]])
    result = evaluation.SwitchResult(1.0, labels, matrix)
    assert (result.count, result.correct) == (30, 22)
    assert result.accuracy == pytest.approx(22 / 30)
    assert result.keyword_count == 20
    assert result.keyword_accuracy == pytest.approx(14 / 20)
    assert result.interval == evaluation.wilson_interval(22, 30)
    # Ten times the same answers are no more clips.
    tenfold = evaluation.SwitchResult(1.0, labels, 10 * matrix, variants=10)
    assert (tenfold.count, tenfold.accuracy) == (300, result.accuracy)
    assert tenfold.interval == pytest.approx(result.interval)
    result.write_csv(tmp_path / "c.csv")
    rows = list(csv.reader(open(tmp_path / "c.csv", encoding="utf-8")))
    assert rows[0][1:] == list(labels)
    assert [row[0] for row in rows[1:]] == list(labels)
    np.testing.assert_array_equal(np.array([row[1:] for row in rows[1:]], int), matrix)
    assert [p.name for p in tmp_path.iterdir()] == ["c.csv"]


def test_keyword_accuracy_without_keywords():
    result = evaluation.SwitchResult(1.0, ("_silence_", "yes"), np.array([[3, 0], [0, 0]]))
    assert result.keyword_accuracy is None
    assert result.accuracy == 1.0


def test_match_labels():
    order = evaluation.match_labels(["yes", "_silence_", "no"], ["no", "yes", "_silence_"])
    np.testing.assert_array_equal(order, [2, 0, 1])
    with pytest.raises(ValueError, match="up only in the data; no only in the model"):
        evaluation.match_labels(["yes", "no"], ["yes", "up"])
    with pytest.raises(ValueError, match="without labels"):
        evaluation.match_labels(None, ["yes"])


def test_task_of_labels():
    warden = evaluation.task_of(["_silence_", "_unknown_", "yes", "no"])
    assert (warden["task"], warden["protocol"]) == (["yes", "no"], "warden")
    assert warden["unknown_percentage"] is None
    assert evaluation.task_of(["_unknown_", "_silence_", "yes"])["protocol"] == "paper"
    bare = evaluation.task_of(["yes", "no"])
    assert (bare["unknown_percentage"], bare["silence_percentage"]) == (0, 0)
    with pytest.raises(ValueError, match="keyword"):
        evaluation.task_of(["_silence_"])


class _Data:
    """Clips whose first sample is their class."""

    labels = ("_silence_", "_unknown_", "yes", "no")

    def __init__(self, classes):
        self.classes = np.array(classes, np.int32)

    def waveforms(self, subset, dtype):
        samples = np.zeros((len(self.classes), 16000), np.int16)
        samples[:, 0] = self.classes
        return samples, self.classes

    noise = ()

    def baselines(self, subset):
        return {"majority": 0.5, "unknown_and_silence": 0.25}


class _File:
    """A converted model, with labels in another order, that 0.5 mistakes no for yes."""

    labels = ["no", "yes", "_unknown_", "_silence_"]
    switches = (1.0, 0.5)
    input_kind = "audio"
    input_shape = (16000,)

    def scores(self, x, thin):
        index = self.labels.index(_Data.labels[round(x[0] * 32768)])
        if thin == 0.5 and index == 0:
            index = 1
        return np.eye(4, dtype=np.float32)[index]


def test_evaluate_matches_labels_by_name():
    result = evaluation.evaluate(_File(), _Data([0, 1, 2, 2, 3, 3, 3]), "testing")
    full, half = result.switches
    assert (full.thin, full.accuracy, full.keyword_accuracy) == (1.0, 1.0, 1.0)
    assert half.accuracy == pytest.approx(4 / 7)
    assert half.keyword_accuracy == pytest.approx(2 / 5)
    assert half.labels == ("no", "yes", "_unknown_", "_silence_")
    assert half.confusion[0].tolist() == [0, 3, 0, 0]
    plain = result.to_dict()
    assert plain["switches"]["0.5"]["correct"] == 4
    assert plain["baselines"]["majority"] == 0.5
    for part in ("100.00 %", "57.14 %", "40.00 %", "50.00 %", "25.00 %"):
        assert part in str(result)


def test_evaluate_chosen_switches():
    result = evaluation.evaluate(_File(), _Data([2, 3]), thin=(0.5,))
    assert [s.thin for s in result.switches] == [0.5]
    with pytest.raises(ValueError, match="Received: thin=\\(0.3,\\)"):
        evaluation.evaluate(_File(), _Data([2, 3]), thin=(0.3,))


class _Loudness(_File):
    """Knows two classes by their level, which augmentation changes."""

    labels = list(_Data.labels)

    def scores(self, x, thin):
        return np.eye(4, dtype=np.float32)[2 if np.abs(x).max() > 0.2 else 3]


class _Loud(_Data):
    def waveforms(self, subset, dtype):
        samples = np.full((len(self.classes), 16000), 8192, np.int16)  # 0.25
        return samples, self.classes


def test_evaluate_augmented():
    data = _Loud([2] * 20)
    recorded = evaluation.evaluate(_Loudness(), data)
    assert recorded.switches[0].accuracy == 1.0 and not recorded.augmented
    augmented = evaluation.evaluate(_Loudness(), data, augmented=3, seed=1)
    for switch in augmented.switches:
        assert (switch.count, switch.variants) == (60, 3)
        assert 0.1 < switch.accuracy < 0.9  # most levels are lower
    assert "20 clips, 3 augmented variants of each" in str(augmented)
    assert augmented.to_dict()["augmented"] and not recorded.to_dict()["augmented"]
    again = evaluation.evaluate(_Loudness(), data, augmented=3, seed=1)
    assert again.to_dict() == augmented.to_dict()


@pytest.mark.parametrize("augmented", [-1, 0.5, "2"])
def test_evaluate_rejects_what_is_no_number_of_variants(augmented):
    with pytest.raises(ValueError, match="`augmented` should be a whole number"):
        evaluation.evaluate(_Loudness(), _Loud([2]), augmented=augmented)
