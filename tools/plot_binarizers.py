#!/usr/bin/env python3
"""Draws every binarizer: activations and weights, forward and gradient."""

import argparse
import sys

import _common


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="plot_binarizers.py", description=__doc__)
    parser.add_argument("output", metavar="OUT.png", help="picture to write")
    options = parser.parse_args(arguments)
    from bifsmn_tf import plots

    with _common.quiet_stderr():
        plots.binarizers(options.output)


if __name__ == "__main__":
    sys.exit(_common.run(main))
