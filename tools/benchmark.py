#!/usr/bin/env python3
"""Measures how long a converted network takes on this machine, beside others.

One process, one thread; the files take turns, so that whatever else the machine does disturbs
all alike. Caches are warm: a sample is the mean of many invocations in a row.
"""

import argparse
import os
import platform
import sys
from pathlib import Path

import _common

# Before numpy is loaded: its log-mel spectrogram would otherwise use every core.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from bifsmn_tf.benchmarking import timing
from bifsmn_tf.benchmarking.subject import Subject, read

_CALIBRATION_CLIPS = 200


def parser():
    """The command line."""
    result = argparse.ArgumentParser(
        prog="benchmark.py", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    result.add_argument("model", metavar="MODEL.tflite", type=Path)
    result.add_argument(
        "--against", metavar="PEER.tflite", type=Path, action="append", default=[],
        help="a float or int8 file to compare with; may be given again",
    )  # fmt: skip
    result.add_argument(
        "--thin", type=_common.switches_or_all, metavar="all|1.0,0.5",
        help="switches of MODEL.tflite (default all)",
    )  # fmt: skip
    result.add_argument(
        "--repeats", type=_common.positive_int, default=200, metavar="N",
        help="samples of each (default %(default)s)",
    )  # fmt: skip
    result.add_argument(
        "--threads", type=_common.positive_int, default=1, metavar="N",
        help="threads of the interpreter's builtin operators (default %(default)s)",
    )  # fmt: skip
    result.add_argument(
        "--with-frontend", action="store_true",
        help="also measure the log-mel spectrogram, in numpy, in builtin operators and in ours",
    )  # fmt: skip
    result.add_argument(
        "--profile", action="store_true",
        help="also measure every operator: time of the graph up to it minus that up to the one "
        "before",
    )  # fmt: skip
    result.add_argument(
        "--make-int8", type=Path, metavar="OUT.tflite",
        help="quantize the first --against file to full-integer int8 and compare with it, too",
    )  # fmt: skip
    result.add_argument(
        "--data", metavar="DIR", help="recordings to calibrate --make-int8 on (default: noise)"
    )
    result.add_argument("--force", action="store_true", help="replace OUT.tflite if it exists")
    result.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    return result


def main(argv=None):
    """Runs the tool."""
    arguments = parser().parse_args(argv)
    if arguments.make_int8 and not arguments.against:
        parser().error("--make-int8 needs a float network: --against FLOAT.tflite")
    if arguments.data and not arguments.make_int8:
        parser().error("--data is for --make-int8")
    if arguments.make_int8 and arguments.make_int8.exists() and not arguments.force:
        raise FileExistsError(f"{arguments.make_int8} exists; pass --force to replace it")
    if arguments.data:
        _common.check_folder(arguments.data)
    contents = {path: read(path) for path in (arguments.model, *arguments.against)}
    if arguments.make_int8:
        contents[arguments.make_int8] = _make_int8(contents[arguments.against[0]], arguments)

    names = _common.short_names(contents)
    with _common.quiet_stderr():
        subjects = {
            path: Subject(content, arguments.threads, names[path])
            for path, content in contents.items()
        }
    ours = subjects[arguments.model]
    switches = _chosen(arguments.thin, ours)
    for peer in subjects.values():
        if peer.input_shape != ours.input_shape:
            raise ValueError(
                f"All files should take the same input, {ours.input_shape}, or their times do not "
                f"compare. Received: {peer.name}, which takes {peer.input_shape}"
            )

    functions = {
        (subject.name, switch): subject.invoker(switch)
        for subject in subjects.values()
        for switch in (switches if subject is ours else subject.switches)
    }
    if arguments.with_frontend:
        functions.update(_front_ends(ours, arguments.threads))
    samples = timing.interleave(functions, arguments.repeats, progress=_progress(arguments))
    report = {"machine": machine(arguments.threads), "repeats": arguments.repeats}
    print(
        f"{report['machine']['interpreter']} on {report['machine']['processor']}, "
        f"{arguments.threads} thread(s), {arguments.repeats} interleaved repeats; microseconds: "
        "median (p10-p90); the best of all repeats tells most on a busy machine"
    )
    report["models"] = _network_table(subjects, ours, switches, samples)
    if arguments.with_frontend:
        report["front_end"] = _front_end_table(ours, switches, samples)
    if arguments.profile:
        report["profile"] = {
            str(switch): _profile(contents[arguments.model], ours, switch, arguments)
            for switch in switches
        }
    if arguments.json is not None:
        _common.write_json(report, arguments.json)


def machine(threads=1):
    """What the figures were measured on."""
    import importlib.metadata

    from bifsmn_tf.runtime.library import tflite_module

    package = tflite_module().__name__.partition(".")[0].replace("_", "-")
    processor = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            names = [line.split(":", 1)[1].strip() for line in file if "model name" in line]
        processor = names[0] if names else processor
    except OSError:
        pass
    return {
        "processor": processor,
        "architecture": platform.machine(),
        "processors": os.cpu_count(),
        "threads": threads,
        "interpreter": f"{package} {importlib.metadata.version(package)}",
        "python": platform.python_version(),
    }


def _chosen(thin, subject):
    for switch in thin or ():
        if switch not in subject.switches:
            raise ValueError(
                f"--thin should be among the file's switches {subject.switches}. "
                f"Received: {switch}"
            )
    return thin or subject.switches


def _make_int8(content, arguments):
    import numpy as np

    from bifsmn_tf.files import replacing
    from bifsmn_tf.runtime import log_mel

    _common.import_tensorflow()
    with _common.quiet_stderr():
        from bifsmn_tf.benchmarking.quantization import to_int8

        shape = Subject(content).input_shape
        if arguments.data:
            from bifsmn_tf.data import SpeechCommands

            data, _ = SpeechCommands(arguments.data).waveforms("validation", dtype="int16")
            clips = data[np.linspace(0, len(data) - 1, _CALIBRATION_CLIPS).astype(int)]
            clips = clips / np.float32(32768)
        else:
            random = np.random.default_rng(0)
            loudness = 10 ** random.uniform(-4, -0.5, (_CALIBRATION_CLIPS, 1))
            clips = (loudness * random.standard_normal((_CALIBRATION_CLIPS, 16000))).clip(-1, 1)
        examples = clips if len(shape) == 2 else log_mel(clips.astype(np.float32), shape[1])
        result = to_int8(content, examples)
    with replacing(arguments.make_int8) as temporary:
        temporary.write_bytes(result)
    source = arguments.data or "noise"
    print(f"{arguments.make_int8}: {len(result):,} bytes, calibrated on {source}")
    return result


def _progress(arguments):
    if not sys.stderr.isatty():
        return None

    def show(done):
        end = "\n" if done == arguments.repeats else "\r"
        print(f"measuring {done}/{arguments.repeats}", end=end, file=sys.stderr, flush=True)

    return show


# ------------------------------------------------------------------------------ tables


def _text(summary):
    return f"{summary.median * 1e6:9.1f} ({summary.p10 * 1e6:.1f}-{summary.p90 * 1e6:.1f})"


def _to_dict(summary, scale=1e6):
    return {key: value * scale for key, value in summary._asdict().items()}


def _column(peer):
    """Width of the column with the ratios to a peer."""
    return max(24, len(peer.name) + len("x , best"))


def _network_table(subjects, ours, switches, samples):
    peers = [subject for subject in subjects.values() if subject is not ours]
    width = max(len(subject.name) for subject in subjects.values())
    print(
        f"  {'model':<{width}}  {'bytes':>9}  switch  {'time':<26}  {'best':>8}"
        + "".join(f"  {'x ' + peer.name + ', best':<{_column(peer)}}" for peer in peers)
    )
    rows = []
    for subject in subjects.values():
        for switch in switches if subject is ours else subject.switches:
            mine = samples[subject.name, switch]
            row = {
                "model": subject.name, "bytes": subject.size, "switch": switch,
                "microseconds": _to_dict(timing.summarize(mine)), "ratios": {},
            }
            line = (
                f"  {subject.name:<{width}}  {subject.size:>9,}  {switch:>6}  "
                f"{_text(timing.summarize(mine)):<26}  {mine.min() * 1e6:>8.1f}"
            )
            for peer in peers if subject is ours else ():
                other = switch if switch in peer.switches else peer.switches[0]
                ratio = timing.ratio(mine, samples[peer.name, other])
                best = float(samples[peer.name, other].min() / mine.min())
                row["ratios"][peer.name] = {**_to_dict(ratio, 1), "best": best}
                text = f"{ratio.median:.2f} ({ratio.p10:.2f}-{ratio.p90:.2f}), {best:.2f}"
                line += f"  {text:<{_column(peer)}}"
            rows.append(row)
            print(line.rstrip())
    return rows


def _front_ends(ours, threads):
    """The log-mel spectrograms as functions to measure."""
    import numpy as np

    from bifsmn_tf.benchmarking.subject import example_input
    from bifsmn_tf.runtime import log_mel

    bands = 32 if len(ours.input_shape) == 2 else ours.input_shape[1]
    audio = example_input((1, 16000))
    functions = {("log-mel", "numpy"): lambda: log_mel(audio, bands)}
    try:
        _common.import_tensorflow()
        with _common.quiet_stderr():
            from bifsmn_tf.benchmarking.front_end import log_mel_tflite

            subjects = {
                kind: Subject(log_mel_tflite(bands, builtin=builtin), threads, "log-mel")
                for kind, builtin in (("TFLite", True), ("operator", False))
            }
    except ImportError as error:
        print(f"log-mel in TFLite: not measured, {_common.describe(error)}", file=sys.stderr)
        return functions
    for kind, subject in subjects.items():
        difference = float(np.abs(
            next(iter(subject.feed(audio).values()))[0, :, :, 0]
            - log_mel(audio, bands)[0, :, :, 0].T
        ).max())  # fmt: skip
        if not difference < 0.1:
            raise RuntimeError(f"The spectrograms differ by {difference} dB")
        functions["log-mel", kind] = subject.invoker(subject.switches[0])
    return functions


def _front_end_table(ours, switches, samples):
    rows = []
    for kind in ("numpy", "TFLite", "operator"):
        if ("log-mel", kind) not in samples:
            continue
        mine = samples["log-mel", kind]
        row = {"kind": kind, "microseconds": _to_dict(timing.summarize(mine))}
        print(f"  log-mel, {kind:<8} {_text(timing.summarize(mine))}")
        if len(ours.input_shape) != 2:  # a file that takes audio has one inside already
            row["with_network"] = {}
            for switch in switches:
                both = timing.summarize(mine + samples[ours.name, switch])
                row["with_network"][str(switch)] = _to_dict(both)
                print(f"    + {ours.name} {switch}: {_text(both).strip()}")
        rows.append(row)
    return rows


def _profile(content, ours, switch, arguments):
    from bifsmn_tf.benchmarking.prefixes import prefixes

    cuts = prefixes(content, ours.signature(switch))
    with _common.quiet_stderr():
        subjects = [Subject(cut.content, arguments.threads, ours.name) for cut in cuts]
    samples = timing.interleave(
        {i: subject.invoker(subject.switches[0]) for i, subject in enumerate(subjects)},
        max(20, arguments.repeats // 2),
    )
    print(
        f"  {ours.name} {switch}, by operator (the graph cut behind each one; time of the cut "
        "graph, and what it takes more than the one before, which noise can make negative)"
    )
    rows, before = [], 0.0
    for i, cut in enumerate(cuts):
        upto = timing.summarize(samples[i]).median
        rows.append({
            "operator": cut.name, "output": cut.output, "microseconds": (upto - before) * 1e6,
            "microseconds_up_to_here": upto * 1e6,
        })  # fmt: skip
        print(
            f"    {i:>3}  {cut.name:<18} {cut.output:<24} {upto * 1e6:9.2f}  "
            f"{(upto - before) * 1e6:+8.2f}"
        )
        before = upto
    totals = {}
    for row in rows:
        count, time = totals.get(row["operator"], (0, 0.0))
        totals[row["operator"]] = count + 1, time + row["microseconds"]
    for name, (count, time) in sorted(totals.items(), key=lambda item: -item[1][1]):
        print(f"    {count:>3} x {name:<18} {time:8.2f}  {100 * time / (before * 1e6):5.1f} %")
    return rows


if __name__ == "__main__":
    sys.exit(_common.run(main))
