"""Command line: `python -m bifsmn_tf.data download|synthetic|show`."""

from __future__ import annotations

import argparse
import sys

from bifsmn_tf.data import splits, synthetic, tasks
from bifsmn_tf.data.download import ARCHIVES, download
from bifsmn_tf.data.speech_commands import SpeechCommands


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bifsmn_tf.data", description="Get, make and look at keyword data sets."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    get = commands.add_parser(
        "download",
        help="fetch Google Speech Commands",
        description="Fetch and unpack Google Speech Commands (CC BY 4.0). A broken download "
        "goes on where it stopped.",
    )
    get.add_argument("root", metavar="FOLDER", help="where to put it")
    get.add_argument(
        "--version",
        choices=sorted(ARCHIVES),
        default="v0.02",
        help="2.4 GB (v0.02) or 1.5 GB (v0.01) to fetch (default: %(default)s)",
    )
    get.add_argument("--keep-archive", action="store_true", help="keep the .tar.gz")

    make = commands.add_parser(
        "synthetic",
        help="make a command set spoken by espeak-ng",
        description="Make a command set spoken by espeak-ng, in the layout of Speech Commands.",
    )
    make.add_argument("root", metavar="FOLDER", help="folder to make")
    make.add_argument(
        "--words", nargs="+", metavar="WORD", help=f"default: {' '.join(tasks.KEYWORDS_8)}"
    )
    make.add_argument(
        "--other-words", nargs="*", metavar="WORD", help="for the unknown class (default: 20)"
    )
    make.add_argument("--clips-per-word", type=int, default=250, metavar="N")
    make.add_argument(
        "--other-clips-per-word", type=int, metavar="N", help="default: a sixth of the above"
    )
    make.add_argument("--seed", type=int, default=0)
    make.add_argument("--workers", type=int, metavar="N", help="threads (default: processors)")
    make.add_argument("--overwrite", action="store_true", help="replace a set of other settings")

    show = commands.add_parser(
        "show",
        help="count the clips of a data set",
        description="Count the clips per class and subset, and what trivial classifiers reach.",
    )
    show.add_argument("root", metavar="FOLDER", help="the data set")
    show.add_argument(
        "--task", nargs="+", default=["10"], metavar="TASK", help="10, 12, 20, 35 or words"
    )
    show.add_argument("--protocol", choices=tasks.PROTOCOLS, default="warden")
    show.add_argument("--seed", type=int, default=0)
    return parser


def _show(arguments) -> None:
    task = arguments.task
    task = int(task[0]) if len(task) == 1 and task[0].isdigit() else task
    data = SpeechCommands(arguments.root, task, arguments.protocol, arguments.seed)
    counts = [data.class_counts(subset) for subset in splits.SUBSETS]
    width = max(len(label) for label in (*data.labels, "unknown + silence"))
    print(" " * width, *(f"{subset:>10}" for subset in splits.SUBSETS))
    for label in data.labels:
        print(f"{label:<{width}}", *(f"{count[label]:>10}" for count in counts))
    print(f"{'total':<{width}}", *(f"{sum(count.values()):>10}" for count in counts))
    for title, name in (("always majority", "majority"),
                        ("unknown + silence", "unknown_and_silence")):  # fmt: skip
        shares = [data.baselines(subset)[name] for subset in splits.SUBSETS]
        print(f"{title:<{width}}", *(f"{100 * share:>8.2f} %" for share in shares))


def main(argv=None) -> int:
    """Runs the command line.

    Args:
        argv: Arguments; None takes the program's.

    Returns:
        The exit status: 0, or 1 after an error. Wrong usage exits with 2.
    """
    arguments = _parser().parse_args(argv)
    try:
        if arguments.command == "download":
            folder = download(
                arguments.version, arguments.root, keep_archive=arguments.keep_archive
            )
            print(folder)
        elif arguments.command == "synthetic":
            print(
                synthetic.make_synthetic(
                    arguments.root,
                    arguments.words,
                    arguments.other_words,
                    arguments.clips_per_word,
                    arguments.other_clips_per_word,
                    arguments.seed,
                    arguments.workers,
                    arguments.overwrite,
                )
            )
        else:
            _show(arguments)
    except (OSError, ValueError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
