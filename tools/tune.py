#!/usr/bin/env python3
"""Searches for a better training recipe with keras-tuner, on a folder of recordings."""

import argparse
import shlex
import sys
from pathlib import Path

import _common

_EPILOG = """\
OUT_DIR receives results.md, results.csv, results.png (written anew after every trial), best.json
(for tools/train.py --recipe) and trials/ with every training. Interrupted at any moment, the same
command goes on where it stopped; a larger --trials goes on after the last one (not: hyperband).

Trial 0 is the recipe as it is: what the others have to beat. A student counts with the mean
accuracy over its switches.

--search names what is searched, and with which values: learning_rate=1e-3:5e-3 (a range),
batch_size=64/128 (some values), mixup=0.3 (set, not searched). What is not named stays as the
recipe has it. Without --search: everything that the recipe and the loss use, except distractors
and spoken (every share needs augmented clips of its own, on disk and in time).

hyperband trains many settings for few epochs, and the best third again for three times as many,
from new weights: a schedule ends with its training. Its number of trials follows from --epochs.
"""
_TRIALS = 12


def parser():
    """The command line."""
    result = argparse.ArgumentParser(
        prog="tune.py", description=__doc__, epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    result.add_argument("data", metavar="DATA", help="folder laid out like Speech Commands")
    result.add_argument("out", metavar="OUT_DIR", type=Path, help="folder to write to")

    _common.add_task_options(
        result,
        cache="keep decoded and augmented clips there, which all trials share (default "
        "OUT_DIR/cache)",
    )

    group = result.add_argument_group("network")
    group.add_argument("--network", choices=("teacher", "student"), default="teacher")
    group.add_argument(
        "--teacher", type=Path, metavar="FILE.keras", help="trained teacher of a student"
    )
    group.add_argument(
        "--model", choices=("bifsmn", "bifsmnv2", "fsmn"), default="bifsmn",
        help="the student, or whose teacher (default %(default)s)",
    )  # fmt: skip
    group.add_argument("--variant", choices=("base", "S"), default="base", help="size")
    group.add_argument(
        "--thin", type=_common.switches, metavar="1.0,0.5,0.25",
        help="switches of the student (default all three)",
    )  # fmt: skip
    group.add_argument(
        "--recipe", type=_common.recipe, default="default", metavar="default|light|paper|FILE",
        help="where to start from (default %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--distillation", choices=("hed", "fid", "attention", "none"),
        help="of a student's hidden states, where it is not searched (default: hed, bifsmnv2: fid)",
    )  # fmt: skip
    group.add_argument(
        "--logits", choices=("soft", "mse", "none"),
        help="distillation of a student's logits (default: soft; with the paper's recipe none, "
        "bifsmnv2: mse)",
    )  # fmt: skip

    group = result.add_argument_group("search")
    group.add_argument(
        "--search", metavar="NAME[=VALUES],...",
        help="hyperparameters: learning_rate, batch_size, weight_decay, masks, mixup, "
        "distractors, spoken; of a student's loss: distillation, gamma, temperature, logits_weight",
    )  # fmt: skip
    group.add_argument(
        "--method", choices=("hyperband", "bayesian", "random"), default="hyperband",
        help="default %(default)s",
    )  # fmt: skip
    group.add_argument(
        "--trials", type=_common.positive_int, metavar="N",
        help=f"besides trial 0 (default {_TRIALS}; hyperband: stop after so many)",
    )  # fmt: skip
    group.add_argument(
        "--epochs", type=_common.positive_int, metavar="E", default=9,
        help="of every trial, of hyperband the longest (default %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--factor", type=_common.positive_int, metavar="K", default=3,
        help="hyperband: a Kth goes on K times as long (default %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--seed", type=_common.natural_int, default=0, help="of the search and of every training"
    )
    group.add_argument(
        "--jit", action=argparse.BooleanOptionalAction, default=True, help="compile with XLA"
    )
    group.add_argument(
        "--plan", action="store_true", help="show the trials' number and epochs and end"
    )
    group.add_argument(
        "--restart", action="store_true", help="forget what OUT_DIR holds of an earlier search"
    )
    return result


def main(argv=None):
    """Runs the tool."""
    arguments = parser().parse_args(argv)
    _check(arguments)
    _common.check_folder(arguments.data)
    try:
        _tune(arguments)
    except KeyboardInterrupt:
        _common.print_interrupted(arguments.restart)
        return _common.FAILURE
    return _common.OK


def _check(arguments):
    """Wrong usage, before anything slow is done."""
    if arguments.factor < 2:
        parser().error(f"--factor should be 2 at least. Received: {arguments.factor}")
    if arguments.out.exists() and not arguments.out.is_dir():
        parser().error(f"OUT_DIR should be a folder. Received: {arguments.out}")
    if arguments.network == "student":
        if arguments.teacher is None:
            parser().error("--network student needs --teacher FILE.keras")
    else:
        for name in ("teacher", "thin", "distillation", "logits"):
            if getattr(arguments, name) is not None:
                parser().error(f"--{name} is for --network student")
    if arguments.model == "fsmn":
        if arguments.variant != "base" or arguments.thin is not None:
            parser().error("--variant and --thin are not for an fsmn")
    if arguments.method != "hyperband":
        arguments.trials = arguments.trials or _TRIALS


def _tune(arguments):
    _common.import_tensorflow()
    import tensorflow as tf

    # A series of trainings traces many functions, as it should.
    tf.get_logger().setLevel("ERROR")
    from bifsmn_tf import recipes, tuning
    from bifsmn_tf.data import SpeechCommands

    wanted = None
    if arguments.search is not None:
        wanted = [tuning.parse(part) for part in arguments.search.split(",")]
    out = arguments.out
    data = SpeechCommands(
        arguments.data,
        arguments.task,
        arguments.protocol,
        unknown_percentage=None if arguments.unknown is None else {"training": arguments.unknown},
        cache_dir=arguments.cache or out / "cache",
    )
    kwargs = {} if arguments.model == "fsmn" else {"variant": arguments.variant}
    teacher, settings = None, {"task": arguments.task, "unknown": arguments.unknown}
    if arguments.network == "student":
        teacher = _common.read_teacher([arguments.teacher])
        settings["teacher"] = _common.digest(arguments.teacher)[:16]
        if arguments.model != "fsmn":
            kwargs["switches"] = arguments.thin or (1.0, 0.5, 0.25)
    chosen = arguments.recipe
    subject = tuning.Subject(
        data, arguments.network, teacher, arguments.model,
        recipes.read(chosen) if isinstance(chosen, Path) else chosen,
        distillation=arguments.distillation, logits=arguments.logits, seed=arguments.seed,
        jit_compile=arguments.jit, **kwargs,
    )  # fmt: skip
    space = tuning.make_space(subject, wanted)
    search = tuning.Search(
        subject, space, out, arguments.method, arguments.trials, arguments.epochs,
        arguments.factor, arguments.seed, settings, restart=arguments.restart,
    )  # fmt: skip
    print(f"{arguments.network}, {data.num_classes} classes: {' '.join(data.labels)}")
    print(f"search: {', '.join(map(str, space))}")
    print(
        f"{arguments.method}: {len(search.plan)} trials with the recipe itself, "
        f"{sum(search.plan)} epochs in all",
        flush=True,
    )
    if arguments.plan:
        return
    if arguments.restart:
        for name in _RESULTS:
            (out / name).unlink(missing_ok=True)
    progress = _Progress(arguments, search)
    search.run(progress.trial, progress.callbacks)
    report = progress.report
    print()
    print("\n".join(report.notes()[4:]))
    print(f"{out / 'results'}.md, .csv, .png; {out / 'best.json'}; train with it:")
    print(_train_command(arguments, report))


_RESULTS = ("results.md", "results.csv", "results.png", "best.json")


class _Progress:
    """Prints a line per trial and writes the results so far."""

    def __init__(self, arguments, search):
        self.arguments = arguments
        self.search = search
        self.trials = []
        self._trained = []

    @property
    def report(self):
        from bifsmn_tf import tuning

        return tuning.Report(self.search, self.trials)

    def trial(self, trial, stored):
        """After a trial."""
        from bifsmn_tf.recipes.epoch_line import duration

        self.trials.append(trial)
        if not stored:
            self._trained.append(trial)
        best = self.report.best
        values = "the recipe" if trial.number == 0 else _values(trial.values)
        words = "diverged" if trial.diverged else f"{100 * trial.accuracy:.2f} %"
        words += f"  best {100 * best.accuracy:.2f} ({best.number})  {duration(60 * trial.minutes)}"
        if stored:
            words += "  (stored)"
        else:
            minutes = sum(one.minutes for one in self._trained)
            epochs = sum(one.epochs for one in self._trained)
            left = 60 * minutes / epochs * sum(self.search.plan[trial.number + 1 :])
            words += f"  {duration(left)} left" if left > 1 else ""
        clear = "\r\033[K" if sys.stdout.isatty() else ""
        print(f"{clear}{self._title(trial.number, trial.epochs)}, {values}: {words}", flush=True)
        # All stored ones have been written already, except after a kill in the wrong moment.
        if not stored or len(self.trials) == len(self.search.plan):
            _write(self.arguments, self.report)

    def callbacks(self, number, values, epochs):
        """Before a training: what shows its epoch on a terminal."""
        import keras

        head = self._title(number, epochs)

        def show(epoch, logs):
            if sys.stdout.isatty():
                print(f"\r\033[K{head}: epoch {epoch + 1}", end="", flush=True)

        return [keras.callbacks.LambdaCallback(on_epoch_begin=show)]

    def _title(self, number, epochs):
        last = len(self.search.plan) - 1
        return f"[{number:>{len(str(last))}}/{last}] {epochs} epoch{'s' * (epochs > 1)}"


def _values(values):
    return ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in values.items()
    )


