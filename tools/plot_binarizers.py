#!/usr/bin/env python3
"""Draws every binarizer: activations and weights, forward and gradient."""

import argparse
import sys
from pathlib import Path

import _common


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="plot_binarizers.py", description=__doc__)
    parser.add_argument("output", metavar="OUT.png", type=Path, help="picture to write")
    options = parser.parse_args(arguments)
    out = options.output
    if out.suffix != ".png" or out.is_dir():
        parser.error(f"OUT.png should be a file that ends in .png. Received: {out}")
    from bifsmn_tf import plots

    with _common.quiet_stderr():
        plots.binarizers(out)
    print(out)


if __name__ == "__main__":
    sys.exit(_common.run(main))
