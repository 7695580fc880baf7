"""What the tools share: argument types, exit codes, quiet start-up, JSON output."""

import argparse
import contextlib
import hashlib
import json
import os
import platform
import sys
import tempfile
from pathlib import Path

OK, FAILURE, USAGE = 0, 1, 2

# The tools also run from a checkout that is not installed.
_REPOSITORY = str(Path(__file__).resolve().parent.parent)
if _REPOSITORY not in sys.path:
    sys.path.insert(0, _REPOSITORY)


def run(main, arguments=None):
    """Runs a tool and turns what went wrong into one line and an exit code.

    Args:
        main: Function of the parsed arguments' list; returns None or an exit code.
        arguments: List of strings; None takes the program's.

    Returns:
        0 for success, 1 for a failure; wrong usage leaves through argparse with 2.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        return main(arguments) or OK
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
    except BrokenPipeError:
        # The reader of our output went away; a second attempt at exit would complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except MemoryError:
        print("error: out of memory", file=sys.stderr)
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        print(f"error: {describe(error)}", file=sys.stderr)
    return FAILURE


@contextlib.contextmanager
def quiet_stderr():
    """Holds back what native libraries print at import; shows it if the import fails."""
    try:
        stderr = sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):  # replaced by an object without a file
        yield
        return
    sys.stderr.flush()
    kept = os.dup(stderr)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), stderr)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, stderr)
            os.close(kept)


def import_tensorflow():
    """Imports TensorFlow without the notes it prints on every start."""
    with quiet_stderr():
        import tensorflow as tf

        tf.constant(0)


def describe(error):
    """An error as one line."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.strerror}: {error.filename}"
    return " ".join(str(error).split()) or type(error).__name__


def positive_int(text):
    """Argument type: an integer above zero."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a positive integer. Received: {text}")
    return value


def natural_int(text):
    """Argument type: an integer, zero or above."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"expected zero or a positive integer. Received: {text}")
    return value


def positive_float(text):
    """Argument type: a number above zero."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a positive number. Received: {text}")
    return value


def positive_floats(text):
    """Argument type: numbers above zero, separated by commas."""
    return [positive_float(part) for part in text.split(",")]


def share(text):
    """Argument type: a number from 0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 1. Received: {text}")
    return value


def recipe(text):
    """Argument type: the name of a recipe, or a JSON file that exists."""
    if text in ("default", "light", "paper"):
        return text
    path = Path(text)
    if path.suffix == ".json" and path.is_file():
        return path
    raise argparse.ArgumentTypeError(
        f"expected default, light, paper or a JSON file. Received: {text}"
    )


def print_interrupted(restart):
    """Says on standard error how an interrupted training goes on.

    Args:
        restart: Whether the command had --restart, which would forget what was trained.
    """
    command = "the same command without --restart" if restart else "the same command"
    print(f"\ninterrupted: {command} goes on after the last finished epoch", file=sys.stderr)


def digest(path):
    """SHA-256 of a file, or None for no file."""
    return None if path is None else hashlib.sha256(Path(path).read_bytes()).hexdigest()


def task(text):
    """Argument type: 10, 12, 20, 35 or words separated by commas."""
    if text.isdigit():
        if int(text) not in (10, 12, 20, 35):
            raise argparse.ArgumentTypeError(
                f"expected 10, 12, 20, 35 or words separated by commas. Received: {text}"
            )
        return int(text)
    words = [word.strip() for word in text.split(",")]
    if not all(words):
        raise argparse.ArgumentTypeError(f"expected words separated by commas. Received: {text}")
    return words


def switches(text):
    """Argument type: fractions separated by commas."""
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if not values or len(set(values)) != len(values) or not all(0 < v <= 1 for v in values):
        raise argparse.ArgumentTypeError(
            f"expected different fractions such as 1.0,0.5,0.25. Received: {text}"
        )
    return tuple(sorted(values, reverse=True))


def switches_or_all(text):
    """Argument type: "all" (None) or fractions separated by commas."""
    return None if text == "all" else switches(text)


def percentage_or_all(text):
    """Argument type: a percentage or "all"."""
    if text == "all":
        return text
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a percentage or all. Received: {text}")
    return value


def check_folder(path):
    """Raises unless `path` is a folder: before anything slow is done."""
    if not Path(path).is_dir():
        raise FileNotFoundError(f"No such folder: {path}")


