#!/usr/bin/env python3
"""Trains rows of the papers' tables and sets the measured figures beside the printed ones."""

import argparse
import subprocess
import sys
from pathlib import Path

import _common

_EPILOG = """\
OUT receives table<T>.md, .csv, .png and .json, and runs/ with every training. Interrupted at any
moment, the same command goes on where it stopped; tables share what they have in common.
--task gives other words to the rows of 12 classes, for a folder that lacks some of the twelve.
--quick ends within a quarter of an hour on two cores for table 1: few clips, few epochs, one
seed. It shows that everything runs, not what the networks can do.
"""
# Of a quick trial: clips of every subset, and epochs.
_QUICK_CLIPS = {"training": 1920, "validation": 480, "testing": 480}
_QUICK_EPOCHS, _QUICK_TEACHER_EPOCHS = 8, 12


def parser():
    """The command line."""
    result = argparse.ArgumentParser(
        prog="reproduce.py", description=__doc__, epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    result.add_argument(
        "--table", default="1", choices=("1", "2", "3", "3-sound", "ablation"),
        help="two are this project's: ablation adds rows to table 1, 3-sound has the networks of "
        "table 3 as they should be binarized (default %(default)s)",
    )  # fmt: skip
    result.add_argument("--data", metavar="DIR", help="folder laid out like Speech Commands")
    result.add_argument(
        "--rows", type=lambda text: text.split(","), metavar="NAME,NAME",
        help="rows by name, * and ? allowed (default all)",
    )  # fmt: skip
    result.add_argument("--list", action="store_true", help="show the rows and end")
    result.add_argument(
        "--out", type=Path, default=Path("runs/reproduce"), metavar="OUT",
        help="folder to write to (default %(default)s)",
    )  # fmt: skip

    group = result.add_argument_group("protocol")
    group.add_argument(
        "--task", type=_common.task, metavar="TASK",
        help="10 or word,word,... instead of 12 classes; only rows of 12 classes are run then",
    )  # fmt: skip
    group.add_argument(
        "--protocol", choices=("paper", "warden"), default="paper",
        help="what becomes of other words and silence (default %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--unknown", type=_common.percentage_or_all, metavar="PERCENT",
        help="unknown clips in the training subset, in percent of the keywords, or all",
    )  # fmt: skip
    group.add_argument(
        "--subset", choices=("testing", "validation"), default="testing",
        help="clips to report accuracy on (default %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--recipe", type=_common.recipe, default="light", metavar="default|light|paper|FILE",
        help="paper: theirs in all; light: their augmentation, but Adam and fewer epochs; "
        "default: that of tools/train.py; or a JSON file of recipes (default %(default)s)",
    )  # fmt: skip
    group.add_argument("--epochs", type=_common.positive_int, metavar="N", help="of all networks")
    group.add_argument(
        "--teacher-epochs", type=_common.positive_int, metavar="N", help="of the float networks"
    )
    group.add_argument(
        "--teacher", type=Path, metavar="FILE.keras",
        help="the float network of all rows and seeds, instead of training one per seed; rows of "
        "float networks are left out",
    )  # fmt: skip
    group.add_argument(
        "--seeds", type=_common.positive_int, default=1, metavar="K", help="seeds 0 to K-1"
    )
    group.add_argument("--quick", action="store_true", help="a trial of a few minutes")
    group.add_argument("--cache", metavar="DIR", help="keep decoded clips there for later runs")
    group.add_argument(
        "--jit", action=argparse.BooleanOptionalAction, default=True, help="compile with XLA"
    )
    # For the process that trains one of the runs.
    group.add_argument("--only-run", metavar="KEY", help=argparse.SUPPRESS)
    return result


def main(argv=None):
    """Runs the tool."""
    argv = sys.argv[1:] if argv is None else argv
    arguments = parser().parse_args(argv)
    from bifsmn_tf.reproduction import tables

    try:
        rows = tables.select(arguments.table, arguments.rows)
    except ValueError as error:
        parser().error(str(error))
    if arguments.list:
        _list(arguments.table, rows)
        return _common.OK
    if arguments.data is None:
        parser().error("--data DIR is needed to train")
    if arguments.quick and arguments.seeds > 1:
        parser().error("--quick trains one seed")
    _common.check_folder(arguments.data)
    try:
        _reproduce(arguments, rows, [str(argument) for argument in argv])
    except KeyboardInterrupt:
        print("\ninterrupted: the same command goes on where it stopped", file=sys.stderr)
        return _common.FAILURE
    return _common.OK


def _list(table, rows):
    from bifsmn_tf import text_table
    from bifsmn_tf.reproduction import tables

    def figures(values):
        return "/".join(f"{value:.2f}" for value in values) or "-"

    print(tables.TITLES[table])
    cells = [("row", "network", "method", "FLOPs, M", "V1, %", "V2, %")]
    for row in rows:
        cells.append(
            (
                row.name, row.architecture, row.method,
                figures(row.flops), figures(row.v1), figures(row.v2),
            )
        )  # fmt: skip
    print("\n".join(text_table.aligned(cells)))


def _reproduce(arguments, rows, argv):
    _common.import_tensorflow()
    import tensorflow as tf

    # A series of trainings traces many functions, as it should.
    tf.get_logger().setLevel("ERROR")
    from bifsmn_tf import plots, recipes
    from bifsmn_tf.reproduction import report as reports
    from bifsmn_tf.reproduction import tables
    from bifsmn_tf.reproduction.experiment import Experiment
    from bifsmn_tf.reproduction.few_clips import FewClips

    left_out = ()
    if arguments.task is not None:
        left_out = tuple(row for row in rows if row.classes != 12)
        if left_out and arguments.rows is not None:
            raise ValueError(
                "--task takes the place of the 12 classes; rows of 20 and 35 classes have their "
                f"own. Received: --task with {', '.join(row.name for row in left_out)}"
            )
        rows = tuple(row for row in rows if row.classes == 12)
    not_trained = ()
    if arguments.teacher is not None:
        not_trained = tuple(row for row in rows if row.network.binarizer is None)
        rows = tuple(row for row in rows if row not in not_trained)
        if not rows:
            raise ValueError(
                "--teacher takes the place of float networks: there should be other rows. "
                f"Received: {', '.join(row.name for row in not_trained)}"
            )
        _common.read_model(arguments.teacher)
    limits = _QUICK_CLIPS if arguments.quick else None
    unknown = None if arguments.unknown is None else {"training": arguments.unknown}
    data = {}
    for classes in dict.fromkeys(row.classes for row in rows):
        task = arguments.task if classes == 12 and arguments.task else classes
        try:
            data[classes] = FewClips(
                arguments.data, limits, task=task, protocol=arguments.protocol,
                unknown_percentage=unknown, cache_dir=arguments.cache,
            )  # fmt: skip
        except ValueError as error:
            named = ", ".join(row.name for row in rows if row.classes == classes)
            raise ValueError(
                f"The folder cannot serve the rows of {classes} classes ({named}); choose others "
                f"with --rows, or words with --task. {error}"
            ) from error

    epochs, teacher_epochs = arguments.epochs, arguments.teacher_epochs or arguments.epochs
    if arguments.quick:
        epochs, teacher_epochs = epochs or _QUICK_EPOCHS, teacher_epochs or _QUICK_TEACHER_EPOCHS
    recipe, title = arguments.recipe, str(arguments.recipe)
    if isinstance(recipe, Path):
        recipe, title = recipes.read(recipe), recipe.name
    experiment = Experiment(
        data, arguments.out, recipe, epochs, teacher_epochs, arguments.subset,
        arguments.jit, arguments.teacher, title,
    )  # fmt: skip
    if experiment.teacher:
        experiment.teacher.check(rows, data)
    seeds = range(arguments.seeds)
    runs = experiment.runs(rows, seeds)
    if arguments.only_run is not None:
        keys = [experiment.key(run) for run in runs]
        if arguments.only_run not in keys:
            raise ValueError(f"No such run among these rows. Received: {arguments.only_run}")
        number = keys.index(arguments.only_run)
        experiment.train(runs[number], callbacks=[_counter(_head(number + 1, runs))])
        return
    protocol = reports.protocol_of(experiment, rows, seeds, limits)
    if not_trained:
        names = ", ".join(row.name for row in not_trained)
        protocol += (f"Left out with --teacher: {names}.",)
    if left_out:
        protocol += (f"Left out with --task: {', '.join(row.name for row in left_out)}.",)
    print("\n".join(protocol))
    # XLA keeps every step it compiled, close to a gigabyte for BiFSMNv2, until its process ends.
    _train(experiment, runs, [sys.executable, __file__, *argv] if arguments.jit else None)

    lines = reports.make_lines(experiment, rows, seeds)
    title = tables.TITLES[arguments.table]
    report = reports.Report(title, protocol, lines, arguments.quick)
    print(f"\n{report.to_markdown()}")
    stem = arguments.out / f"table{arguments.table}{'_quick' if arguments.quick else ''}"
    _common.write_text(report.to_markdown(), stem.with_suffix(".md"))
    _common.write_text(report.to_csv(), stem.with_suffix(".csv"))
    plots.reproduction(report, stem.with_suffix(".png"))
    record = {**report.to_dict(), "versions": _common.versions()}
    _common.write_json(record, stem.with_suffix(".json"))
    print(f"{stem}.md, .csv, .png, .json")


def _head(number, runs):
    return f"[{number:>{len(str(len(runs)))}}/{len(runs)}] {runs[number - 1].title}"


def _train(experiment, runs, command):
    """Trains what is not stored yet, each run in a process by `command`; one line per run."""
    import time

    from bifsmn_tf.recipes.epoch_line import duration

    spent, trained = 0.0, 0
    for number, run in enumerate(runs, 1):
        head = _head(number, runs)
        stored = experiment.stored(run) is not None
        started = time.monotonic()
        if not stored and command is not None:
            if subprocess.run([*command, "--only-run", experiment.key(run)]).returncode:
                raise ValueError(f"The training of {run.title} failed, see above")
        record = experiment.train(run, callbacks=[_counter(head)])
        if record["diverged"]:
            words = "diverged"
        else:
            switches = record["evaluations"][experiment.subset]["switches"]
            words = "  ".join(
                f"{100 * value['accuracy']:.2f} %" + (f" ({switch})" if len(switches) > 1 else "")
                for switch, value in switches.items()
            )
        if stored:
            words += "  (stored)"
        else:
            spent, trained = spent + time.monotonic() - started, trained + 1
            words += f"  {duration(time.monotonic() - started)}"
            left = sum(experiment.stored(other) is None for other in runs[number:])
            words += f"  {duration(spent / trained * left)} left" if left else ""
        clear = "\r\033[K" if sys.stdout.isatty() else ""
        print(f"{clear}{head}: {words}", flush=True)


def _counter(head):
    """Callback that shows the epoch of the run in progress on a terminal."""
    import keras

    def show(epoch, logs):
        if sys.stdout.isatty():
            print(f"\r\033[K{head}: epoch {epoch + 1}", end="", flush=True)

    return keras.callbacks.LambdaCallback(on_epoch_begin=show)


if __name__ == "__main__":
    sys.exit(_common.run(main))
