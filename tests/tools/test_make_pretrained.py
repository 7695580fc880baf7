"""make_pretrained.py: what it asks of train.py, and the card it writes."""

import importlib

import pytest

from bifsmn_tf import pretrained


@pytest.fixture
def maker(tool):
    return importlib.import_module("make_pretrained")


def test_every_network_of_the_package_is_made(maker):
    assert sorted(maker.STAGES) == pretrained.list()


@pytest.mark.parametrize("name", ["bifsmn_sc10", "bifsmnv2_sc10", "dfsmn_sc10"])
def test_stages_are_valid_commands_that_follow_each_other(maker, name):
    parser = importlib.import_module("train").parser()
    stages = maker.train_arguments(name, "data", "work", seed=3)
    parsed = [parser.parse_args(stage) for stage in stages]
    for arguments in parsed:
        assert arguments.seed == (0 if name == "dfsmn_sc10" else 3) and arguments.task == 10
        assert str(arguments.teacher) == (
            "None" if name == "dfsmn_sc10" else "work/dfsmn_sc10/stage1/teacher.keras"
        )
    assert parsed[0].start is None
    for before, after in zip(parsed, parsed[1:]):
        assert after.start == before.out / "student_last.keras"


def test_the_seed_is_that_of_the_package(maker):
    for name in maker.STAGES:
        card = (maker.DESTINATION / f"{name}.md").read_text()
        assert f"seed {maker.SEEDS.get(name, 0)}" in card
        for number, stage in enumerate(maker.train_arguments(name, "DATA", "WORK", None), 1):
            assert f"* **Stage {number}**: `{' '.join(['tools/train.py', *stage])}`" in card


def test_another_seed_has_its_own_folder_and_the_same_teacher(maker):
    (teacher,) = maker.train_arguments("dfsmn_sc10", "DATA", "WORK", 2)
    assert teacher == maker.train_arguments("dfsmn_sc10", "DATA", "WORK", None)[0]
    ours, others = (maker.train_arguments("bifsmn_sc10", "DATA", "WORK", s) for s in (0, 2))
    assert ours == maker.train_arguments("bifsmn_sc10", "DATA", "WORK", None)
    assert not {stage[1] for stage in ours} & {stage[1] for stage in others}
    for stage, other in zip(ours, others, strict=True):
        at = stage.index("--teacher") + 1
        assert stage[at] == other[at] == f"{teacher[1]}/teacher.keras"


def test_card(maker, tmp_path):
    tflite = tmp_path / "x.tflite"
    tflite.write_bytes(b"12345")
    result = {
        "baselines": {"majority": 0.125},
        "switches": {"1.0": {"accuracy": 0.9, "interval_95": [0.88, 0.915], "n": 500}},
    }
    run = {
        "labels": ["yes", "no"], "seed": 4, "versions": {"keras": "3.0"},
        "student": {"best_epoch": 7, "epochs": 9},
    }  # fmt: skip
    report = {"parity": {"1.0": {"max_difference": 2e-6}}}
    card = maker.model_card(
        "bifsmn_sc10", run, "student", {"validation": result, "testing": result}, report,
        ["tools/train.py DATA WORK/a", "tools/train.py DATA WORK/b"], tflite,
    )  # fmt: skip
    for words in (
        "| validation | 1.0 | 90.00 % | 88.00 to 91.50 % | 500 |", "epoch 7 of 9", "seed 4",
        "5 bytes", "2.0e-06", "Stage 2", "WORK/b", "12.50 % of validation", "CC BY 4.0",
        "`yes no`", "DATA WORK --only bifsmn_sc10 --seed 4`",
        "5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5",
    ):  # fmt: skip
        assert words in card, words


def test_wrong_usage(tool, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        tool("make_pretrained", tmp_path, tmp_path / "work", "--only", "vgg_sc10")
    assert stopped.value.code == 2
    missing = tmp_path / "missing"
    assert tool("make_pretrained", missing, tmp_path / "work", "--out", tmp_path / "out") == 1
    assert "missing" in capsys.readouterr().err and not (tmp_path / "out").exists()
