#!/usr/bin/env python3
"""Makes the networks of bifsmn_tf.pretrained: trains, converts, evaluates and writes the cards.

Needs the subset of Speech Commands they were trained on, or another part of it with its words.
Interrupted at any moment, the same command goes on where it stopped. Without --out the finished
networks replace those of the package.
"""

import argparse
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import _common

TOOLS = Path(__file__).resolve().parent
DESTINATION = TOOLS.parent / "bifsmn_tf" / "pretrained"
TEACHER = "dfsmn_sc10"

_DATA = ["--task", "10", "--unknown", "all"]
# Bi-Real's gradient, and thresholds; without them (bi_real) it would be the published network
# forward, for half a point of accuracy: docs/accuracy.md.
_BIFSMN = [*_DATA, "--model", "bifsmn", "--binarizer", "react_net"]
# Four levels at a learned step, for the published binarizer (lpb): docs/accuracy.md.
_BIFSMN_V2 = [*_DATA, "--model", "bifsmnv2", "--binarizer", "lsq"]
_FINISH = ["--learning-rate", "2e-3", "--epochs", "80"]

# What tools/train.py is asked for in every stage, after the two folders. Why more than one, how
# many and with what: docs/accuracy.md.
STAGES = {
    TEACHER: [[*_DATA, "--epochs", "0"]],
    "bifsmn_sc10": [
        _BIFSMN,
        *3 * [[*_BIFSMN, *_FINISH]],
    ],
    "bifsmnv2_sc10": [
        [*_BIFSMN_V2, "--epochs", "100"],
        [*_BIFSMN_V2, *_FINISH, "--mixup", "0.3"],
    ],
}
# Seeds of float networks that teach a network's logits beside the shipped one, of seed 0:
# docs/accuracy.md. Trained like it, and not shipped.
FURTHER_TEACHERS = {"bifsmnv2_sc10": (1, 2, 3, 4)}
# Networks of which the last epoch is taken and not the best one on validation, which is the best
# by chance and does less well on other clips: docs/accuracy.md. (The two others were trained before
# that was known.)
LAST_EPOCH = ("bifsmnv2_sc10",)
# The best of seeds 0, 1 and 2 on augmented variants of the validation clips; 0 of all other
# networks, which were trained once.
SEEDS = {"bifsmnv2_sc10": 0}
_TITLES = {
    TEACHER: "D-FSMN, real-valued: the teacher of the two others",
    "bifsmn_sc10": "BiFSMN, 1-bit weights, activations of one scale with thresholds, three switches",
    "bifsmnv2_sc10": "BiFSMNv2, 1-bit weights, activations of two bits at a learned step, three switches",
}