def _write(arguments, report):
    from bifsmn_tf import plots

    out = arguments.out
    _common.write_text(report.to_markdown(_train_command(arguments, report)), out / "results.md")
    _common.write_text(report.to_csv(), out / "results.csv")
    plots.search(report, out / "results.png")
    _common.write_json(report.recipe(), out / "best.json")


def _train_command(arguments, report):
    """Command line that trains with the best values."""
    words = [
        "tools/train.py", arguments.data, arguments.out / "best",
        "--recipe", arguments.out / "best.json",
    ]  # fmt: skip
    task = arguments.task
    words += ["--task", task if isinstance(task, int) else ",".join(task)]
    if arguments.protocol != "warden":
        words += ["--protocol", arguments.protocol]
    if arguments.unknown is not None:
        words += ["--unknown", arguments.unknown]
    if arguments.cache is not None:
        words += ["--cache", arguments.cache]
    words += ["--model", arguments.model]
    if arguments.model != "fsmn":
        words += ["--variant", arguments.variant]
    words += ["--seed", arguments.seed]
    if arguments.network == "teacher":
        words += ["--epochs", 0]
    else:
        words += ["--teacher", arguments.teacher]
        if arguments.thin is not None:
            words += ["--thin", ",".join(map(str, arguments.thin))]
        if arguments.recipe == "paper" and arguments.model != "fsmn":
            words += ["--no-switch-all-bn"]
        loss = report.loss()
        for name, value in loss.items():
            idle = (
                value is None
                or (name == "temperature" and loss["logits"] != "soft")
                or (name == "gamma" and loss["distillation"] == "none")
            )
            if not idle:
                words += [f"--{name.replace('_', '-')}", value]
    return shlex.join(map(str, words))


if __name__ == "__main__":
    sys.exit(_common.run(main))
