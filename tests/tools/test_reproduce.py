"""tools/reproduce.py and tools/summary.py from outside."""

import csv
import json

import pytest


def test_list_shows_the_papers_figures(tool, capsys):
    assert tool("reproduce", "--table", "2", "--rows", "12-*", "--list") == 0
    text = capsys.readouterr().out
    assert "12-bifsmn" in text and "95.03/94.87/94.48" in text and "20-" not in text
    assert tool("reproduce", "--table", "ablation", "--list") == 0
    names = [line.split("  ")[0] for line in capsys.readouterr().out.splitlines()]
    assert {"row", "v2", "v2-bn-soft-official"} <= set(names)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rows", "tba-hed,tba-hex"], "Rows of table 1 should be among dfsmn-fp"),
        ([], "--data DIR is needed"),
        (["--data", ".", "--quick", "--seeds", "3"], "--quick trains one seed"),
    ],
)
def test_wrong_usage(tool, capsys, arguments, message):
    with pytest.raises(SystemExit) as error:
        tool("reproduce", *arguments)
    assert error.value.code == 2
    assert message in capsys.readouterr().err


def test_rows_that_the_folder_cannot_serve(tool, tones, tmp_path, capsys):
    assert tool("reproduce", "--data", tones, "--out", tmp_path) == 1
    message = capsys.readouterr().err
    assert "rows of 12 classes (dfsmn-fp, " in message and "--task" in message
    assert tool("reproduce", "--table", "2", "--data", tones, "--out", tmp_path, "--task", "yes",
                "--rows", "20-fp") == 1  # fmt: skip
    assert "--task with 20-fp" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_recipe_from_a_file(tool, tones, tmp_path, capsys):
    file = tmp_path / "mine.json"
    # A batch of more clips than there are: one step an epoch.
    file.write_text(json.dumps({"teacher": {"spoken": 0, "views": 1, "batch_size": 5000}}))
    arguments = (
        "reproduce", "--table", "3", "--data", tones, "--task", "yes,no", "--protocol", "warden",
        "--rows", "bifsmn-s-fp", "--epochs", "1", "--no-jit", "--quick", "--out", tmp_path / "out",
    )  # fmt: skip
    assert tool(*arguments, "--recipe", file) == 0
    assert "Recipe mine.json: " in capsys.readouterr().out
    (record,) = (json.loads(path.read_text()) for path in tmp_path.glob("out/runs/*/run.json"))
    recipe = record["configuration"]["recipe"]
    assert (recipe["views"], recipe["batch_size"], recipe["distractors"]) == (1, 5000, 0.3)
    file.write_text("{}]")
    assert tool(*arguments, "--recipe", file) == 1
    assert "mine.json is no file of recipes" in capsys.readouterr().err


