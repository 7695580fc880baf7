"""tools/evaluate.py --det from outside, with networks that were not trained."""

import csv
import json

import pytest

LABELS = ["_silence_", "_unknown_", "yes", "no"]


def network(labels, switches=(1.0, 0.5)):
    import keras

    from bifsmn_tf.models import BiFSMN

    keras.utils.set_random_seed(0)
    return BiFSMN(len(labels), labels=labels, variant="S", num_blocks=2, switches=switches)


@pytest.fixture(scope="module")
def keras_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("det") / "m.keras"
    network(LABELS).save(path)
    return path


def test_figures_curves_and_picture(keras_file, tones, tool, tmp_path, capsys):
    arguments = ("evaluate", keras_file, tones, "--subset", "validation", "--det")
    out, json_file = tmp_path / "o", tmp_path / "e.json"
    assert tool(*arguments, "--out", out, "--json", json_file) == 0
    text = capsys.readouterr().out
    assert "always the most frequent class" in text  # the accuracy is still told
    # All 8 clips of bed and cat, not only those drawn for the accuracy.
    assert "other words: 8 recordings, each 10 times" in text
    assert "8 keyword clips" in text and "h of noise" in text
    record = json.loads(json_file.read_text())
    assert record["switches"]["1.0"]["n"] == 10
    detected = record["detection"]
    assert detected["keywords"] == ["yes", "no"] and detected["keyword_clips"] == 8
    for switch in ("1.0", "0.5"):
        curve = detected["switches"][switch]
        assert curve["thresholds"] == sorted(set(curve["thresholds"]))
        assert curve["false_reject_rate"] == sorted(curve["false_reject_rate"])
        for rates in curve["false_accepts_per_hour"].values():
            assert rates == sorted(rates, reverse=True) and rates[-1] == 0
        assert set(curve["operating_points"]) == {"noise", "other words"}
    rows = list(csv.DictReader(open(out / "det.csv", encoding="utf-8")))
    assert {row["thin"] for row in rows} == {"1.0", "0.5"}
    assert (out / "det.png").read_bytes().startswith(b"\x89PNG")
    assert {path.name for path in out.iterdir()} == {
        "det.csv", "det.png", *(f"confusion_{s}.{e}" for s in (1.0, 0.5) for e in ("png", "csv"))
    }  # fmt: skip


def test_a_file_agrees_with_its_network(keras_file, tones, tool, tmp_path):
    pytest.importorskip("ai_edge_litert")
    from bifsmn_tf.conversion import convert
    from bifsmn_tf.runtime import ops_library

    try:
        ops_library()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    (tmp_path / "m.tflite").write_bytes(
        convert(network(LABELS), allow_untrained=True, verbose=False)
    )
    found = []
    for file in (keras_file, tmp_path / "m.tflite"):
        json_file = tmp_path / "e.json"
        assert tool("evaluate", file, tones, "--thin", "0.5", "--det", "--json", json_file) == 0
        found.append(json.loads(json_file.read_text())["detection"])
    assert found[0]["backgrounds"] == found[1]["backgrounds"]
    assert [list(f["switches"]) for f in found] == [["0.5"], ["0.5"]]
    points = [f["switches"]["0.5"]["operating_points"]["other words"][0] for f in found]
    assert abs(points[0]["threshold"] - points[1]["threshold"]) < 0.01


@pytest.mark.parametrize("labels", [["yes", "no"], ["_silence_", "yes", "no"]])
def test_words_that_the_network_does_not_know_are_false_accepts(
    labels, tones, tool, tmp_path, capsys
):
    network(labels, (1.0,)).save(tmp_path / "m.keras")
    assert tool("evaluate", tmp_path / "m.keras", tones, "--det") == 0
    assert "other words: 8 recordings" in capsys.readouterr().out


def test_audio_without_keywords_is_needed(tones, tool, tmp_path, capsys):
    root = tmp_path / "words"
    for word in ("yes", "no"):
        (root / word).mkdir(parents=True)
        for clip in (tones / word).iterdir():
            (root / word / clip.name).symlink_to(clip)
    for subset in ("validation", "testing"):
        (root / f"{subset}_list.txt").write_text((tones / f"{subset}_list.txt").read_text())
    network(["yes", "no"], (1.0,)).save(tmp_path / "m.keras")
    out, json_file = tmp_path / "o", tmp_path / "e.json"
    arguments = ("evaluate", tmp_path / "m.keras", root, "--det", "--out", out)
    assert tool(*arguments, "--json", json_file) == 1
    error = capsys.readouterr().err
    assert "audio without keywords" in error and len(error.splitlines()) == 1
    assert not out.exists() and not json_file.exists()
