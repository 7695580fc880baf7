"""Command line: `arecord ... | python -m bifsmn_tf.runtime MODEL`."""

import argparse
import sys

import numpy as np

from bifsmn_tf.runtime.spotter import KeywordSpotter
from bifsmn_tf.runtime.stream import KeywordStream

_EPILOG = """\
From a microphone (alsa-utils):
  arecord -q -t raw -f S16_LE -r 16000 -c 1 | python -m bifsmn_tf.runtime kws.tflite --thin 0.25
"""


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m bifsmn_tf.runtime", epilog=_EPILOG,
        description="Listen to standard input, raw 16-bit samples at 16 kHz, one channel, and "
        "print every keyword: when it was heard, which, and its score.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("model", metavar="MODEL", help="a converted .tflite")
    parser.add_argument("--thin", type=float, help="the switch (default: the file's largest)")
    parser.add_argument(
        "--threshold", type=float, default=0.5,
        help="of the score, from 0 to 1; evaluate.py --det tells what comes of it "
        "(default %(default)s)",
    )  # fmt: skip
    return parser


def main(argv=None):
    """Runs the command line.

    Args:
        argv: Arguments; None takes the program's.

    Returns:
        The exit status: 0 at the end of the input or after Ctrl-C, 1 after an error. Wrong usage
        exits with 2.
    """
    arguments = _parser().parse_args(argv)
    try:
        spotter = KeywordSpotter(arguments.model, thin=arguments.thin)
        stream = KeywordStream(spotter, arguments.threshold)
        size = 2 * stream.detector.hop
        while chunk := sys.stdin.buffer.read(size):
            samples = np.frombuffer(chunk[: len(chunk) // 2 * 2], "<i2").astype(np.int16)
            for label, score, seconds in stream.feed(samples):
                print(f"{seconds:8.1f} s  {label}  {score:.2f}", flush=True)
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
