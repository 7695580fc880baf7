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
        assert arguments.seed == 3 and arguments.task == 10
        teachers = arguments.teacher or []
        # BiFSMNv2 learns the mean of five float networks' logits.
        seeds = {"bifsmn_sc10": (None,), "bifsmnv2_sc10": (None, 1, 2, 3, 4)}.get(name, ())
        assert len(teachers) == len(seeds)
        for teacher, seed in zip(teachers, seeds):
            # Where that float network is trained; the first is the one of the package.
            (training,) = maker.train_arguments("dfsmn_sc10", "data", "work", seed)
            assert str(teacher) == f"{training[1]}/teacher.keras"
    assert parsed[0].start is None
    for before, after in zip(parsed, parsed[1:]):
        assert after.start == before.out / "student_last.keras"


def test_the_seed_is_that_of_the_package(maker):
    for name in maker.STAGES:
        card = (maker.DESTINATION / f"{name}.md").read_text()
        assert f"seed {maker.SEEDS.get(name, 0)}" in card
        for number, stage in enumerate(maker.train_arguments(name, "DATA", "WORK", None), 1):
            assert f"* **Stage {number}**: `{' '.join(['tools/train.py', *stage])}`" in card


@pytest.mark.parametrize("name", ["bifsmn_sc10", "bifsmnv2_sc10"])
def test_another_seed_has_its_own_folder_and_the_same_teachers(maker, name):
    own = maker.SEEDS.get(name, 0)
    ours, others = (maker.train_arguments(name, "DATA", "WORK", s) for s in (own, own + 1))
    assert ours == maker.train_arguments(name, "DATA", "WORK", None)
    assert not {stage[1] for stage in ours} & {stage[1] for stage in others}
    for stage, other in zip(ours, others, strict=True):
        assert teachers(stage) == teachers(other)
        assert len(set(teachers(stage))) == len(teachers(stage)) > 0


@pytest.mark.parametrize("options", [
    (), ("--seed", "7"), ("--only", "bifsmn_sc10"), ("--only", "dfsmn_sc10"),
    ("--only", "bifsmnv2_sc10", "--seed", "1"),
])  # fmt: skip
def test_what_a_stage_needs_is_trained_before_it(maker, monkeypatch, tmp_path, options):
    parser = importlib.import_module("train").parser()
    trained, written = [], []

    def run(name, *arguments):
        assert name == "train.py"
        arguments = parser.parse_args([str(argument) for argument in arguments])
        needed = [*(arguments.teacher or ()), *([arguments.start] if arguments.start else ())]
        for file in needed:
            assert file.parent in trained, f"{file} is not there yet"
        trained.append(arguments.out)

    monkeypatch.setattr(maker, "_tool", run)
    monkeypatch.setattr(maker, "_write", lambda name, arguments: written.append(name))
    assert maker.main([str(tmp_path), str(tmp_path / "work"), "--out", str(tmp_path / "out"),
                       *options]) == 0  # fmt: skip
    assert len(set(trained)) == len(trained)
    wanted = [options[1]] if "--only" in options else pretrained.list()
    assert sorted(written) == wanted
    further = [folder for folder in trained if "dfsmn_sc10/seed" in folder.as_posix()]
    assert len(further) == (4 if "bifsmnv2_sc10" in wanted else 0)


def teachers(stage):
    return [value for option, value in zip(stage, stage[1:]) if option == "--teacher"]


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
