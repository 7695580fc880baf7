#!/usr/bin/env python3
"""Trains a float teacher and then a BiFSMN, BiFSMNv2 or FSMN on a folder of recordings."""

import argparse
import sys
from pathlib import Path

import _common

_EPILOG = """\
OUT_DIR receives teacher.keras and student.keras (the best epoch by validation accuracy, the
mean of the switches),
*_last.keras, *_history.csv, *_curves.png, run.json, logs/ (tensorboard --logdir) and state/.
Interrupted at any moment, the same command goes on where it stopped and ends with the same
weights. --epochs 0 trains the teacher only.
"""


def parser():
    """The command line."""
    result = argparse.ArgumentParser(
        prog="train.py", description=__doc__, epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    result.add_argument("data", metavar="DATA", help="folder laid out like Speech Commands")
    result.add_argument("out", metavar="OUT_DIR", type=Path, help="folder to write to")

    _common.add_task_options(
        result,
        cache="keep decoded and augmented clips there for later runs (40 views of a clip are 82 kB, "
        "which otherwise stay in memory)",
    )

    group = result.add_argument_group("networks")
    group.add_argument(
        "--model", choices=("bifsmn", "bifsmnv2", "fsmn"), default="bifsmn",
        help="the student; the teacher of an fsmn is an FSMN, too (default %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--binarizer", metavar="NAME",
        help="of the student, a name of bifsmn_tf.binarizers (default: vanilla, bifsmnv2: lsq, "
        "with the paper's recipe or official scales lpb)",
    )  # fmt: skip
    group.add_argument("--variant", choices=("base", "S"), default="base", help="size")
    group.add_argument(
        "--mode", choices=("faithful", "sound"),
        help="fsmn: the published network, or with normalized features (default faithful)",
    )  # fmt: skip
    group.add_argument(
        "--thin", type=_common.switches, metavar="1.0,0.5,0.25",
        help="switches of the student (default all three; fsmn: 1.0 only)",
    )  # fmt: skip
    group.add_argument(
        "--switch-all-bn", action=argparse.BooleanOptionalAction, default=None,
        help="statistics per switch in every batch normalization of a block (default: yes, with "
        "the paper's recipe no)",
    )  # fmt: skip
    group.add_argument(
        "--weight-scale", choices=("channel", "official"), default="channel",
        help="official: the released code's arithmetic, whose pointwise weights are real; not to "
        "be converted, but a student can --start from it (default %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--teacher", type=Path, action="append", metavar="FILE.keras",
        help="use this teacher instead of training one; given several times, the student learns "
        "from the mean of their logits, and starts from the first",
    )  # fmt: skip

    group = result.add_argument_group("training")
    group.add_argument(
        "--recipe", type=_common.recipe, default="default", metavar="default|light|paper|FILE",
        help="light: the papers' augmentation; paper: theirs in all; or a JSON file as "
        "tools/tune.py writes it (default %(default)s)",
    )  # fmt: skip
    group.add_argument("--teacher-epochs", type=_common.positive_int, metavar="N")
    group.add_argument("--epochs", type=_common.natural_int, metavar="N", help="of the student")
    group.add_argument("--batch-size", type=_common.positive_int, metavar="N", help="default 96")
    group.add_argument(
        "--learning-rate", type=_common.positive_float, metavar="RATE", help="of the student"
    )
    group.add_argument(
        "--teacher-learning-rate", type=_common.positive_float, metavar="RATE"
    )
    group.add_argument(
        "--teacher-dropout", type=_common.share, metavar="RATE",
        help="of the teacher (default: the recipe's, that is 0, or the published network's 0.2 "
        "with light and paper)",
    )  # fmt: skip
    group.add_argument(
        "--distillation", choices=("hed", "fid", "attention", "none"),
        help="of hidden states (default: hed, bifsmnv2: fid)",
    )  # fmt: skip
    group.add_argument(
        "--gamma", type=_common.positive_float, default=0.01,
        help="weight of that term (default %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--logits", choices=("soft", "mse", "none"),
        help="distillation of logits: of softened probabilities, or their mean squared "
        "difference (default: soft; with the paper's recipe none, bifsmnv2: mse)",
    )  # fmt: skip
    group.add_argument(
        "--temperature", type=_common.positive_float, default=2.0,
        help="of softened probabilities (default %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--logits-weight", type=_common.positive_float, metavar="WEIGHT",
        help="weight of the distillation of logits (default: soft 1, mse 0.01)",
    )  # fmt: skip
    group.add_argument(
        "--switch-weights", type=_common.positive_floats, metavar="W,W,W",
        help="weights of the switches' losses (default 1,0.5,0.25)",
    )  # fmt: skip
    group.add_argument(
        "--spoken", type=_common.share, metavar="P",
        help="share of the unknown clips that are other words, spoken by espeak-ng (default 0)",
    )  # fmt: skip
    group.add_argument(
        "--masks", type=_common.share, metavar="P",
        help="share of the student's clips with masked bands and frames",
    )  # fmt: skip
    group.add_argument(
        "--mixup", type=_common.share, metavar="P", help="share of the student's clips mixed"
    )
    group.add_argument(
        "--initialize", action=argparse.BooleanOptionalAction, default=True,
        help="start the student from the teacher's weights",
    )  # fmt: skip
    group.add_argument(
        "--start", type=Path, metavar="FILE.keras",
        help="start from the weights of this student, for a training in several stages",
    )  # fmt: skip
    group.add_argument(
        "--freeze-signs", action="store_true", default=None,
        help="freeze 1-bit weights that keep changing their sign, for a short last stage",
    )  # fmt: skip
    group.add_argument("--seed", type=_common.natural_int, default=0)
    group.add_argument(
        "--jit", action=argparse.BooleanOptionalAction, default=True, help="compile with XLA"
    )
    group.add_argument(
        "--restart", action="store_true", help="forget what OUT_DIR holds of an earlier run"
    )
    result.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    return result


def main(argv=None):
    """Runs the tool."""
    arguments = parser().parse_args(argv)
    try:
        _train(arguments)
    except KeyboardInterrupt:
        _common.print_interrupted(arguments.restart)
        return _common.FAILURE
    return _common.OK


def _train(arguments):
    if arguments.epochs == 0 and arguments.teacher is not None:
        parser().error("--epochs 0 with --teacher leaves nothing to train")

    _common.check_folder(arguments.data)
    if arguments.out.exists() and not arguments.out.is_dir():
        parser().error(f"OUT_DIR should be a folder. Received: {arguments.out}")

    import dataclasses

    _common.import_tensorflow()
    import keras

    from bifsmn_tf import binarizers, plots, recipes
    from bifsmn_tf.data import SpeechCommands

    student = recipes.STUDENTS[arguments.model]
    usual = student.usual(arguments.recipe == "paper")
    arguments.distillation = arguments.distillation or usual.distillation
    arguments.logits = arguments.logits or usual.logits
    if len(arguments.teacher or ()) > 1 and arguments.logits == "none":
        parser().error("several --teacher files teach by their logits. Received: no --logits")
    if arguments.start is not None:
        arguments.initialize = False
    needs_teacher = arguments.initialize or {arguments.distillation, arguments.logits} != {"none"}
    if student.thinnable:
        _refuse(arguments, "mode")
        arguments.thin = arguments.thin or (1.0, 0.5, 0.25)
        if arguments.switch_all_bn is None:
            arguments.switch_all_bn = usual.switch_all_bn
        size = {"variant": arguments.variant}
        network = {"switches": arguments.thin, "switch_all_bn": arguments.switch_all_bn}
        if arguments.weight_scale != "channel":
            network["weight_scale"] = arguments.weight_scale
    else:
        _refuse(arguments, "thin", "switch_all_bn", "weight_scale", "variant", "teacher_dropout")
        size, network = {"mode": arguments.mode or "faithful"}, {}
    switches = len(arguments.thin) if student.thinnable else 1
    if arguments.switch_weights and len(arguments.switch_weights) != switches:
        parser().error(
            f"--switch-weights should have one weight for each of {switches} switches. "
            f"Received: {len(arguments.switch_weights)}"
        )
    if arguments.binarizer is not None:
        network["binarizer"] = binarizers.get(arguments.binarizer).name
    elif arguments.weight_scale == "official":
        network["binarizer"] = student.paper_binarizer
    else:
        network["binarizer"] = usual.binarizer
    chosen = arguments.recipe
    if isinstance(chosen, Path):
        chosen = recipes.read(chosen)

    def recipe(network, rate, **changes):
        changes.update(
            batch_size=arguments.batch_size, learning_rate=rate, spoken=arguments.spoken
        )
        return dataclasses.replace(
            recipes.get(chosen, network),
            **{name: value for name, value in changes.items() if value is not None},
        )

    # Both are made before anything is trained: a teacher takes hours.
    teacher_recipe = recipe(
        "teacher", arguments.teacher_learning_rate, dropout=arguments.teacher_dropout
    )
    student_recipe = recipe(
        "student", arguments.learning_rate, masks=arguments.masks, mixup=arguments.mixup
    )
    out = arguments.out
    teacher = None
    if arguments.teacher is not None:
        teacher = _common.read_teacher(arguments.teacher)
    start = None if arguments.start is None else _common.read_model(arguments.start)
    digests = {}
    if arguments.teacher is not None:
        digests["teacher"] = "+".join(map(_common.digest, arguments.teacher))
    if arguments.start is not None:
        digests["start"] = _common.digest(arguments.start)
    data = SpeechCommands(
        arguments.data,
        arguments.task,
        arguments.protocol,
        unknown_percentage=None if arguments.unknown is None else {"training": arguments.unknown},
        cache_dir=arguments.cache,
    )
    if data.num_classes < 2:
        raise ValueError(
            f"A classifier needs two classes at least. Received: only {data.labels[0]}"
        )
    print(_describe(data))
    model = None
    if arguments.epochs != 0:
        # Before the teacher is trained, too: a start that does not fit is found at once.
        model = recipes.make_student(
            data, seed=arguments.seed, network=arguments.model, recipe=student_recipe,
            **size, **network,
        )
        if start is not None:
            _take_weights(model, start, arguments.start)
        # So is what does not fit, before anything of an earlier training is forgotten.
        asked = {"distillation": arguments.distillation, "logits": arguments.logits}
        recipes.check_student(
            model, teacher,
            initialize=arguments.initialize and teacher is not None,
            switch_weights=arguments.switch_weights,
            freeze_signs=bool(arguments.freeze_signs),
            **(asked if teacher is not None else {}),
        )  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    if arguments.restart:
        _forget(out, keep=(*(arguments.teacher or ()), arguments.start))

    settings = {
        "task": arguments.task, "protocol": arguments.protocol, "unknown": arguments.unknown,
        **size,
    }  # fmt: skip
    record = {
        "arguments": {
            name: _without_paths(value) for name, value in vars(arguments).items()
        },
        "seed": arguments.seed,
        "labels": list(data.labels),
        "versions": _common.versions(),
        "validation_baselines": data.baselines("validation"),
        "finished": False,
    }
    # Not before the training begins: a command that is refused should leave an earlier one's
    # record alone.
    begin = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: _common.write_json(record, out / "run.json")
    )
    common = {
        "folder": out, "seed": arguments.seed, "jit_compile": arguments.jit,
        "callbacks": (begin,),
    }  # fmt: skip

    if teacher is None and (needs_teacher or arguments.epochs == 0):
        training = recipes.train_teacher(
            data,
            recipes.make_teacher(
                data, seed=arguments.seed, network=arguments.model, recipe=teacher_recipe, **size
            ),
            recipe=teacher_recipe,
            epochs=arguments.teacher_epochs,
            settings=settings,
            **common,
        )
        teacher = training.model
        record["teacher"] = _finish("teacher", training, out, plots)
    if model is not None:
        training = recipes.train_student(
            data,
            teacher if needs_teacher else None,
            model,
            recipe=student_recipe,
            epochs=arguments.epochs,
            distillation=arguments.distillation,
            logits=recipes.make_logits(
                arguments.logits, arguments.temperature, arguments.logits_weight
            ),
            gamma=arguments.gamma,
            initialize=arguments.initialize,
            switch_weights=arguments.switch_weights,
            freeze_signs=bool(arguments.freeze_signs),
            settings={
                **settings,
                **network,
                "model": arguments.model,
                "binarizer": model.binarizer.name,
                "distillation": arguments.distillation,
                "gamma": arguments.gamma,
                "logits": arguments.logits,
                "temperature": arguments.temperature,
                "logits_weight": arguments.logits_weight,
                "initialize": arguments.initialize,
                **_given(arguments, "switch_weights", "freeze_signs"),
                **digests,
            },
            **common,
        )
        record["student"] = _finish("student", training, out, plots)
    record["finished"] = True
    _common.write_json(record, out / "run.json")
    if arguments.json is not None:
        _common.write_json(record, arguments.json)


