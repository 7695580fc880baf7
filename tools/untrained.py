#!/usr/bin/env python3
"""Writes an untrained network as .tflite, to measure its speed before there is a trained one.

Weights are the initial ones; the batch normalizations have the statistics of a few batches of
noise, so that signs and slopes fall on both sides as in a trained network. Nothing else depends on
the values.
"""

import argparse
import sys
from pathlib import Path

import _common


def parser():
    """The command line."""
    result = argparse.ArgumentParser(
        prog="untrained.py", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    result.add_argument("network", choices=("bifsmn", "bifsmnv2", "dfsmn", "fsmn"))
    result.add_argument("out", metavar="OUT.tflite", type=Path)
    result.add_argument(
        "--binarizer", metavar="NAME", help="another binarizer than the network's own"
    )
    result.add_argument(
        "--classes", type=_common.positive_int, default=10, metavar="N",
        help="number of classes (default %(default)s)",
    )  # fmt: skip
    result.add_argument(
        "--seed", type=_common.natural_int, default=0, metavar="N", help="default %(default)s"
    )
    result.add_argument("--force", action="store_true", help="replace OUT.tflite if it exists")
    return result


def main(argv=None):
    """Runs the tool."""
    arguments = parser().parse_args(argv)
    out = arguments.out
    if out.suffix != ".tflite" or out.is_dir():
        parser().error(f"OUT.tflite should be a file that ends in .tflite. Received: {out}")
    if out.exists() and not arguments.force:
        raise FileExistsError(f"{out} exists; pass --force to replace it")
    _common.import_tensorflow()
    import keras
    import numpy as np

    from bifsmn_tf import models
    from bifsmn_tf.conversion import convert_with_report
    from bifsmn_tf.files import replacing

    keras.utils.set_random_seed(arguments.seed)
    options = {} if arguments.binarizer is None else {"binarizer": arguments.binarizer}
    model = models.get(arguments.network, arguments.classes, **options)
    random = np.random.default_rng(arguments.seed)
    for _ in range(_BATCHES):
        shape = (_CLIPS, model.num_mels, model.num_frames, 1)
        noise = random.normal(-30, 15, shape).astype(np.float32)
        for thin in model.switches:
            model(noise, thin=thin, training=True)
    with _common.quiet_stderr():
        content, report = convert_with_report(model)
    with replacing(out) as temporary:
        temporary.write_bytes(content)
    print(f"{out}: {report}")


_BATCHES, _CLIPS = 20, 16

if __name__ == "__main__":
    sys.exit(_common.run(main))
