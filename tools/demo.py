#!/usr/bin/env python3
"""From recordings to a keyword spotter in the TFLite interpreter, in a few minutes.

Trains a float teacher and a BiFSMN with HED, converts both, runs the files in the TFLite
interpreter, compares them in a table and in a picture, and lets the small one answer. Without
--data, a command set spoken by espeak-ng is made first.
"""

import argparse
import dataclasses
import sys
import time
from pathlib import Path

import _common

# What follows the training: conversion, evaluation, timing, picture.
_RESERVE = 0.08
_TEACHER_SHARE = 0.35
_EVALUATION_CLIPS = 1500
_TIMING_ROUNDS = 300


@dataclasses.dataclass
class Row:
    """One line of the table."""

    name: str
    thin: float
    result: object
    size: int
    microseconds: float


def parser():
    """The command line."""
    result = argparse.ArgumentParser(
        prog="demo.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    result.add_argument("--data", metavar="DIR", help="folder laid out like Speech Commands")
    result.add_argument(
        "--task", type=_common.task, default=10, help="10, 12, 20, 35 or word,word,... (default 10)"
    )
    result.add_argument(
        "--out", type=Path, default=Path("demo"), metavar="DIR", help="default %(default)s"
    )
    result.add_argument(
        "--minutes", type=_common.positive_float, default=8.0, metavar="N",
        help="time for everything, about (default %(default)s)",
    )  # fmt: skip
    result.add_argument("--seed", type=_common.natural_int, default=0)
    result.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    return result


def main(argv=None):
    """Runs the tool."""
    started = time.monotonic()
    arguments = parser().parse_args(argv)
    out = arguments.out
    if arguments.data is not None:
        _common.check_folder(arguments.data)
    if out.exists() and not out.is_dir():
        parser().error(f"--out should be a folder. Received: {out}")
    out.mkdir(parents=True, exist_ok=True)
    files = {
        name: out / name
        for name in ("teacher.keras", "student.keras", "teacher.tflite", "bifsmn.tflite",
                     "demo.png", "demo.json")
    }  # fmt: skip
    for file in files.values():  # of an earlier demo
        file.unlink(missing_ok=True)

    from bifsmn_tf.runtime import ops_library

    ops_library()  # better now than after the training
    _step(1, "Recordings")
    root = arguments.data
    if root is None:
        root = _synthetic(out / "synthetic", arguments.task)
    _common.import_tensorflow()
    from bifsmn_tf import evaluation, plots, recipes
    from bifsmn_tf.recipes import save_model
    from bifsmn_tf.data import SpeechCommands

    data = SpeechCommands(root, arguments.task, seed=arguments.seed)
    counts = {
        subset: len(data.waveforms(subset, dtype="int16")[1])
        for subset in ("training", "validation", "testing")
    }
    print(f"{root}: {' '.join(data.labels)}")
    print(", ".join(f"{count} {subset}" for subset, count in counts.items()) + " clips")

    left = (1 - _RESERVE) * arguments.minutes - (time.monotonic() - started) / 60
    left = max(left, 0.1)
    _step(2, f"Training a float teacher, {60 * left * _TEACHER_SHARE:.0f} s")
    teacher = recipes.train_teacher(
        data, recipe="light", seed=arguments.seed, minutes=left * _TEACHER_SHARE
    ).model
    save_model(teacher, files["teacher.keras"])

    left = (1 - _RESERVE) * arguments.minutes - (time.monotonic() - started) / 60
    left = max(left, 0.1)
    _step(3, f"Training a BiFSMN with HED, {60 * left:.0f} s (validation accuracy per switch)")
    student = recipes.train_student(
        data, teacher, recipe="light", seed=arguments.seed, minutes=left
    ).model
    save_model(student, files["student.keras"])

    _step(4, "Converting")
    reports = {
        "teacher": _convert(teacher, files["teacher.tflite"]),
        "bifsmn": _convert(student, files["bifsmn.tflite"]),
    }
    for name, report in reports.items():
        print(f"{files[f'{name}.tflite']}: {report.total_bytes:,} bytes")

    clips = _Clips(data, _EVALUATION_CLIPS)
    _step(5, f"Running {clips.count} clips that were not trained on in the TFLite interpreter")
    models = {name: _common.open_tflite(files[f"{name}.tflite"]) for name in reports}
    results = {
        name: evaluation.evaluate(model, clips, clips.subset) for name, model in models.items()
    }
    times = _measure(models)
    rows = [
        Row(
            "float D-FSMN" if name == "teacher" else f"BiFSMN {result.thin}",
            result.thin,
            result,
            reports[name].total_bytes,
            times[name, result.thin],
        )
        for name in models
        for result in results[name].switches
    ]
    print()
    print(_table(rows))
    baseline = results["teacher"].baselines["majority"]
    print(
        f"Time per inference: features to scores, one thread, median of {_TIMING_ROUNDS} "
        f"interleaved repeats on this machine.\nAll switches share one file. Always the most "
        f"frequent class would be right for {100 * baseline:.1f} %."
    )
    if arguments.data is None:
        print("Synthetic speech: these accuracies say that it works, not how good it is.")

    _step(6, "Answers")
    _answer(files["bifsmn.tflite"], data, arguments.seed)
    plots.trade_off(
        [
            (row.name, row.result.accuracy, row.result.interval, row.microseconds, row.size)
            for row in rows
        ],
        reports["bifsmn"],
        files["demo.png"],
        title=f"{len(data.labels)} classes, {clips.count} clips"
        + (" of synthetic speech" if arguments.data is None else ""),
    )
    minutes = (time.monotonic() - started) / 60
    record = {
        "data": str(root),
        "labels": list(data.labels),
        "clips": counts,
        "evaluated_clips": clips.count,
        "rows": [
            {
                "name": row.name, "thin": row.thin, "bytes": row.size,
                "microseconds": row.microseconds,
                "faster": rows[0].microseconds / row.microseconds,
                "smaller": rows[0].size / row.size,
                **row.result.to_dict(),
            }
            for row in rows
        ],
        "minutes": round(minutes, 2),
        "versions": _common.versions(),
    }  # fmt: skip
    for path in (files["demo.json"], arguments.json):
        if path is not None:
            _common.write_json(record, path)
    print(f"\nDone in {minutes:.1f} min: {files['demo.png']} (picture), {files['demo.json']}")
    print(_next(arguments, root))


def _step(number, text):
    print(f"\n[{number}/6] {text}", flush=True)


def _synthetic(folder, task):
    """The synthetic command set, made on first use."""
    from bifsmn_tf.data import make_synthetic, tasks

    print(f"synthetic speech in {folder}" + ("" if folder.exists() else ", being made"), flush=True)
    words = tasks.task_words(task)
    return make_synthetic(folder, None if words == tasks.KEYWORDS_8 else words, overwrite=True)


def _convert(model, path):
    from bifsmn_tf.conversion import convert_with_report
    from bifsmn_tf.files import replacing

    with _common.quiet_stderr():
        content, report = convert_with_report(model)
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return report


class _Clips:
    """Validation and testing clips together, thinned out evenly if there are very many."""

    subset = "validation and testing"

    def __init__(self, data, most):
        import numpy as np

        parts = [data.waveforms(s, dtype="int16") for s in ("validation", "testing")]
        samples, self.classes = (np.concatenate(arrays) for arrays in zip(*parts))
        chosen = np.arange(len(samples))
        if len(chosen) > most:
            chosen = np.linspace(0, len(chosen) - 1, most).round().astype(int)
        self.samples, self.classes = samples[chosen], self.classes[chosen]
        self.labels = data.labels
        self.count = len(chosen)

    def waveforms(self, subset, dtype="int16"):
        """As `SpeechCommands.waveforms`."""
        return self.samples, self.classes

    def baselines(self, subset):
        """As `SpeechCommands.baselines`."""
        import numpy as np

        shares = np.bincount(self.classes, minlength=len(self.labels)) / self.count
        extra = [share for label, share in zip(self.labels, shares) if label.startswith("_")]
        return {"majority": float(shares.max()), "unknown_and_silence": float(sum(extra))}


def _measure(models):
    """Median time per inference in microseconds, by model and switch, measured in turns."""
    import statistics

    calls = [(name, switch) for name, model in models.items() for switch in model.switches]
    seconds = {call: [] for call in calls}
    for turn in range(_TIMING_ROUNDS + 20):
        for name, switch in calls:
            invoke = models[name].invoke
            begin = time.perf_counter()
            invoke(switch)
            passed = time.perf_counter() - begin
            if turn >= 20:  # the first turns warm up
                seconds[name, switch].append(passed)
    return {call: 1e6 * statistics.median(values) for call, values in seconds.items()}


def _table(rows):
    """The table, aligned for a terminal."""
    from bifsmn_tf import text_table

    first = rows[0]
    header = ("", "accuracy", "95 % interval", "keywords", "file, bytes", "smaller",
              "time, us", "faster")  # fmt: skip
    cells = [header]
    for row in rows:
        low, high = row.result.interval
        keywords = row.result.keyword_accuracy
        cells.append(
            (
                row.name,
                f"{100 * row.result.accuracy:.1f} %",
                f"{100 * low:.1f} to {100 * high:.1f} %",
                "" if keywords is None else f"{100 * keywords:.1f} %",
                f"{row.size:,}",
                f"{first.size / row.size:.1f}x",
                f"{row.microseconds:.1f}",
                f"{first.microseconds / row.microseconds:.1f}x",
            )
        )
    lines = text_table.aligned(cells, right=range(1, len(header)))
    lines.insert(1, "-" * len(lines[0]))
    return "\n".join(lines)


def _answer(path, data, seed):
    """Lets the converted file answer a few testing clips."""
    import numpy as np

    from bifsmn_tf.data.audio_files import read_clip
    from bifsmn_tf.runtime import KeywordSpotter

    with _common.quiet_stderr():
        spotter = KeywordSpotter(path)
        spotter.predict(np.zeros(16000, np.float32))
    examples = [e for e in data.examples("testing") if e.path is not None and not e.is_silence]
    keywords = [e for e in examples if not data.labels[e.label].startswith("_")]
    others = [e for e in examples if data.labels[e.label].startswith("_")]
    random = np.random.default_rng(seed)
    chosen = [keywords[i] for i in random.permutation(len(keywords))[:5]]
    chosen += [others[i] for i in random.permutation(len(others))[:1]]
    for example in chosen:
        label, score, _ = spotter.predict(read_clip(example.path))
        name = "/".join(example.path.parts[-2:])
        print(f"{name:<32}  heard: {label.strip('_')} ({score:.2f})")


def _next(arguments, root):
    data = root if arguments.data is not None else "FOLDER"
    lines = ["Next:"]
    if arguments.data is None:
        lines.append(
            "  real speech     python -m bifsmn_tf.data download FOLDER   (Speech Commands, 2.4 GB)"
        )
        lines.append("                  make demo DATA=FOLDER")
    lines += [
        f"  train longer    python tools/train.py {data} runs/first --task "
        f"{arguments.task if isinstance(arguments.task, int) else ','.join(arguments.task)}",
        "  convert         python tools/convert.py runs/first/student.keras kws.tflite",
        f"  evaluate        python tools/evaluate.py kws.tflite {data}",
        "  use it          from bifsmn_tf.runtime import KeywordSpotter",
        f"                  KeywordSpotter(\"{arguments.out / 'bifsmn.tflite'}\", thin=0.5)"
        ".predict(audio)",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(_common.run(main))