def _without_paths(value):
    """A command line's value as JSON can hold it."""
    if isinstance(value, list):
        return [_without_paths(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _take_weights(model, start, path):
    """Gives a student the weights of another; ValueError if it is another kind of network."""
    ours, theirs = _identity(model), _identity(start)
    if ours != theirs:
        name = next(name for name in ours if ours[name] != theirs[name])
        raise ValueError(
            "--start should be a student of the same kind, binarizer, sizes, switches and labels. "
            f"Received: {path}, with {name} {theirs[name]} instead of {ours[name]}"
        )
    model.set_weights(start.get_weights())


def _identity(network):
    """What two stages of one training have in common; not the kind of weights."""
    binarizer = network.binarizer
    same = ("switches", "switch_all_bn", "labels")
    return {
        "class": type(network).__name__,
        "binarizer": None if binarizer is None else (binarizer.name, binarizer.get_config()),
        **{name: getattr(network, name, None) for name in same},
        "shapes": [tuple(weight.shape) for weight in network.weights],
    }


def _given(arguments, *names):
    return {name: value for name in names if (value := getattr(arguments, name)) is not None}


def _refuse(arguments, *names):
    """Wrong usage, if an option was given that the kind of network does not have."""
    for name in names:
        if getattr(arguments, name) != parser().get_default(name):
            option = f"--{name.replace('_', '-')}"
            parser().error(f"{option} is not for this network. Received: {arguments.model}")


def _describe(data):
    counts = {s: sum(data.class_counts(s).values()) for s in ("training", "validation")}
    baselines = data.baselines("validation")
    return (
        f"{data.num_classes} classes: {' '.join(data.labels)}\n"
        f"{counts['training']} training and {counts['validation']} validation clips; always the "
        f"most frequent class: {100 * baselines['majority']:.1f} %, unknown and silence only: "
        f"{100 * baselines['unknown_and_silence']:.1f} % of validation"
    )


def _forget(out, keep):
    """Removes what earlier trainings left in a folder; ValueError if that is still needed."""
    files = [out / "run.json"]
    for name in ("teacher", "student"):
        files += [
            out / f"{name}.keras", out / f"{name}_last.keras", out / f"{name}_history.csv",
            out / f"{name}_curves.png", out / "state" / f"{name}.npz",
            *(out / "logs" / name).glob("*/events.out.tfevents.*"),
        ]  # fmt: skip
    removed = {file.resolve() for file in files}
    for path in keep:
        if path is not None and path.resolve() in removed:
            raise ValueError(
                "--restart removes the networks in OUT_DIR; --teacher and --start should lie "
                f"elsewhere. Received: {path}"
            )
    for file in files:
        file.unlink(missing_ok=True)


def _finish(name, training, out, plots):
    """Draws the curves and returns the figures of a training."""
    from bifsmn_tf.recipes.epoch_line import validation_accuracies

    plots.curves(training.history, out / f"{name}_curves.png", title=name)
    best = training.best
    accuracy = validation_accuracies(best)
    words = ", ".join(f"{100 * value:.2f} % ({key})" for key, value in accuracy.items())
    print(
        f"{name}: best epoch {best['epoch']} of {len(training.history)}, validation accuracy "
        f"{words}, {training.minutes:.1f} min -> {out / name}.keras"
    )
    return {
        "epochs": len(training.history),
        "best_epoch": best["epoch"],
        "validation_accuracy": accuracy,
        "minutes": round(training.minutes, 2),
        "resumed_at_epoch": training.resumed_at,
    }


if __name__ == "__main__":
    sys.exit(_common.run(main))
