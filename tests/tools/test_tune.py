"""The search from outside: files, exit codes, messages."""

import importlib
import json
import shlex
import signal
import subprocess
import sys
import time
import types

import pytest


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("--network", "student"), "needs --teacher"),
        (("--logits", "mse"), "--logits is for --network student"),
        (("--thin", "1.0"), "--thin is for --network student"),
        (("--model", "fsmn", "--variant", "S"), "not for an fsmn"),
        (("--method", "grid"), "invalid choice"),
        (("--factor", "1"), "--factor should be 2 at least"),
        (("--trials", "0"), "positive integer"),
        (("--recipe", "missing.json"), "expected default, light, paper"),
    ],
)
def test_wrong_usage(tones, tool, tmp_path, arguments, message, capsys):
    with pytest.raises(SystemExit) as error:
        tool("tune", tones, tmp_path / "out", *arguments)
    assert error.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("--search", "speed"), "should be one of learning_rate"),
        (("--search", "mixup=2"), "a number from 0 to 1. Received: 2"),
        (("--search", "gamma"), "belongs to the student's loss"),
        (("--recipe", "light", "--search", "mixup"), "augmentation has none"),
        (("--trials", "2", "--epochs", "9"), "trained for all epochs"),
        (("--network", "student", "--teacher", "no.keras"), "No such model"),
    ],
)
def test_wrong_input(tones, tool, tmp_path, arguments, message, capsys):
    assert tool("tune", tones, tmp_path / "out", "--task", "yes,no", *arguments) == 1
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1
    assert not (tmp_path / "out" / "search.json").exists()


def test_missing_folder(tool, tmp_path, capsys):
    assert tool("tune", tmp_path / "nowhere", tmp_path / "out") == 1
    assert "No such folder" in capsys.readouterr().err


def test_plan_trains_nothing(tones, tool, tmp_path, capsys):
    out = tmp_path / "out"
    assert tool("tune", tones, out, "--task", "yes,no", "--epochs", "4", "--factor", "2",
                "--plan") == 0  # fmt: skip
    text = capsys.readouterr().out
    assert "hyperband: 16 trials with the recipe itself, 42 epochs in all" in text
    assert not (out / "trials").exists()


@pytest.mark.parametrize("model", ["bifsmn", "fsmn"])
def test_train_takes_the_command_of_a_paper_student(tones, tool, tmp_path, model, capsys):
    tune = importlib.import_module("tune")
    (tmp_path / "best.json").write_text("{}")
    arguments = tune.parser().parse_args([
        str(tones), str(tmp_path), "--task", "yes,no", "--network", "student", "--model", model,
        "--recipe", "paper", "--teacher", str(tmp_path / "missing.keras"),
    ])  # fmt: skip
    loss = {"distillation": "hed", "gamma": 0.01, "logits": "none", "temperature": 2.0}
    report = types.SimpleNamespace(loss=lambda: loss)
    words = shlex.split(tune._train_command(arguments, report))
    assert ("--no-switch-all-bn" in words) == (model == "bifsmn")
    # All that it misses is the teacher; wrong usage would end it with 2 before.
    assert tool("train", *words[1:]) == 1
    assert "No such model" in capsys.readouterr().err


@pytest.mark.slow
def test_a_killed_search_goes_on_and_train_takes_its_best(tones, tools_dir, tool, tmp_path, capfd):
    out = tmp_path / "out"
    arguments = (
        tones, out, "--task", "yes,no", "--variant", "S", "--recipe", "light", "--no-jit",
        "--method", "random", "--epochs", "1", "--search", "learning_rate,batch_size=48",
    )  # fmt: skip
    command = [sys.executable, tools_dir / "tune.py", *arguments, "--trials", "1"]
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not (out / "trials" / "0001").exists() and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    first = (out / "trials" / "0000" / "trial.json").read_text()

    assert tool("tune", *arguments, "--trials", "1") == 0
    text = capfd.readouterr().out
    assert "[0/1] 1 epoch, the recipe" in text and text.count("(stored)") == 1
    assert (out / "trials" / "0000" / "trial.json").read_text() == first
    names = {path.name for path in out.iterdir()}
    assert names == {
        "search.json", "trials", "cache", "results.md", "results.csv", "results.png", "best.json",
    }  # fmt: skip
    last = text.strip().splitlines()[-1]
    assert last.startswith("tools/train.py ") and last in (out / "results.md").read_text()
    best = json.loads((out / "best.json").read_text())
    assert best["teacher"]["augmentation"] == "released"

    assert tool("tune", *arguments, "--trials", "1", "--seed", "1") == 1
    assert "seed: 0 then, 1 now" in capfd.readouterr().err
    words = last.split()[1:]
    assert tool("train", *words, "--teacher-epochs", "1", "--no-jit") == 0
    assert (out / "best" / "teacher.keras").exists()
