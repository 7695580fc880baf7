#!/usr/bin/env python3
"""Makes a .keras file of an official PyTorch checkpoint of BiFSMN, BiFSMNv2 or their teacher.

Needs torch to read the checkpoint. Sizes and kind of the network are found in its weights.
"""

import argparse
import math
import sys
from pathlib import Path

import _common

_EPILOG = """\
A student keeps the arithmetic of the released code, in which most weights are real numbers: it
gives what the official network gives. With --weight-scale channel it is a network of 1-bit
weights that can be converted; its answers differ until it has been trained further.
"""


def parser():
    """The command line."""
    result = argparse.ArgumentParser(
        prog="import_official.py", description=__doc__, epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    result.add_argument("checkpoint", metavar="CHECKPOINT.pth", type=Path)
    result.add_argument("out", metavar="OUT.keras", type=Path)
    result.add_argument(
        "--labels", type=_labels, metavar="_unknown_,_silence_,yes,...",
        help="names of the classes, in the order of the outputs (default: the released code's "
        "for 12, 20 or 35 classes)",
    )  # fmt: skip
    result.add_argument(
        "--num-switches", type=_common.positive_int, metavar="N",
        help="keep N switches 1, 1/2, 1/4, ... of a thinnable network (default 3, as trained)",
    )  # fmt: skip
    result.add_argument(
        "--weight-scale", choices=("official", "channel"), default="official",
        help="arithmetic of a student (default %(default)s)",
    )  # fmt: skip
    result.add_argument(
        "--real", action="store_true",
        help="the network with slopes everywhere is the float one, not a student of BiFSMN",
    )  # fmt: skip
    result.add_argument("--force", action="store_true", help="replace OUT.keras if it exists")
    result.add_argument("--json", type=Path, metavar="FILE", help="write a description there")
    return result


def _labels(text):
    names = [name.strip() for name in text.split(",")]
    if not all(names) or len(set(names)) != len(names):
        raise argparse.ArgumentTypeError(
            f"expected different names separated by commas. Received: {text}"
        )
    return names


def main(argv=None):
    """Runs the tool."""
    arguments = parser().parse_args(argv)
    out = arguments.out
    if out.suffix != ".keras":
        parser().error(f"OUT.keras should end in .keras. Received: {out}")
    if out.is_dir():
        parser().error(f"OUT.keras should be a file. Received: the folder {out}")
    if out.exists() and not arguments.force:
        raise FileExistsError(f"{out} exists; pass --force to replace it")
    if not arguments.checkpoint.is_file():
        raise FileNotFoundError(f"No such checkpoint: {arguments.checkpoint}")

    _common.import_tensorflow()
    from bifsmn_tf import official
    from bifsmn_tf.recipes import save_model

    state = official.read_checkpoint(arguments.checkpoint)
    model = official.make_model(
        state, arguments.num_switches, arguments.labels, arguments.weight_scale, arguments.real
    )
    official.load_state(model, state)
    out.parent.mkdir(parents=True, exist_ok=True)
    save_model(model, out)
    description = _describe(model)
    print(f"{out}: " + ", ".join(f"{name} {_text(v)}" for name, v in description.items()))
    if arguments.json is not None:
        _common.write_json(
            {"checkpoint": str(arguments.checkpoint), "file": str(out), **description},
            arguments.json,
        )


def _describe(model):
    result = {
        "network": type(model).__name__,
        "classes": model.num_classes,
        "blocks": model.num_blocks,
        "memory": model.memory_size,
        "hidden": model.hidden_size,
        "kernel": model.frontend_kernel,
        "switches": list(model.switches),
        "parameters": sum(math.prod(v.shape) for v in model.trainable_variables),
        "labels": model.labels,
    }
    if model.binarizer is not None:
        result |= {"binarizer": model.binarizer.name, "weight_scale": model.weight_scale}
    return result


def _text(value):
    if value is None:
        return "unknown"
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


if __name__ == "__main__":
    sys.exit(_common.run(main))