def parser():
    """The command line."""
    result = argparse.ArgumentParser(
        prog="make_pretrained.py", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    result.add_argument("data", metavar="DATA", help="folder laid out like Speech Commands")
    result.add_argument("work", metavar="WORK_DIR", type=Path, help="folder for the trainings")
    result.add_argument(
        "--only", choices=tuple(STAGES), action="append", help="one network (repeatable)"
    )
    result.add_argument("--remark", metavar="TEXT", help="a line to add to the cards")
    result.add_argument(
        "--seed", type=_common.natural_int,
        help="of the 1-bit networks (default: that of the network in the package)",
    )
    result.add_argument(
        "--out", type=Path, metavar="DIR", default=DESTINATION, help="default: the package"
    )
    return result


def main(argv=None):
    """Runs the tool."""
    arguments = parser().parse_args(argv)
    _common.check_folder(arguments.data)
    arguments.out.mkdir(parents=True, exist_ok=True)
    names = arguments.only or list(STAGES)
    # First: the others need them.
    seeds = dict.fromkeys([_seed_of(TEACHER), *(s for n in names for s in _further_teachers(n))])
    for seed in seeds:
        _train(TEACHER, arguments, seed)
    for name in names:
        if name != TEACHER:
            _train(name, arguments, arguments.seed)
        _write(name, arguments)
    return _common.OK


def train_arguments(name, data, work, seed):
    """Arguments of tools/train.py that train one network.

    Args:
        name: One of `STAGES`.
        data: Folder of recordings.
        work: Folder that holds one folder per network and stage.
        seed: None for that of the network in the package.

    Returns:
        One list of strings per stage.
    """
    work = Path(work)
    seed = _seed_of(name) if seed is None else seed
    folder = _folder(work, name, seed)
    result = []
    for number, options in enumerate(STAGES[name], 1):
        arguments = [str(data), str(folder / f"stage{number}"), *options]
        if name != TEACHER:
            for teacher in (_seed_of(TEACHER), *_further_teachers(name)):
                file = _folder(work, TEACHER, teacher) / "stage1" / "teacher.keras"
                arguments += ["--teacher", str(file)]
        if number > 1:
            # The last weights: those of the best epoch are the best by chance.
            before = folder / f"stage{number - 1}"
            arguments += ["--start", str(before / "student_last.keras")]
        result.append([*arguments, "--seed", str(seed)])
    return result


def _seed_of(name):
    """The seed of the network in the package."""
    return SEEDS.get(name, 0)


def _further_teachers(name):
    return FURTHER_TEACHERS.get(name, ())


def _folder(work, name, seed):
    """Where a network is trained: seeds beside those of the package have folders of their own."""
    return work / name if seed == _seed_of(name) else work / name / f"seed{seed}"


def _train(name, arguments, seed):
    for stage in train_arguments(name, arguments.data, arguments.work, seed):
        _tool("train.py", *stage, "--cache", arguments.work / "cache")


def _write(name, arguments):
    """Converts, evaluates and describes a trained network, and puts it where it belongs."""
    seed = None if name == TEACHER else arguments.seed
    last = train_arguments(name, arguments.data, arguments.work, seed)[-1]
    network = "teacher" if name == TEACHER else "student"
    folder = Path(last[1])
    ending = "_last" if name in LAST_EPOCH else ""
    keras_file, tflite = folder / f"{network}{ending}.keras", folder / f"{name}.tflite"
    report = folder / "convert.json"
    _tool(
        "convert.py", keras_file, tflite, "--force", "--data", arguments.data, "--json", report
    )
    results = {}
    for subset in ("validation", "testing"):
        output = folder / f"{subset}.json"
        _tool("evaluate.py", tflite, arguments.data, "--subset", subset, "--json", output)
        results[subset] = json.loads(output.read_text())
    run = json.loads((folder / "run.json").read_text())
    commands = [
        " ".join(["tools/train.py", *stage])
        for stage in train_arguments(name, "DATA", "WORK", seed)
    ]
    card = model_card(
        name, run, network, results, json.loads(report.read_text()), commands, tflite,
        arguments.remark,
    )
    from bifsmn_tf.files import replacing

    for source, suffix in ((keras_file, ".keras"), (tflite, ".tflite"), (card, ".md")):
        content = source.encode() if isinstance(source, str) else source.read_bytes()
        with replacing(arguments.out / f"{name}{suffix}") as temporary:
            temporary.write_bytes(content)
    print(f"{name}: {arguments.out / name}.keras, .tflite, .md")


def _tool(name, *arguments):
    command = [sys.executable, str(TOOLS / name), *map(str, arguments)]
    print("$", " ".join(command[1:]), flush=True)
    if subprocess.run(command).returncode:
        raise ValueError(f"{name} failed, see above")


def model_card(name, run, network, results, report, commands, tflite, remark=None):
    """The text of a model card.

    Args:
        name: Of the network.
        run: Contents of the training's run.json.
        network: "teacher" or "student".
        results: Per subset, what tools/evaluate.py wrote.
        report: What tools/convert.py wrote.
        commands: The commands that trained the network.
        tflite: The converted file.
        remark: Something to add, or None.

    Returns:
        Markdown.
    """
    training = run[network]
    labels = " ".join(run["labels"])
    stage = " of the last stage" if len(commands) > 1 else ""
    again = "" if run["seed"] == _seed_of(name) else f" --only {name} --seed {run['seed']}"
    lines = [
        f"# {name}", "", f"{_TITLES[name]}. Knows: `{labels}`.", "",
        "| subset | switch | accuracy | 95 % interval | clips |",
        "| --- | --- | --- | --- | --- |",
    ]  # fmt: skip
    for subset, result in results.items():
        for switch, values in result["switches"].items():
            low, high = (100 * end for end in values["interval_95"])
            lines.append(
                f"| {subset} | {switch} | {100 * values['accuracy']:.2f} % | "
                f"{low:.2f} to {high:.2f} % | {values['n']} |"
            )
    validation, testing = (results[s]["baselines"] for s in ("validation", "testing"))
    versions = ", ".join(f"{key} {value}" for key, value in run["versions"].items())
    difference = max(parity["max_difference"] for parity in report["parity"].values())
    digest = hashlib.sha256(tflite.read_bytes()).hexdigest()
    chosen_by = "mean validation accuracy of the switches"
    if network == "teacher":
        chosen_by = "validation accuracy"
    epoch = (
        f"epoch {training['best_epoch']} of {training['epochs']}{stage}, chosen by the {chosen_by}, "
        "which flatters it by what choosing gains"
    )
    if name in LAST_EPOCH:
        epoch = f"the last of {training['epochs']} epochs{stage}, not chosen by its accuracy"
    chosen = ""
    if run["seed"] == SEEDS.get(name):
        chosen = ", the best of 0, 1 and 2 on augmented variants of the validation clips"
    lines += [
        "",
        "Accuracy of the `.tflite` in the TFLite interpreter (tools/evaluate.py). Always the "
        f"most frequent class: {100 * validation['majority']:.2f} % of validation, "
        f"{100 * testing['majority']:.2f} % of testing.",
        "",
        f"* **Training**: {epoch}; seed {run['seed']}{chosen}.",
        *(f"* **Stage {i}**: `{command}`" for i, command in enumerate(commands, 1)),
        f"* **All steps**: `tools/make_pretrained.py DATA WORK{again}`.",
        f"* **Made with**: {versions}. The same command and seed give the same network on the "
        "same kind of machine; sums in another order elsewhere end in another one of like "
        "accuracy.",
        f"* **File**: {tflite.stat().st_size:,} bytes, SHA-256 `{digest}`. "
        f"Largest difference of scores from Keras: {difference:.1e}.",
        "* **Data**: a subset of Google Speech Commands V0.01/V0.02 (P. Warden, 2018, arXiv "
        "1804.03209), licensed CC BY 4.0; Warden's protocol for silence and unknown, unknown "
        "words all used in training. The recordings are not part of the package.",
        "* **Limits**: eight English words, one second each, read by volunteers into microphones "
        "of their own; how it does for other languages, distances and age groups was not "
        "measured. In continuous speech of other words about half of the keywords are lost at ten "
        "false accepts an hour, which accuracy on single clips does not show "
        "(docs/accuracy.md). Not for anything where a missed or misheard word does harm.",
        "* **Licence of the weights**: Apache 2.0, as the code.",
        *([f"* **Remark**: {remark}"] if remark else []),
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(_common.run(main))
