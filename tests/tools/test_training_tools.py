"""The tools from outside: files, exit codes, messages."""

import csv
import json
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest

from bifsmn_tf import models


@pytest.fixture(scope="module")
def run_folder(tones, tools_dir, tmp_path_factory):
    """What one training from the command line wrote."""
    out = tmp_path_factory.mktemp("run")
    command = [
        sys.executable, str(tools_dir / "train.py"), str(tones), str(out), "--task", "yes,no",
        "--variant", "S", "--thin", "1.0,0.25", "--teacher-epochs", "2", "--epochs", "1",
        "--batch-size", "32", "--no-jit", "--json", str(out / "figures.json"),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return out, done.stdout


def test_train_writes_models_curves_and_record(run_folder):
    out, text = run_folder
    names = {path.name for path in out.iterdir()}
    assert names == {
        "teacher.keras", "teacher_last.keras", "teacher_history.csv", "teacher_curves.png",
        "student.keras", "student_last.keras", "student_history.csv", "student_curves.png",
        "run.json", "figures.json", "logs", "state",
    }  # fmt: skip
    assert (out / "student_curves.png").read_bytes().startswith(b"\x89PNG")
    record = json.loads((out / "run.json").read_text())
    assert record == json.loads((out / "figures.json").read_text())
    assert record["finished"] and record["labels"] == ["_silence_", "_unknown_", "yes", "no"]
    assert record["teacher"]["epochs"] == 2
    assert set(record["student"]["validation_accuracy"]) == {"1.0", "0.25"}
    assert "keras" in record["versions"] and record["arguments"]["epochs"] == 1
    lines = [line for line in text.splitlines() if line.startswith(("teacher ", "student "))]
    assert len(lines) == 3 and "1/2" in lines[0] and "0.25:" in lines[2]


def test_train_again_is_a_quick_no_op(run_folder, tones, tool, capsys):
    out, _ = run_folder
    before = (out / "student.keras").stat().st_mtime_ns
    arguments = (
        tones, out, "--task", "yes,no", "--variant", "S", "--thin", "1.0,0.25",
        "--teacher-epochs", "2", "--batch-size", "32", "--no-jit",
    )  # fmt: skip
    assert tool("train", *arguments, "--epochs", "1") == 0
    assert (out / "student.keras").stat().st_mtime_ns == before
    record = (out / "run.json").read_text()
    assert tool("train", *arguments, "--epochs", "2") == 1
    assert "epochs: 1 then, 2 now" in capsys.readouterr().err
    # What was refused is not on record.
    assert (out / "run.json").read_text() == record and json.loads(record)["finished"]


def test_train_and_evaluate_the_second_version(run_folder, tones, tool, tmp_path, capsys):
    teacher, _ = run_folder
    arguments = (
        "train", tones, tmp_path, "--task", "yes,no", "--variant", "S", "--thin", "1.0,0.25",
        "--model", "bifsmnv2", "--teacher", teacher / "teacher.keras", "--epochs", "1",
        "--batch-size", "32", "--no-jit",
    )  # fmt: skip
    assert tool(*arguments) == 0
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["arguments"]["distillation"] == "fid" and record["arguments"]["logits"] == "soft"
    assert tool(*arguments, "--binarizer", "vanilla") == 1
    assert "binarizer: lsq then, vanilla now" in capsys.readouterr().err
    assert tool(*arguments, "--distillation", "hed") == 1
    assert "distillation: fid then, hed now" in capsys.readouterr().err
    assert tool(*arguments, "--freeze-signs") == 1
    assert "freeze_signs: False then, True now" in capsys.readouterr().err
    other = tmp_path / "other.keras"
    shutil.copy(teacher / "teacher_last.keras", other)
    network = keras.saving.load_model(other, compile=False)
    network.set_weights([weight / 2 for weight in network.get_weights()])
    network.save(other)
    assert tool(*arguments, "--teacher", other) == 1
    assert "other settings" in (message := capsys.readouterr().err) and "teacher: " in message
    assert tool(*arguments, "--binarizer", "hope") == 1
    assert "`binarizer` should be one of" in capsys.readouterr().err
    assert tool("evaluate", tmp_path / "student.keras", tones) == 0
    assert "0.25" in capsys.readouterr().out


def test_several_teachers(run_folder, tones, tool, tmp_path, capsys):
    first, second = (run_folder[0] / f"teacher{end}.keras" for end in ("", "_last"))
    arguments = (
        "train", tones, tmp_path, "--task", "yes,no", "--variant", "S", "--thin", "1.0",
        "--epochs", "1", "--batch-size", "32", "--no-jit", "--teacher", first,
    )  # fmt: skip
    assert tool(*arguments, "--teacher", second) == 0
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["arguments"]["teacher"] == [str(first), str(second)]
    capsys.readouterr()
    # One of them alone is another training.
    assert tool(*arguments) == 1
    assert "other settings" in (message := capsys.readouterr().err) and "teacher: " in message
    assert tool(*arguments, "--teacher", tmp_path / "missing.keras") == 1
    assert "missing.keras" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        tool(*arguments, "--teacher", second, "--logits", "none")
    assert "several --teacher files teach by their logits" in capsys.readouterr().err


def test_all_teachers_teach(run_folder, tones, tool, tmp_path, monkeypatch):
    first, second = (run_folder[0] / f"teacher{end}.keras" for end in ("", "_last"))
    taught = []

    def train_student(data, teacher, model, **kwargs):
        taught.extend(teacher.members)
        raise ValueError("seen")

    monkeypatch.setattr("bifsmn_tf.recipes.train_student", train_student)
    assert tool(
        "train", tones, tmp_path, "--task", "yes,no", "--variant", "S", "--teacher", first,
        "--teacher", second,
    ) == 1  # fmt: skip
    for network, file in zip(taught, (first, second), strict=True):
        weights = keras.saving.load_model(file, compile=False).get_weights()
        for ours, theirs in zip(network.get_weights(), weights, strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("option", ["--labels", "--sizes", "--one-bit", "--freeze"])
def test_a_restart_that_is_refused_forgets_nothing(
    run_folder, tones, tool, tmp_path, option, capsys
):
    out, other = tmp_path / "out", tmp_path / "other.keras"
    shutil.copytree(run_folder[0], out)
    files = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    teacher, extra = run_folder[0] / "teacher.keras", ()
    if option == "--labels":
        models.DFSMN(4, variant="S", labels=list("abcd")).save(other)
        teacher, message = other, "same labels"
    elif option == "--sizes":
        labels = keras.saving.load_model(teacher, compile=False).labels
        models.DFSMN(4, labels=labels).save(other)
        teacher, message = other, "same"
    elif option == "--one-bit":
        teacher = run_folder[0] / "student.keras"
        message = "--teacher should be a float network. Received: "
    else:
        extra = ("--freeze-signs", "--binarizer", "dorefa")
        message = "no gradient for large"
    assert tool(
        "train", tones, out, "--task", "yes,no", "--variant", "S", "--thin", "1.0,0.25",
        "--restart", "--teacher", teacher, *extra,
    ) == 1  # fmt: skip
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == files


def test_a_start_with_other_switches_is_refused(run_folder, tones, tool, tmp_path, capsys):
    # Of the same shapes: the second switch's statistics would be those of another.
    assert tool(
        "train", tones, tmp_path / "out", "--task", "yes,no", "--variant", "S", "--thin", "1.0,0.5",
        "--start", run_folder[0] / "student.keras",
    ) == 1  # fmt: skip
    assert "with switches (1.0, 0.25) instead of (1.0, 0.5)" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", ["--teacher", "--start"])
def test_a_restart_does_not_remove_what_it_needs(run_folder, tones, tool, tmp_path, option, capsys):
    out = tmp_path / "out"
    shutil.copytree(run_folder[0], out)
    files = sorted(path.relative_to(out) for path in out.rglob("*"))
    network = out / ("teacher_last.keras" if option == "--teacher" else "student_last.keras")
    assert tool(
        "train", tones, out, "--task", "yes,no", "--variant", "S", "--thin", "1.0,0.25",
        "--restart", option, network,
    ) == 1  # fmt: skip
    assert f"should lie elsewhere. Received: {network}" in capsys.readouterr().err
    assert sorted(path.relative_to(out) for path in out.rglob("*")) == files


def test_a_start_that_does_not_fit_is_found_before_the_teacher(
    run_folder, tones, tool, tmp_path, capsys
):
    assert tool(
        "train", tones, tmp_path / "out", "--task", "yes,no", "--variant", "S",
        "--start", run_folder[0] / "student.keras", "--teacher-epochs", "1000",
    ) == 1  # fmt: skip
    assert "--start should be a student of the same kind" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_real_weights_first_and_then_one_bit(run_folder, tones, tool, tmp_path, capsys):
    arguments = (
        "--task", "yes,no", "--variant", "S", "--thin", "1.0", "--model", "bifsmnv2",
        "--teacher", run_folder[0] / "teacher.keras", "--epochs", "1", "--batch-size", "32",
        "--no-jit",
    )  # fmt: skip
    first, second = tmp_path / "real", tmp_path / "bits"
    assert tool("train", tones, first, *arguments, "--weight-scale", "official") == 0
    # Their binarizer is the paper's, unlike that of 1-bit weights.
    start = ("--start", first / "student_last.keras")
    assert tool("train", tones, second, *arguments, *start) == 1
    assert "--start should be a student of the same kind" in capsys.readouterr().err
    assert tool("train", tones, second, *arguments, *start, "--binarizer", "lpb") == 0
    capsys.readouterr()
    assert tool("convert", first / "student.keras", tmp_path / "real.tflite") == 1
    assert "real-valued pointwise weights" in capsys.readouterr().err
    assert tool("convert", second / "student.keras", tmp_path / "bits.tflite") == 0
    capsys.readouterr()
    assert tool("train", tones, first, *arguments) == 1
    assert "weight_scale: official then, None now" in capsys.readouterr().err
    for model, message in (
        (("--model", "bifsmn", "--binarizer", "react_net"), "released code, "),
        (("--model", "fsmn"), "--weight-scale is not for this network"),
    ):
        try:
            code = tool(
                "train", tones, tmp_path / "no", "--task", "yes,no", *model,
                "--weight-scale", "official",
            )  # fmt: skip
        except SystemExit as stopped:
            code = stopped.code
        assert code and message in capsys.readouterr().err
        assert not (tmp_path / "no").exists()


def test_a_weight_for_every_switch(tones, tool, tmp_path, capsys):
    for model, count in (("fsmn", 1), ("bifsmn", 3)):
        with pytest.raises(SystemExit) as stopped:
            tool("train", tones, tmp_path / "out", "--model", model, "--switch-weights", "1,1")
        assert stopped.value.code == 2
        assert f"each of {count} switches. Received: 2" in capsys.readouterr().err


def test_train_evaluate_and_convert_an_fsmn(tones, tool, tmp_path, capsys):
    out = tmp_path / "run"
    arguments = (
        "train", tones, out, "--task", "yes,no", "--model", "fsmn", "--teacher-epochs", "1",
        "--epochs", "1", "--batch-size", "32", "--no-jit",
    )  # fmt: skip
    assert tool(*arguments) == 0
    record = json.loads((out / "run.json").read_text())
    assert record["arguments"]["distillation"] == "hed" and record["finished"]
    assert set(record["student"]["validation_accuracy"]) == {"1.0"}
    capsys.readouterr()
    assert tool(*arguments, "--mode", "sound") == 1
    assert "mode: faithful then, sound now" in capsys.readouterr().err
    for file in ("teacher", "student"):
        assert tool("convert", out / f"{file}.keras", tmp_path / f"{file}.tflite") == 0
        text = capsys.readouterr().out
        assert ("BifsmnMemory" in text) == (file == "student")
    assert tool("evaluate", tmp_path / "student.tflite", tones) == 0
    assert "1.0" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ("--model", "fsmn", "--variant", "S"),
        ("--model", "fsmn", "--thin", "1.0,0.5"),
        ("--model", "fsmn", "--switch-all-bn"),
        ("--mode", "sound"),
    ],
)
def test_train_refuses_options_of_other_networks(tones, tool, tmp_path, arguments, capsys):
    with pytest.raises(SystemExit) as error:
        tool("train", tones, tmp_path / "out", *arguments)
    assert error.value.code == 2
    assert "is not for this network" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_evaluate_keras(run_folder, tones, tool, tmp_path, capsys):
    out, _ = run_folder
    code = tool(
        "evaluate", out / "student.keras", tones, "--out", tmp_path / "o", "--json",
        tmp_path / "e.json",
    )  # fmt: skip
    assert code == 0
    result = json.loads((tmp_path / "e.json").read_text())
    assert set(result["switches"]) == {"1.0", "0.25"}
    assert result["switches"]["1.0"]["n"] == 10  # 8 keywords, and 10 % unknown and silence each
    assert sum(map(sum, result["switches"]["1.0"]["confusion"])) == 10
    names = {path.name for path in (tmp_path / "o").iterdir()}
    assert names == {f"confusion_{s}.{e}" for s in (1.0, 0.25) for e in ("png", "csv")}
    text = capsys.readouterr().out
    assert "95 % interval" in text and "always the most frequent class: 40.00 %" in text