def test_a_tiny_trial_end_to_end(tool, tones, tmp_path, capsys):
    arguments = (
        "reproduce", "--table", "3", "--data", tones, "--task", "yes,no", "--protocol", "warden",
        "--rows", "bifsmn-s-fp,bifsmn-s-hed", "--epochs", "1", "--no-jit", "--quick",
        "--out", tmp_path,
    )  # fmt: skip
    assert tool(*arguments) == 0
    first = capsys.readouterr().out
    lines = [line for line in first.splitlines() if line.startswith("[")]
    assert len(lines) == 2 and lines[0].startswith("[1/2] bifsmn-s-fp, seed 0: ")
    assert lines[1].count("%") == 3 and "(0.25)" in lines[1]
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"runs", *(f"table3_quick.{kind}" for kind in ("md", "csv", "png", "json"))}
    markdown = (tmp_path / "table3_quick.md").read_text()
    assert markdown in first and "QUICK TRIAL: few clips, 1 epoch" in markdown
    assert "| 95.03" not in markdown and "90.65" in markdown
    with open(tmp_path / "table3_quick.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["switch"] for row in rows] == ["1.0", "1.0", "0.5", "0.25"]
    assert [row["quick"] for row in rows] == ["yes"] * 4
    record = json.loads((tmp_path / "table3_quick.json").read_text())
    assert record["quick"] and record["lines"][1]["accuracies"]["0"] == pytest.approx(
        float(rows[1]["seed_0"]) / 100, abs=1e-5
    )

    assert tool(*arguments) == 0
    again = [line for line in capsys.readouterr().out.splitlines() if line.startswith("[")]
    assert all(line.endswith("(stored)") for line in again)


def test_a_given_teacher_serves_all_seeds(tool, tones, tmp_path, capsys):
    common = (
        "reproduce", "--table", "3", "--data", tones, "--task", "yes,no", "--protocol", "warden",
        "--unknown", "all", "--epochs", "1", "--no-jit", "--subset", "validation",
    )  # fmt: skip
    assert tool(*common, "--rows", "bifsmn-s-fp", "--out", tmp_path / "float") == 0
    (teacher,) = (tmp_path / "float").glob("runs/*/teacher.keras")
    capsys.readouterr()
    given = (*common, "--teacher", teacher, "--out", tmp_path / "given")
    assert tool(*given, "--seeds", "2", "--rows", "bifsmn-s-fp,bifsmn-s-hed") == 0
    text = capsys.readouterr().out
    lines = [line for line in text.splitlines() if line.startswith("[")]
    assert [line.split(":")[0] for line in lines] == [
        "[1/2] bifsmn-s-hed, seed 0", "[2/2] bifsmn-s-hed, seed 1",
    ]  # fmt: skip
    assert "Left out with --teacher: bifsmn-s-fp." in text
    assert "weights of one float network, teacher.keras (SHA-256" in text
    assert len(list((tmp_path / "given").glob("runs/*/run.json"))) == 2
    assert not list((tmp_path / "given").glob("runs/*/teacher.keras"))

    for rows, message in (
        ("bifsmn-hed,bifsmn-s-hed", "unlike bifsmn-hed"), ("bifsmn-s-fp", "other rows"),
    ):  # fmt: skip
        assert tool(*given, "--rows", rows) == 1
        assert message in capsys.readouterr().err
    student = next((tmp_path / "given").glob("runs/*/student.keras"))
    arguments = (*common, "--teacher", student, "--out", tmp_path / "none")
    assert tool(*arguments, "--rows", "bifsmn-s-hed") == 1
    assert "unlike bifsmn-s-hed" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_a_compiled_training_has_a_process_of_its_own(tool, tones, tmp_path, capfd, monkeypatch):
    command = (
        "reproduce", "--table", "3", "--data", tones, "--task", "yes,no", "--protocol", "warden",
        "--rows", "bifsmn-s-fp", "--epochs", "1", "--quick", "--out", tmp_path,
    )  # fmt: skip
    # What this process has compiled so far stays; the child's does not come here.
    monkeypatch.setattr(
        "bifsmn_tf.recipes.running.training_batches", lambda *args: pytest.fail("trained here")
    )
    assert tool(*command) == 0
    text = capfd.readouterr().out
    assert text.count("[1/1] bifsmn-s-fp, seed 0: ") == 1
    (record,) = tmp_path.glob("runs/*/run.json")
    assert json.loads(record.read_text())["best_epoch"] == 1
    record.unlink()
    damaged = record.with_name("state") / "teacher.npz"
    damaged.write_bytes(b"no state")
    assert tool(*command) == 1
    assert "training of bifsmn-s-fp, seed 0 failed" in capfd.readouterr().err


@pytest.mark.parametrize("network", ["bifsmn", "fsmn"])
def test_summary_of_a_file(tool, tmp_path, capsys, network):
    from bifsmn_tf import models

    model = models.small(5) if network == "bifsmn" else models.get("fsmn", 5, num_blocks=2)
    model.save(tmp_path / "s.keras")
    assert tool("summary", tmp_path / "s.keras", "--json", tmp_path / "s.json") == 0
    text = capsys.readouterr().out
    assert ("block8/projection" if network == "bifsmn" else "memory2") in text
    assert "million FLOPs" in text
    record = json.loads((tmp_path / "s.json").read_text())
    assert set(record["switches"]) == {str(switch) for switch in model.switches}
    for figures in record["switches"].values():
        assert 0 < figures["paper_flops"] <= record["switches"]["1.0"]["paper_flops"]
    assert tool("summary", tmp_path / "none.keras") == 1


def test_summary_of_what_the_bits_say(tool, tones, tmp_path, capsys):
    from bifsmn_tf import models

    labels = ["_silence_", "_unknown_", "yes", "no"]
    model, report = tmp_path / "s.keras", tmp_path / "s.json"
    models.small(4, labels=labels, num_blocks=2, switches=(1.0, 0.5)).save(model)
    assert tool("summary", model, "--data", tones, "--json", report) == 0
    text = capsys.readouterr().out
    assert "of at most 1:" in text and "mean" in text
    rows = json.loads(report.read_text())["information"]
    assert {row["path"] for row in rows if row["switch"] == 0.5} == {
        "conv2", "fc1", "block2/memory", "block2/hidden", "block2/projection"
    }  # fmt: skip
    assert all(0 <= row["entropy"] <= row["bits"] == 1 for row in rows)
    assert tool("summary", model, "--data", tmp_path / "none") == 1
    models.small(4).save(model)
    assert tool("summary", model, "--data", tones) == 1
    assert "carries no labels" in capsys.readouterr().err
