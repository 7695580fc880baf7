"""tools/benchmark.py from outside: tables, JSON, messages. Times themselves are not judged."""

import json

import pytest

SIZES = {"memory_size": 48, "hidden_size": 72, "num_blocks": 4, "frontend_kernel": 3}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A BiFSMN of three switches and the float network, as files."""
    from bifsmn_tf.conversion import convert
    from bifsmn_tf.models import DFSMN, BiFSMN
    from bifsmn_tf.runtime import ops_library

    try:
        ops_library()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("files")
    for name, network in (("ours", BiFSMN), ("float", DFSMN)):
        content = convert(network(5, **SIZES), allow_untrained=True, verbose=False)
        (folder / f"{name}.tflite").write_bytes(content)
    return folder


def test_every_switch_is_compared_with_every_peer(tool, files, tmp_path, capsys):
    int8, figures = tmp_path / "int8.tflite", tmp_path / "figures.json"
    ours, peer = files / "ours.tflite", files / "float.tflite"
    arguments = [
        ours, "--against", peer, "--make-int8", int8, "--repeats", 2, "--profile",
        "--with-frontend", "--json", figures,
    ]  # fmt: skip
    assert tool("benchmark", *arguments) == 0
    printed = capsys.readouterr().out
    report = json.loads(figures.read_text())

    rows = {(row["model"], row["switch"]): row for row in report["models"]}
    assert sorted(rows) == [
        ("float.tflite", 1.0), ("int8.tflite", 1.0), ("ours.tflite", 0.25), ("ours.tflite", 0.5),
        ("ours.tflite", 1.0),
    ]  # fmt: skip
    assert int8.stat().st_size == rows["int8.tflite", 1.0]["bytes"]
    assert int8.stat().st_size < peer.stat().st_size / 2
    for (name, switch), row in rows.items():
        times = row["microseconds"]
        assert 0 < times["best"] <= times["p10"] <= times["median"] <= times["p90"]
        assert set(row["ratios"]) == ({"float.tflite", "int8.tflite"} if "ours" in name else set())
        assert name in printed and str(switch) in printed
    # Two repeats: the ratio's median lies between the quotients of the extremes.
    mine = rows["ours.tflite", 0.5]["microseconds"]
    other = rows["float.tflite", 1.0]["microseconds"]
    ratio = rows["ours.tflite", 0.5]["ratios"]["float.tflite"]["median"]
    assert other["best"] / (2 * mine["p90"]) <= ratio <= 2 * other["p90"] / mine["best"]

    assert {row["kind"] for row in report["front_end"]} == {"numpy", "TFLite", "operator"}
    both = report["front_end"][0]["with_network"]["0.25"]["median"]
    assert both > report["front_end"][0]["microseconds"]["best"]

    profile = report["profile"]["0.25"]
    assert [row["operator"] for row in profile].count("BifsmnMemory") == 1
    assert sum(row["microseconds"] for row in profile) == pytest.approx(
        profile[-1]["microseconds_up_to_here"]
    )


def test_files_of_one_name_are_told_apart(tool, files, tmp_path):
    other, figures = tmp_path / "ours.tflite", tmp_path / "figures.json"
    other.write_bytes((files / "float.tflite").read_bytes())
    arguments = [files / "ours.tflite", "--against", other, "--repeats", 2, "--json", figures]
    assert tool("benchmark", *arguments) == 0
    rows = json.loads(figures.read_text())["models"]
    names = {f"{files.name}/ours.tflite": 3, f"{tmp_path.name}/ours.tflite": 1}
    assert {name: sum(row["model"] == name for row in rows) for name in names} == names
    assert {row["bytes"] for row in rows} == {
        (files / "ours.tflite").stat().st_size, other.stat().st_size
    }  # fmt: skip


def test_chosen_switches_only(tool, files, tmp_path):
    figures = tmp_path / "figures.json"
    arguments = [files / "ours.tflite", "--thin", "0.25", "--repeats", 2, "--json", figures]
    assert tool("benchmark", *arguments) == 0
    assert [row["switch"] for row in json.loads(figures.read_text())["models"]] == [0.25]


def test_wrong_use_is_named(tool, files, tmp_path, capsys):
    ours = files / "ours.tflite"
    assert tool("benchmark", tmp_path / "none.tflite") == 1
    assert "No such model" in capsys.readouterr().err
    assert tool("benchmark", ours, "--thin", "0.3") == 1
    assert "Received: 0.3" in capsys.readouterr().err
    taken = tmp_path / "taken.tflite"
    taken.write_bytes(b"mine")
    assert tool("benchmark", ours, "--against", ours, "--make-int8", taken) == 1
    assert "--force" in capsys.readouterr().err and taken.read_bytes() == b"mine"
    assert tool("benchmark", ours, "--against", ours, "--make-int8", tmp_path / "x.tflite") == 1
    assert "Only a float model" in capsys.readouterr().err
    for arguments in ([ours, "--make-int8", taken], [ours, "--data", tmp_path], []):
        with pytest.raises(SystemExit) as error:
            tool("benchmark", *arguments)
        assert error.value.code == 2
    capsys.readouterr()


def test_inputs_must_be_alike(tool, files, tmp_path, capsys):
    from bifsmn_tf.conversion import convert
    from bifsmn_tf.models import DFSMN

    audio = tmp_path / "audio.tflite"
    audio.write_bytes(
        convert(DFSMN(5, **SIZES), input="audio", allow_untrained=True, verbose=False)
    )
    assert tool("benchmark", files / "ours.tflite", "--against", audio, "--repeats", 1) == 1
    assert "should take the same input" in capsys.readouterr().err
    assert tool("benchmark", audio, "--repeats", 1) == 0
