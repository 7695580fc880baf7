#!/usr/bin/env python3
"""Converts a trained network to one .tflite with a signature per switch."""

import argparse
import sys
from pathlib import Path

import _common


def parser():
    """The command line."""
    result = argparse.ArgumentParser(prog="convert.py", description=__doc__)
    result.add_argument("model", metavar="MODEL.keras", type=Path)
    result.add_argument("out", metavar="OUT.tflite", type=Path)
    result.add_argument(
        "--thin", type=_common.switches_or_all, metavar="all|1.0,0.5",
        help="switches to include (default all)",
    )  # fmt: skip
    result.add_argument(
        "--input", choices=("features", "audio"), default="features",
        help="log-mel features, or waveforms with the front end inside the file "
        "(default %(default)s)",
    )  # fmt: skip
    result.add_argument(
        "--storage", choices=("float32", "compact"), default="float32",
        help="of real numbers: compact stores weights in int8 and folded parameters in float16 "
        "(default %(default)s)",
    )  # fmt: skip
    result.add_argument(
        "--data", metavar="DIR", help="recordings on which to compare the file with Keras"
    )
    result.add_argument("--force", action="store_true", help="replace OUT.tflite if it exists")
    result.add_argument("--json", type=Path, metavar="FILE", help="write the report there")
    return result


def main(argv=None):
    """Runs the tool."""
    arguments = parser().parse_args(argv)
    out = arguments.out
    if out.suffix != ".tflite":
        parser().error(f"OUT.tflite should end in .tflite. Received: {out}")
    if out.is_dir():
        parser().error(f"OUT.tflite should be a file. Received: the folder {out}")
    if out.exists() and not arguments.force:
        raise FileExistsError(f"{out} exists; pass --force to replace it")
    if not arguments.model.is_file():
        raise FileNotFoundError(f"No such model: {arguments.model}")
    if arguments.data is not None:
        _common.check_folder(arguments.data)

    _common.import_tensorflow()
    from bifsmn_tf.files import replacing
    from bifsmn_tf.conversion import convert_with_report

    model = _common.read_model(arguments.model)
    examples = None if arguments.data is None else _examples(model, arguments)
    with _common.quiet_stderr():
        content, report = convert_with_report(
            model, arguments.thin, arguments.input, storage=arguments.storage, features=examples
        )
    with replacing(out) as temporary:
        temporary.write_bytes(content)
    print(f"{out}: {report}")
    if arguments.json is not None:
        _common.write_json(
            {"model": str(arguments.model), "file": str(out), **report.to_dict()}, arguments.json
        )


def _examples(model, arguments):
    """Real inputs for the comparison, spread over the classes."""
    import numpy as np

    from bifsmn_tf import evaluation
    from bifsmn_tf.data import SpeechCommands
    from bifsmn_tf.data.features import log_mel_features

    if model.labels is None:
        raise ValueError("--data needs a model with labels. Received: a model without")
    data = SpeechCommands(arguments.data, **evaluation.task_of(model.labels))
    samples, _ = data.waveforms("validation", dtype="int16")
    chosen = np.linspace(0, len(samples) - 1, min(64, len(samples))).astype(int)
    if arguments.input == "audio":
        return samples[chosen] / np.float32(32768)
    return log_mel_features(samples[chosen])


if __name__ == "__main__":
    sys.exit(_common.run(main))
