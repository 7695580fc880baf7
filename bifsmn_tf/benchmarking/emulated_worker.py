"""Runs inside the emulated machine: invokes a model a given number of times.

usage: python -m bifsmn_tf.benchmarking.emulated_worker MODEL < COUNTS

COUNTS is a JSON dictionary from switches to invocations beyond the first. Prints a JSON line:
the executable mappings of this process, the interpreter package's version, the switches.
"""

import importlib.metadata
import json
import sys

from bifsmn_tf.benchmarking.subject import Subject, read


def _mappings():
    """`[[path, first, end, file offset], ...]` of everything executable."""
    found = []
    with open("/proc/self/maps", encoding="ascii", errors="replace") as maps:
        for line in maps:
            fields = line.split(None, 5)
            if len(fields) == 6 and "x" in fields[1]:
                first, end = (int(text, 16) for text in fields[0].split("-"))
                found.append([fields[5].strip(), first, end, int(fields[2], 16)])
    return found


def _interpreter():
    """Name and version of the interpreter package in use."""
    for module, package in (
        ("ai_edge_litert.interpreter", "ai-edge-litert"),
        ("tflite_runtime.interpreter", "tflite-runtime"),
    ):
        if module in sys.modules:
            return f"{package} {importlib.metadata.version(package)}"
    raise RuntimeError("Neither ai-edge-litert nor tflite-runtime was loaded")


def main():
    """Runs the worker."""
    subject = Subject(read(sys.argv[1]), name=sys.argv[1])
    counts = json.load(sys.stdin)
    for switch, count in counts.items():
        invoke = subject.invoker(float(switch))
        for _ in range(count):
            invoke()
    print(json.dumps({
        "mappings": _mappings(), "interpreter": _interpreter(), "switches": subject.switches,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
