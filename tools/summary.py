#!/usr/bin/env python3
"""What a network costs: bits, bytes, binary and float multiply-accumulates, per layer and switch."""

import argparse
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
    result.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    return result


def main(argv=None):
    """Runs the tool."""
    arguments = parser().parse_args(argv)
    _common.import_tensorflow()
    import bifsmn_tf

    model = _common.read_model(arguments.model)
    summary = bifsmn_tf.summary(model)
    flops = {switch: bifsmn_tf.paper_flops(model, switch) for switch in summary.switches}
    print(summary)
    counted = ", ".join(f"{value:.2f} ({switch})" for switch, value in flops.items())
    print(f"as the papers count (128 clips): {counted} million FLOPs")
    if arguments.json is not None:
        record = summary.to_dict()
        for switch, value in flops.items():
            record["switches"][str(switch)]["paper_flops"] = value
        _common.write_json(record, arguments.json)


if __name__ == "__main__":
    sys.exit(_common.run(main))
