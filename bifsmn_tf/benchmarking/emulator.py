"""Traces of a model's inferences on an emulated ARM core."""

import collections
import json
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from bifsmn_tf.benchmarking.trace import difference, read_trace

_PACKAGE = Path(__file__).resolve().parent.parent
_OUR_LIBRARY = "libbifsmn_ops.so"
_ATTEMPTS = 3
_INTERPRETER_FOLDERS = ("tflite_runtime", "ai_edge_litert")
RUNTIMES = ("tflite-runtime", "litert")


class Library(NamedTuple):
    """Executable memory of a loaded library.

    Attributes:
        path: The file.
        first: First address.
        end: Address after the last.
        offset: Position of `first` in the file.
        kind: "ops" or "interpreter".
    """

    path: str
    first: int
    end: int
    offset: int
    kind: str

    def holds(self, address):
        """Whether the address is in here."""
        return self.first <= address < self.end


class Traces(NamedTuple):
    """What the inferences of a model executed.

    Attributes:
        interpreter: Name and version of the interpreter package.
        libraries: List of `Library`.
        executions: Dictionary from switches to dictionaries from `Block` to executions per
            inference.
        folder: Keeps the files of `libraries` from being removed.
    """

    interpreter: str
    libraries: list
    executions: dict
    folder: tempfile.TemporaryDirectory


def _kind(path):
    name = os.path.basename(path)
    if name == _OUR_LIBRARY:
        return "ops"
    if any(f"/{folder}/" in path for folder in _INTERPRETER_FOLDERS):
        return "interpreter"
    return None


class Emulator:
    """An emulated ARM machine with a TFLite interpreter, as tools/emulated_root.sh prepares it.

    Args:
        root: Its folder.
        cpu: Core to emulate, in the emulator's words.
        runtime: "tflite-runtime" or "litert".
        library: Another libbifsmn_ops.so than the package's, or None.

    Raises:
        FileNotFoundError: If the folder has not been prepared, or the operators not been built.
    """

    def __init__(self, root, cpu="cortex-a53", runtime="tflite-runtime", library=None):
        self.python = Path(root).resolve() / f"python-{runtime}"
        if not self.python.is_file():
            raise FileNotFoundError(
                f"The emulated machine should be prepared by `tools/emulated_root.sh {root}`. "
                f"Received: no file {self.python}"
            )
        self.cpu = cpu
        # The emulated program runs a copy: nothing that is edited, compiled or built during the
        # minutes of a trace changes one run and not the other.
        self._folder = tempfile.TemporaryDirectory()
        shutil.copytree(
            _PACKAGE, Path(self._folder.name) / _PACKAGE.name,
            ignore=shutil.ignore_patterns("__pycache__", "lib", "pretrained"),
        )  # fmt: skip
        self._library = Path(self._folder.name) / _OUR_LIBRARY
        source = _PACKAGE / "runtime" / "lib" / "linux_aarch64" / _OUR_LIBRARY
        source = source if library is None else Path(library)
        if not source.is_file():
            raise FileNotFoundError(
                "The operators for aarch64 should be built by `tools/build_ops.sh aarch64`. "
                f"Received: no file {source}"
            )
        shutil.copy(source, self._library)

    def _run(self, model, counts, **qemu):
        environment = dict(
            os.environ, PYTHONPATH=self._folder.name, PYTHONHASHSEED="0",
            BIFSMN_TF_OPS_LIBRARY=str(self._library), OPENBLAS_NUM_THREADS="1",
            QEMU_CPU=self.cpu, **qemu,
            # Arguments and environment move what lies below them in memory: the emulated program
            # must see the same ones in every run.
            QEMU_UNSET_ENV="QEMU_LOG,QEMU_LOG_FILENAME,QEMU_DFILTER",
        )  # fmt: skip
        result = subprocess.run(
            # Without address randomization every run loads the libraries at the same place.
            [
                "setarch", platform.machine(), "-R", str(self.python), "-m",
                "bifsmn_tf.benchmarking.emulated_worker", str(Path(model).resolve()),
            ],
            input=json.dumps(counts), env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        lines = result.stdout.strip().splitlines()
        if result.returncode or not lines:
            reason = (result.stderr.strip().splitlines() or ["no output"])[-1]
            raise RuntimeError(f"The emulated interpreter failed on {model}: {reason}")
        report = json.loads(lines[-1])
        report["libraries"] = [
            Library(path, first, end, offset, _kind(path))
            for path, first, end, offset in report["mappings"]
            if _kind(path)
        ]
        return report

    def trace(self, model, switches=None, inferences=2):
        """Runs every switch and tells which blocks an inference executed.

        Only the interpreter and the operators are followed: the C library (`memcpy`) serves
        Python, too, and its log would be a hundred times longer.

        Args:
            model: Path of a `.tflite`.
            switches: Switches to run; None runs all of the file's.
            inferences: Over how many inferences to average.

        Returns:
            `Traces`.

        Raises:
            RuntimeError: If the emulated program fails, or loads its libraries elsewhere.
            ValueError: If the model lacks a switch.
        """
        probe = self._run(model, {})
        switches = probe["switches"] if switches is None else switches
        for switch in switches:
            if switch not in probe["switches"]:
                raise ValueError(
                    f"The switch should be one of {probe['switches']}, those of {model}. "
                    f"Received: {switch}"
                )
        libraries = probe["libraries"]
        base = self._log(model, {}, libraries)
        executions = {
            switch: difference(
                base, self._log(model, {str(switch): inferences}, libraries), inferences
            )
            for switch in switches
        }
        return Traces(probe["interpreter"], libraries, executions, self._folder)

    def _log(self, model, counts, libraries):
        """Blocks that a run executed, at the addresses of `libraries`."""
        expected = libraries
        for _ in range(_ATTEMPTS):
            with tempfile.TemporaryDirectory() as folder:
                log = os.path.join(folder, "log")
                report = self._run(
                    model, counts, QEMU_LOG="exec,nochain,in_asm", QEMU_LOG_FILENAME=log,
                    QEMU_DFILTER=",".join(f"{x.first:#x}+{x.end - x.first:#x}" for x in expected),
                )  # fmt: skip
                if report["libraries"] == expected:
                    with open(log, encoding="ascii", errors="replace") as lines:
                        return _move(read_trace(lines), expected, libraries)
            # Whatever moved them (an update of a file, say), look there the next time.
            expected = report["libraries"]
        raise RuntimeError(
            "The emulated program should load its libraries at the same addresses in every run. "
            f"Received: other addresses in {_ATTEMPTS} runs"
        )


def _move(counts, now, then):
    """Blocks of libraries that lie at `now`, at their addresses in `then`."""
    if now == then:
        return counts
    kept = [(x.path, x.end - x.first, x.offset) for x in then]
    if kept != [(x.path, x.end - x.first, x.offset) for x in now]:
        raise RuntimeError(
            "The libraries should stay the same while they are traced. Received: others"
        )
    moved = collections.Counter()
    for block, count in counts.items():
        shift = next(b.first - a.first for a, b in zip(now, then) if a.holds(block.address))
        moved[block._replace(address=block.address + shift)] = count
    return moved
