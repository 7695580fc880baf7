#!/usr/bin/env python3
"""What a network costs: bits, bytes, binary and float multiply-accumulates, per layer and switch."""

import argparse
import dataclasses
import sys
from pathlib import Path

import _common


def parser():
    """The command line."""
    result = argparse.ArgumentParser(
        prog="summary.py", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    result.add_argument("model", metavar="MODEL.keras", type=Path)
    result.add_argument(
        "--data", metavar="DATA",
        help="folder laid out like Speech Commands: also how much the bits of each layer's inputs "
        "say, on validation",
    )  # fmt: skip
    result.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    return result


def main(argv=None):
    """Runs the tool."""
    arguments = parser().parse_args(argv)
    if arguments.data is not None:
        _common.check_folder(arguments.data)
    _common.import_tensorflow()
    import bifsmn_tf

    model = _common.read_model(arguments.model)
    summary = bifsmn_tf.summary(model)
    flops = {switch: bifsmn_tf.paper_flops(model, switch) for switch in summary.switches}
    print(summary)
    counted = ", ".join(f"{value:.2f} ({switch})" for switch, value in flops.items())
    print(f"as the papers count (128 clips): {counted} million FLOPs")
    information = None if arguments.data is None else _information(model, arguments.data)
    if arguments.json is not None:
        record = summary.to_dict()
        if information is not None:
            record["information"] = [dataclasses.asdict(row) for row in information]
        for switch, value in flops.items():
            record["switches"][str(switch)]["paper_flops"] = value
        _common.write_json(record, arguments.json)


def _information(model, folder):
    """Prints how much the bits of the model say about the validation clips of a folder."""
    from bifsmn_tf import evaluation, information
    from bifsmn_tf.data import SpeechCommands
    from bifsmn_tf.data.features import apply_front_end, front_end_of

    if model.labels is None:
        raise ValueError("The model carries no labels to match with the data")
    data = SpeechCommands(folder, **evaluation.task_of(model.labels))
    samples, _ = data.waveforms("validation", dtype="int16")
    rows = information.activation_information(
        model, apply_front_end(front_end_of(model), samples)
    )
    print(information.table(rows))
    return rows


if __name__ == "__main__":
    sys.exit(_common.run(main))
