#!/usr/bin/env python3
"""Accuracy of a model, per switch, on a folder of recordings.

A .keras file runs in Keras, a .tflite file in the TFLite interpreter, one clip at a time, with
the front end a device uses. With --det it also listens to continuous audio: false accepts per
hour of background noise and of other words, against false rejects of keywords. With --augmented
every clip is heard in other rooms and noises, at other speeds and levels.
"""

import argparse
import sys
from pathlib import Path

import _common


def parser():
    """The command line."""
    result = argparse.ArgumentParser(
        prog="evaluate.py", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    result.add_argument("model", metavar="MODEL", type=Path, help=".keras or .tflite")
    result.add_argument("data", metavar="DATA", help="folder laid out like Speech Commands")
    result.add_argument(
        "--subset", choices=("testing", "validation", "training"), default="testing",
        help="default %(default)s",
    )  # fmt: skip
    result.add_argument(
        "--thin", type=_common.switches_or_all, metavar="all|1.0,0.5", help="switches (default all)"
    )
    result.add_argument(
        "--task", type=_common.task, help="10, 12, 20, 35 or words (default: the model's labels)"
    )
    result.add_argument(
        "--protocol", choices=("warden", "paper"),
        help="what becomes of other words and silence (default: by the model's labels)",
    )  # fmt: skip
    result.add_argument(
        "--seed", type=_common.natural_int, default=0, help="of unknown clips and of --augmented"
    )
    result.add_argument(
        "--out", type=Path, metavar="DIR",
        help="write confusion matrices and the DET curves there, as PNG and CSV",
    )  # fmt: skip
    result.add_argument(
        "--det", action="store_true",
        help="also measure false accepts per hour against false rejects in continuous audio",
    )  # fmt: skip
    result.add_argument(
        "--augmented", type=_common.positive_int, metavar="N", default=0,
        help="N augmented variants of every clip in the place of the clip itself",
    )  # fmt: skip
    result.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    return result


def main(argv=None):
    """Runs the tool."""
    arguments = parser().parse_args(argv)
    if arguments.model.suffix not in (".keras", ".tflite"):
        parser().error(f"MODEL should be a .keras or .tflite file. Received: {arguments.model}")
    if arguments.out is not None and arguments.out.exists() and not arguments.out.is_dir():
        parser().error(f"--out should be a folder. Received: {arguments.out}")
    if arguments.augmented and arguments.det:
        parser().error("--augmented is for single clips and does not go with --det")
    _common.check_folder(arguments.data)
    if arguments.model.suffix == ".keras" or arguments.augmented:
        _common.import_tensorflow()

    from bifsmn_tf import evaluation
    from bifsmn_tf.data import SpeechCommands

    model = _open(arguments.model)
    if model.labels is None:
        raise ValueError(f"The model carries no labels to match with the data: {arguments.model}")
    evaluation.check_switches(model, arguments.thin)
    settings = evaluation.task_of(model.labels)
    if arguments.task is not None:
        settings["task"] = arguments.task
        if arguments.task in (20, 35):
            settings["unknown_percentage"] = settings["silence_percentage"] = None
    if arguments.protocol is not None:
        settings["protocol"] = arguments.protocol
    data = SpeechCommands(arguments.data, seed=arguments.seed, **settings)
    streams = _streams(arguments.data, data) if arguments.det else None
    result = evaluation.evaluate(
        model, data, arguments.subset, arguments.thin, arguments.augmented, arguments.seed
    )
    print(f"{arguments.model}, {settings['protocol']} protocol")
    print(result)
    detected = None
    if arguments.det:
        from bifsmn_tf import detection

        detected = detection.evaluate(model, streams, arguments.subset, arguments.thin)
        print(detected)
    if arguments.out is not None:
        from bifsmn_tf import plots

        arguments.out.mkdir(parents=True, exist_ok=True)
        for switch in result.switches:
            stem = arguments.out / f"confusion_{switch.thin}"
            switch.write_csv(f"{stem}.csv")
            plots.confusion(
                switch.confusion,
                result.labels,
                f"{stem}.png",
                title=f"{arguments.model.name}, thin {switch.thin}, {arguments.subset}: "
                f"{100 * switch.accuracy:.2f} % of {switch.count}",
            )
        print(f"confusion matrices: {arguments.out}")
        if detected is not None:
            detected.write_csv(arguments.out / "det.csv")
            plots.detection(
                detected, arguments.out / "det.png",
                title=f"{arguments.model.name}, {arguments.subset}",
            )  # fmt: skip
            print(f"DET curves: {arguments.out / 'det.png'}, det.csv")
    if arguments.json is not None:
        _common.write_json(
            {
                "model": str(arguments.model),
                "data": arguments.data,
                "protocol": settings["protocol"],
                **result.to_dict(),
                **({} if detected is None else {"detection": detected.to_dict()}),
            },
            arguments.json,
        )


def _streams(root, data):
    """The data set with all recordings of other words, not only those that were drawn."""
    from bifsmn_tf.data import SpeechCommands, splits

    others = set(splits.scan(root)) - set(data.words)
    if not others:
        return data
    return SpeechCommands(
        root, data.words, data.protocol, data.seed, unknown_percentage="all", silence_percentage=0
    )


def _open(path):
    if path.suffix == ".keras":
        return _common.read_model(path)
    if not path.is_file():
        raise FileNotFoundError(f"No such model: {path}")
    return _common.open_tflite(path)


if __name__ == "__main__":
    sys.exit(_common.run(main))
