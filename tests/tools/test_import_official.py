"""`tools/import_official.py` from outside: files, exit codes, messages."""

import json
import sys

import keras
import numpy as np
import pytest
from test_official import TINY, random_state
from test_official_checkpoints import tensors, torch  # noqa: F401

from bifsmn_tf import models, official


@pytest.fixture
def student():
    """An official student of the second version, as ours."""
    model = models.BiFSMNv2(4, **TINY, weight_scale="official")
    official.load_state(model, random_state(model))
    return model


@pytest.fixture
def checkpoint(torch, student, tmp_path):  # noqa: F811
    torch.content = {"state_dict": tensors(random_state(student))}
    path = tmp_path / "c.pth"
    path.touch()
    return path


def test_import(tool, checkpoint, student, tmp_path, capsys):
    out = tmp_path / "o" / "student.keras"
    arguments = ("import_official", checkpoint, out, "--labels", "a,b,c,d")
    assert tool(*arguments, "--json", tmp_path / "o.json") == 0
    text = capsys.readouterr().out
    assert text.startswith(f"{out}: network BiFSMNv2, classes 4, blocks 4") and "lpb" in text
    record = json.loads((tmp_path / "o.json").read_text())
    assert record["switches"] == [1.0, 0.5, 0.25] and record["weight_scale"] == "official"
    loaded = keras.saving.load_model(out)
    assert record["parameters"] == sum(np.size(v) for v in loaded.trainable_variables)
    assert loaded.labels == ["a", "b", "c", "d"]
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 1)).astype(np.float32)
    for thin in loaded.switches:
        np.testing.assert_allclose(loaded(x, thin=thin), student(x, thin=thin), rtol=1e-6)

    assert tool(*arguments) == 1
    assert "--force" in capsys.readouterr().err
    assert tool(*arguments, "--force", "--num-switches", "1", "--weight-scale", "channel") == 0
    loaded = keras.saving.load_model(out)
    assert loaded.switches == (1.0,) and loaded.weight_scale == "channel"


def test_failures_leave_nothing(tool, checkpoint, tmp_path, monkeypatch, capsys):
    out = tmp_path / "m.keras"

    def fails(message, *arguments):
        assert tool("import_official", *arguments) == 1
        error = capsys.readouterr().err
        assert message in error and error.startswith("error: ") and len(error.splitlines()) == 1
        assert not out.exists()

    fails("No such checkpoint: missing.pth", "missing.pth", out)
    fails("`labels` should hold 4 names", checkpoint, out, "--labels", "a,b")
    fails("integer from 1 to 3", checkpoint, out, "--num-switches", "4")
    sys.modules["torch"].content["state_dict"].pop("fc1.0.bias")
    fails("none for 1 of the model's variables ['fc1/bias']", checkpoint, out)
    monkeypatch.setitem(sys.modules, "torch", None)
    fails("pip install torch", checkpoint, out)


@pytest.mark.parametrize(
    "arguments",
    [("c.pth",), ("c.pth", "m.h5"), ("c.pth", "m.keras", "--labels", "a,,b"),
     ("c.pth", "m.keras", "--num-switches", "0"), ("c.pth", "m.keras", "--weight-scale", "half")],
)
def test_wrong_usage(tool, arguments, capsys):
    with pytest.raises(SystemExit) as error:
        tool("import_official", *arguments)
    assert error.value.code == 2
    assert "usage:" in capsys.readouterr().err
