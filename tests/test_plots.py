"""Pictures: written completely, as PNG, for any number of switches and classes."""

import types

import numpy as np
import pytest

from bifsmn_tf import plots

PNG = b"\x89PNG"


@pytest.mark.parametrize("switches", [("",), ("_1.0", "_0.5", "_0.25")])
def test_curves(tmp_path, switches):
    history = [
        {"epoch": i, "loss": 1 / i, "val_loss": 2 / i,
         **{f"val_accuracy{s}": 1 - 1 / (i + 1) for s in switches}}
        for i in (1, 2, 3)
    ]  # fmt: skip
    plots.curves(history, tmp_path / "c.png", "student")
    assert (tmp_path / "c.png").read_bytes().startswith(PNG)
    assert [path.name for path in tmp_path.iterdir()] == ["c.png"]


@pytest.mark.parametrize("classes", [2, 35])
def test_confusion(tmp_path, classes):
    matrix = np.diag(np.arange(classes))  # a class without clips, too
    plots.confusion(matrix, [f"word{i}" for i in range(classes)], tmp_path / "c.png")
    assert (tmp_path / "c.png").read_bytes().startswith(PNG)


@pytest.mark.parametrize("switches", [1, 3])
def test_trade_off(tmp_path, switches):
    report = types.SimpleNamespace(
        bit_bytes=70_000, float_bytes=60_000, threshold_bytes=9_000, graph_bytes=16_000
    )
    points = [("float", 0.95, (0.93, 0.96), 100.0, 2_400_000)]
    points += [(f"BiFSMN {i}", 0.9, (0.88, 0.92), 10.0 + i, 155_000) for i in range(switches)]
    plots.trade_off(points, report, tmp_path / "t.png", "10 classes")
    assert (tmp_path / "t.png").read_bytes().startswith(PNG)


def test_binarizers(tmp_path):
    plots.binarizers(tmp_path / "b.png")
    assert (tmp_path / "b.png").read_bytes().startswith(PNG)
