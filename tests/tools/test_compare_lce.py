"""tools/compare_lce.py, where Larq Compute Engine's environment has been made."""

import json
import pathlib
import platform

import pytest

ENVIRONMENT = pathlib.Path(__file__).resolve().parents[2] / ".setup" / "larq"


def test_wrong_shapes_are_named(tool, capsys):
    with pytest.raises(SystemExit) as error:
        tool("compare_lce", "--shapes", "32x256")
    assert error.value.code == 2
    assert "Received: 32x256" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="LCE is published for x86-64 only")
def test_a_layer_beside_lce(tool, tmp_path, capsys):
    if not (ENVIRONMENT / ".requirements").exists():
        pytest.skip(f"no environment {ENVIRONMENT}: run tools/compare_lce.py once")
    figures = tmp_path / "figures.json"
    assert tool("compare_lce", "--shapes", "8x64x32", "--repeats", 3, "--json", figures) == 0
    (row,) = json.loads(figures.read_text())["layers"]
    assert (row["frames"], row["inputs"], row["outputs"]) == (8, 64, 32)
    assert row["max_difference"] < 1e-3 and row["ratio"]["median"] > 0
    assert "8 x 64 x 32" in capsys.readouterr().out