def short_names(paths):
    """What tables call files: their names, with the folders that tell equal names apart.

    Args:
        paths: Different `Path`s.

    Returns:
        Dictionary from paths to strings.
    """
    parts = {path: path.absolute().parts for path in paths}
    names = {}
    for path, own in parts.items():
        count = 1
        others = [other for at, other in parts.items() if at != path]
        while count < len(own) and any(other[-count:] == own[-count:] for other in others):
            count += 1
        names[path] = str(Path(*own[-count:]))
    return names


def write_json(value, path):
    """Writes JSON, completely or not at all.

    Args:
        value: JSON-serializable value.
        path: File to write; its folder is made if missing.
    """
    write_text(json.dumps(value, indent=2) + "\n", path)


def write_text(text, path):
    """Writes a text file, completely or not at all.

    Args:
        text: Its content.
        path: File to write; its folder is made if missing.
    """
    from bifsmn_tf.files import replacing

    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def versions():
    """Versions of what the figures depend on."""
    import keras
    import numpy
    import tensorflow

    import bifsmn_tf

    return {
        "bifsmn_tf": bifsmn_tf.__version__,
        "python": platform.python_version(),
        "tensorflow": tensorflow.__version__,
        "keras": keras.__version__,
        "numpy": numpy.__version__,
        "machine": platform.machine(),
        "processors": os.cpu_count(),
    }


def read_model(path):
    """Loads a network saved as `.keras`.

    Args:
        path: The file.

    Returns:
        The Keras model.

    Raises:
        FileNotFoundError: If it is missing.
        ValueError: If it holds no network of this package.
    """
    import zipfile

    import keras

    from bifsmn_tf.models.comparison import ComparisonNetwork
    from bifsmn_tf.models.skeleton import DFSMNSkeleton

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"No such model: {path}")
    if path.suffix != ".keras" or not zipfile.is_zipfile(path):
        raise ValueError(f"A model should be a .keras file. Received: {path}")
    try:
        model = keras.saving.load_model(path, compile=False)
    except (TypeError, ValueError, KeyError, OSError) as error:
        raise ValueError(f"{path} cannot be read as a Keras model: {error}") from error
    model = getattr(model, "student", model)  # what a saved distiller is about
    if not isinstance(model, (DFSMNSkeleton, ComparisonNetwork)):
        raise ValueError(
            f"{path} should hold a network of bifsmn_tf. Received: {type(model).__name__}"
        )
    return model


def read_teacher(paths):
    """Loads a float network, or several as one teacher.

    Args:
        paths: Sequence of `.keras` files.

    Returns:
        The Keras model; of several files a `bifsmn_tf.distillation.TeacherEnsemble`.

    Raises:
        FileNotFoundError: If one is missing.
        ValueError: If one holds no float network of this package, or they do not fit each other.
    """
    members = []
    for path in paths:
        members.append(read_model(path))
        binarizer = getattr(members[-1], "binarizer", None)
        if binarizer is not None:
            raise ValueError(
                f"--teacher should be a float network. Received: {path}, a "
                f"{type(members[-1]).__name__} with binarizer {binarizer.name!r}"
            )
    if len(members) == 1:
        return members[0]
    from bifsmn_tf.distillation import TeacherEnsemble

    return TeacherEnsemble(members)


def open_tflite(path_or_bytes):
    """Opens a converted model for one thread, without the interpreter's announcements.

    Args:
        path_or_bytes: `.tflite`.

    Returns:
        A `bifsmn_tf.runtime.TFLiteModel` that has run every switch once.
    """
    import numpy as np

    from bifsmn_tf.runtime import TFLiteModel

    with quiet_stderr():
        model = TFLiteModel(path_or_bytes)
        for switch in model.switches:
            model.scores(np.zeros(model.input_shape, np.float32), thin=switch)
    return model


def add_task_options(parser, cache):
    """Adds the options that say which clips a training gets, and what they are called.

    Args:
        parser: `argparse.ArgumentParser`.
        cache: Help of `--cache`.
    """
    group = parser.add_argument_group("task")
    group.add_argument(
        "--task", type=task, default=12, help="10, 12, 20, 35 or word,word,... (default 12)"
    )
    group.add_argument(
        "--protocol", choices=("warden", "paper"), default="warden",
        help="what becomes of other words and silence (default %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--unknown", type=percentage_or_all, metavar="PERCENT",
        help="unknown clips in the training subset, in percent of the keywords, or all",
    )  # fmt: skip
    group.add_argument("--cache", metavar="DIR", help=cache)
