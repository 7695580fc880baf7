"""`python -m bifsmn_tf.data`."""

import shutil
import subprocess
import sys

import pytest

from bifsmn_tf.data.__main__ import main


def test_help_needs_no_tensorflow():
    code = (
        "import sys, runpy; sys.argv = ['data', 'synthetic', '--help']\n"
        "try: runpy.run_module('bifsmn_tf.data', run_name='__main__')\n"
        "finally: assert 'tensorflow' not in sys.modules"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0 and "--clips-per-word" in run.stdout, run.stderr


@pytest.mark.parametrize("arguments", [[], ["fetch"], ["synthetic"], ["download", "--version"]])
def test_wrong_usage(arguments):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


def test_show(tree, capsys):
    assert main(["show", str(tree()), "--task", "yes", "no"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["training", "validation", "testing"]
    assert ["yes", "6", "2", "2"] in lines and ["_silence_", "2", "1", "1"] in lines
    assert ["total", "16", "6", "6"] in lines
    assert lines[-1][3:] == ["25.00", "%", "33.33", "%", "33.33", "%"]


def test_errors_go_to_standard_error(tmp_path, capsys):
    assert main(["show", str(tmp_path / "missing")]) == 1
    assert "does not exist" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_synthetic(tmp_path, capsys):
    root = str(tmp_path / "set")
    arguments = ["synthetic", root, "--words", "yes", "--other-words", "--clips-per-word", "5"]
    assert main(arguments) == 0
    assert capsys.readouterr().out.strip() == root
    assert len(list((tmp_path / "set" / "yes").iterdir())) == 5