def test_evaluate_augmented(run_folder, tones, tool, tmp_path, capsys):
    out, _ = run_folder
    arguments = ("evaluate", out / "student.keras", tones, "--augmented", "2")
    assert tool(*arguments, "--json", tmp_path / "e.json") == 0
    result = json.loads((tmp_path / "e.json").read_text())
    assert result["augmented"] and result["switches"]["1.0"]["variants"] == 2
    assert result["switches"]["1.0"]["n"] == 20
    assert "10 clips, 2 augmented variants of each" in capsys.readouterr().out
    with pytest.raises(SystemExit) as error:
        tool(*arguments, "--det")
    assert error.value.code == 2 and "--det" in capsys.readouterr().err


def test_convert_and_evaluate_tflite(run_folder, tones, tool, tmp_path, capsys):
    pytest.importorskip("ai_edge_litert")
    from bifsmn_tf.runtime import ops_library

    try:
        ops_library()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    out, _ = run_folder
    file = tmp_path / "kws.tflite"
    arguments = ("convert", out / "student.keras", file, "--thin", "1.0")
    assert tool(*arguments, "--data", tones, "--json", tmp_path / "c.json") == 0
    report = json.loads((tmp_path / "c.json").read_text())
    assert report["total_bytes"] == file.stat().st_size
    assert report["parity"]["1.0"]["top1_agreement"] == 1.0
    assert tool(*arguments) == 1
    assert "--force" in capsys.readouterr().err
    assert tool(*arguments, "--force", "--input", "audio") == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.json", "kws.tflite"]
    small = tmp_path / "small.tflite"
    compact = ("convert", out / "student.keras", small, "--thin", "1.0", "--storage", "compact")
    assert tool(*compact) == 0
    assert small.stat().st_size < 0.9 * report["total_bytes"]

    for name in (file, out / "student.keras"):
        json_file = tmp_path / "e.json"
        assert tool("evaluate", name, tones, "--thin", "1.0", "--json", json_file) == 0
        figures = json.loads(json_file.read_text())["switches"]["1.0"]
        if name == file:
            converted = figures
    assert converted["confusion"] == figures["confusion"]
    assert tool("evaluate", file, tones, "--thin", "0.25") == 1
    assert "switches" in capsys.readouterr().err


