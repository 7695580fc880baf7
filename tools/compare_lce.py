#!/usr/bin/env python3
"""Compares a binary layer with the same layer in Larq Compute Engine (LCE), on x86-64.

The layer takes float frames, binarizes them, multiplies them with binary weights, applies a
folded batch normalization and gives floats. LCE runs it with its fastest kernel
(`use_indirect_bgemm=True`) through its own `predict`, in an environment of its own; ours runs in
ai-edge-litert through the delegate, with the input set and the output read in every call, as
`predict` does. Both take turns, on one thread; their outputs must agree.
"""

import argparse
import functools
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import _common

_HERE = Path(__file__).resolve().parent
_ENVIRONMENT = _HERE.parent / ".setup" / "larq"
_REQUIREMENTS = _HERE / "benchmark_requirements" / "larq.txt"
_SHAPES = "32x256x256,32x128x256,32x256x128,128x256x256"
_TOLERANCE = 1e-3


def parser():
    """The command line."""
    result = argparse.ArgumentParser(
        prog="compare_lce.py", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    result.add_argument(
        "--shapes", type=_shapes, default=_shapes(_SHAPES), metavar="TxKxN,...",
        help=f"frames, inputs and outputs of the layers (default {_SHAPES})",
    )  # fmt: skip
    result.add_argument(
        "--repeats", type=_common.positive_int, default=200, metavar="N",
        help="samples of each (default %(default)s)",
    )  # fmt: skip
    result.add_argument(
        "--environment", type=Path, default=_ENVIRONMENT, metavar="DIR",
        help="LCE's virtual environment, made if missing (default .setup/larq)",
    )  # fmt: skip
    result.add_argument(
        "--python", default=sys.executable, metavar="PROGRAM",
        help="Python 3.10 to 3.12 to make it with (default this one)",
    )  # fmt: skip
    result.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    return result


def _shapes(text):
    shapes = []
    for part in text.split(","):
        numbers = part.split("x")
        if len(numbers) != 3 or not all(n.isdigit() and int(n) for n in numbers):
            raise argparse.ArgumentTypeError(
                f"expected shapes such as 32x256x256,32x128x256. Received: {text}"
            )
        shapes.append(tuple(map(int, numbers)))
    return shapes


def main(argv=None):
    """Runs the tool."""
    arguments = parser().parse_args(argv)
    if platform.machine() != "x86_64":
        raise RuntimeError(
            f"LCE is published for x86-64 only. Received: a {platform.machine()} machine"
        )
    python = _environment(arguments.environment, arguments.python)
    layers = [_random_layer(i, *shape) for i, shape in enumerate(arguments.shapes)]
    with tempfile.TemporaryDirectory() as folder:
        worker, theirs = _start_worker(python, layers, Path(folder))
        try:
            report = _compare(worker, theirs, layers, arguments)
        finally:
            worker.stdin.close()
            worker.wait(timeout=60)
    if arguments.json is not None:
        _common.write_json(report, arguments.json)


def _environment(folder, python):
    """Python of LCE's environment, which is made on the first use."""
    stamp = folder / ".requirements"
    wanted = _REQUIREMENTS.read_text(encoding="utf-8")
    program = folder / "bin" / "python"
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != wanted:
        print(f"making {folder} for Larq Compute Engine (minutes)", file=sys.stderr)
        for command in (
            [python, "-m", "venv", str(folder)],
            [str(program), "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r",
             str(_REQUIREMENTS)],
        ):  # fmt: skip
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                lines = [line for line in done.stderr.splitlines() if "ERROR" in line]
                raise RuntimeError(
                    f"{' '.join(command[:4])} failed: {'; '.join(lines)[:300]}"
                )
        stamp.write_text(wanted, encoding="utf-8")
    return program


def _random_layer(seed, frames, channels, outputs):
    import numpy as np

    random = np.random.default_rng(seed)
    return {
        "x": random.standard_normal((frames, channels)).astype(np.float32),
        "weights": random.choice(np.array([-1, 1], np.float32), (outputs, channels)),
        "multiplier": random.uniform(0.5, 1.5, outputs).astype(np.float32),
        "bias": random.standard_normal(outputs).astype(np.float32),
    }


def _start_worker(python, layers, folder):
    """Starts LCE; returns the process and its outputs."""
    import numpy as np

    arrays = {f"{key}{i}": v for i, layer in enumerate(layers) for key, v in layer.items()}
    np.savez(folder / "layers.npz", **arrays)
    errors = open(folder / "errors", "w+", encoding="utf-8", errors="replace")
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    worker = subprocess.Popen(
        [str(python), str(_HERE / "larq_worker.py"), str(folder / "layers.npz"),
         str(folder / "outputs.npz")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment,
    )  # fmt: skip
    if worker.stdout.readline().strip() != "ready":
        worker.stdin.close()
        worker.wait()
        errors.seek(0)
        reason = (errors.read().strip().splitlines() or ["no output"])[-1]
        raise RuntimeError(f"Larq Compute Engine failed: {reason}")
    outputs = np.load(folder / "outputs.npz")
    return worker, [outputs[f"output{i}"] for i in range(len(layers))]


class _Ours:
    """A layer in ai-edge-litert, through the delegate."""

    def __init__(self, layer):
        import tensorflow as tf
        from ai_edge_litert import interpreter as litert

        from bifsmn_tf.conversion import ops
        from bifsmn_tf.runtime import load_ops_delegate

        frames, channels = layer["x"].shape
        weights = ops.pack_bits(layer["weights"])

        def function(x):
            return ops.binary_dense(
                x, weights, layer["multiplier"], layer["bias"], channels=channels
            )

        module = tf.Module()
        module.call = tf.function(
            function, input_signature=[tf.TensorSpec((1, frames, channels), tf.float32)]
        )
        with tempfile.TemporaryDirectory() as folder:
            tf.saved_model.save(module, folder, signatures=module.call)
            converter = tf.lite.TFLiteConverter.from_saved_model(folder)
            converter.allow_custom_ops = True
            content = converter.convert()
        self._x = layer["x"][None]
        self._interpreter = litert.Interpreter(
            model_content=content, num_threads=1,
            experimental_delegates=[load_ops_delegate(litert)],
        )  # fmt: skip
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._output = self._interpreter.get_output_details()[0]["index"]
        self.invoke = self._interpreter.invoke

    def predict(self):
        """Sets the input, runs, reads the output."""
        self._interpreter.set_tensor(self._input, self._x)
        self._interpreter.invoke()
        return self._interpreter.get_tensor(self._output)[0]


def _compare(worker, theirs, layers, arguments):
    import numpy as np

    _common.import_tensorflow()
    from bifsmn_tf.benchmarking import timing

    def lce_seconds(layer, calls):
        print(json.dumps({"layer": layer, "calls": calls}), file=worker.stdin, flush=True)
        answer = worker.stdout.readline()
        if not answer:
            raise RuntimeError("Larq Compute Engine stopped")
        return float(answer)

    print(
        "1x1 binary layer, float in, batch normalization folded, float out; 1 thread, "
        f"{arguments.repeats} interleaved repeats; microseconds: median (p10-p90)"
    )
    print(f"  {'T x K x N':<14} {'LCE predict':<24} {'ours':<24} {'LCE / ours, best':<24} our invoke")
    rows = []
    for i, layer in enumerate(layers):
        with _common.quiet_stderr():
            ours = _Ours(layer)
        error = float(np.abs(ours.predict() - theirs[i]).max())
        if not error <= _TOLERANCE:
            raise RuntimeError(
                f"The layers should compute the same. Received: outputs that differ by {error}"
            )
        measured = {
            "lce": functools.partial(lce_seconds, i),
            "ours": functools.partial(timing.seconds, ours.predict),
            "invoke": functools.partial(timing.seconds, ours.invoke),
        }
        samples = timing.interleave_batches(measured, arguments.repeats)
        summary = {name: timing.summarize(values) for name, values in samples.items()}
        ratio = timing.ratio(samples["ours"], samples["lce"])
        frames, channels = layer["x"].shape
        shape = f"{frames} x {channels} x {len(layer['weights'])}"
        text = {
            name: f"{s.median * 1e6:.1f} ({s.p10 * 1e6:.1f}-{s.p90 * 1e6:.1f})"
            for name, s in summary.items()
        }
        best = float(samples["lce"].min() / samples["ours"].min())
        quotient = f"{ratio.median:.2f} ({ratio.p10:.2f}-{ratio.p90:.2f}), {best:.2f}"
        print(
            f"  {shape:<14} {text['lce']:<24} {text['ours']:<24} {quotient:<24} {text['invoke']}"
        )
        rows.append({
            "frames": frames, "inputs": channels, "outputs": len(layer["weights"]),
            "max_difference": error, "ratio": {**ratio._asdict(), "best": best},
            "seconds": {name: s._asdict() for name, s in summary.items()},
        })  # fmt: skip
    return {"repeats": arguments.repeats, "layers": rows}


if __name__ == "__main__":
    sys.exit(_common.run(main))