def test_unconvertible_model_leaves_nothing(tool, tmp_path, capsys):
    from bifsmn_tf.models import BiFSMN

    model = BiFSMN(3, variant="S", num_blocks=2, switches=(1.0,), weight_scale="official")
    model.save(tmp_path / "m.keras")
    assert tool("convert", tmp_path / "m.keras", tmp_path / "m.tflite") == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and len(error.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["m.keras"]


def test_evaluate_refuses_other_labels(run_folder, tones, tool, capsys):
    out, _ = run_folder
    assert tool("evaluate", out / "student.keras", tones, "--task", "yes,bed") == 1
    assert "bed only in the data; no only in the model" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ("train",),
        ("train", "data", "out", "--task", "11"),
        ("train", "data", "out", "--task", "yes,,no"),
        ("train", "data", "out", "--epochs", "-1"),
        ("train", "data", "out", "--thin", "1.0,two"),
        ("train", "data", "out", "--distillation", "hope"),
        ("train", "data", "out", "--logits", "hope"),
        ("train", "data", "out", "--model", "hope"),
        ("train", "data", "out", "--epochs", "0", "--teacher", "t.keras"),
        ("evaluate", "model.h5", "data"),
        ("convert", "a.keras", "b.txt"),
        ("demo", "--minutes", "0"),
        ("untrained", "audiomer", "b.tflite"),
        ("untrained", "bifsmn", "b.bin"),
        ("plot_binarizers", "b.txt"),
    ],
)
def test_wrong_usage_exits_with_2(tool, arguments, capsys):
    with pytest.raises(SystemExit) as error:
        tool(*arguments)
    assert error.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("train", "missing", "out"), "No such folder: missing"),
        (("demo", "--data", "missing", "--out", "o"), "No such folder: missing"),
        (("evaluate", "missing.keras", "."), "No such model: missing.keras"),
        (("convert", "missing.keras", "out.tflite"), "No such model: missing.keras"),
        (("train", "empty", "out", "--task", "10"), "empty"),
        (("train", "tones", "out", "--task", "yes,up"), "No recordings of up"),
    ],
)
def test_failures_exit_with_1_and_one_line(
    tool, tones, tmp_path, monkeypatch, arguments, message, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "tones").symlink_to(tones)
    assert tool(*arguments) == 1
    error = capsys.readouterr().err
    assert message in error and error.startswith("error: ") and len(error.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_no_model_inside(tool, tones, tmp_path, capsys):
    (tmp_path / "m.keras").write_text("no archive")
    assert tool("evaluate", tmp_path / "m.keras", tones) == 1
    assert ".keras file" in capsys.readouterr().err
    (tmp_path / "m.tflite").write_bytes(b"TFL")
    assert tool("evaluate", tmp_path / "m.tflite", tones) == 1
    assert ".tflite" in capsys.readouterr().err


def test_teacher_from_a_file_must_fit(run_folder, tones, tool, tmp_path, capsys):
    out, _ = run_folder
    code = tool(
        "train", tones, tmp_path, "--task", "yes,bed", "--variant", "S", "--teacher",
        out / "teacher.keras", "--epochs", "1",
    )  # fmt: skip
    assert code == 1
    assert "same labels" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name",
    ["train", "evaluate", "convert", "demo", "summary", "untrained", "plot_binarizers"],
)
def test_help(tool, name, capsys):
    with pytest.raises(SystemExit) as error:
        tool(name, "--help")
    assert error.value.code == 0
    assert "usage:" in capsys.readouterr().out


def test_history_has_a_row_per_epoch(run_folder):
    out, _ = run_folder
    rows = list(csv.DictReader(open(out / "teacher_history.csv", encoding="utf-8")))
    assert [row["epoch"] for row in rows] == ["1", "2"]


@pytest.mark.slow
def test_demo_end_to_end(tones, tool, tmp_path, capsys):
    pytest.importorskip("ai_edge_litert")
    out = tmp_path / "demo"
    code = tool("demo", "--data", tones, "--task", "yes,no", "--out", out, "--minutes", "0.5")
    text = capsys.readouterr().out
    assert code == 0
    record = json.loads((out / "demo.json").read_text())
    assert [row["name"] for row in record["rows"]] == [
        "float D-FSMN", "BiFSMN 1.0", "BiFSMN 0.5", "BiFSMN 0.25",
    ]  # fmt: skip
    assert record["rows"][0]["faster"] == 1.0
    assert record["rows"][1]["bytes"] == (out / "bifsmn.tflite").stat().st_size
    assert {row["n"] for row in record["rows"]} == {20}
    assert text.count("heard: ") == 6 and "Next:" in text
    assert (out / "demo.png").read_bytes().startswith(b"\x89PNG")
