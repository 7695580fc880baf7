"""A converted model in the TFLite interpreter, with the project's operators."""

import io
import os
import re
import zipfile

import numpy as np

from bifsmn_tf.runtime.library import load_ops_delegate, tflite_module

_SIGNATURE = re.compile(r"thin_([0-9.]+)")
_LABELS_FILE = "labels.txt"


def _read(model):
    """Bytes of a model given as path or bytes."""
    if isinstance(model, (bytes, bytearray)):
        return bytes(model)
    if not os.path.isfile(model):
        raise FileNotFoundError(f"`model` should be a .tflite file. Received: {model}")
    with open(model, "rb") as file:
        content = file.read()
    if content[4:8] != b"TFL3":
        raise ValueError(f"`model` should be a .tflite file. Received: {model}, which is not one")
    return content


def _labels(content):
    """Names of the classes from the archive at the end of the file, or None."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return archive.read(_LABELS_FILE).decode().splitlines()
    except (zipfile.BadZipFile, KeyError):
        return None


class TFLiteModel:
    """Runs a converted model, one input at a time.

    Args:
        model: Path or bytes of a `.tflite`.
        num_threads: Threads for the interpreter's builtin operators.

    Attributes:
        labels: Names of the classes, or None if the file holds none.
        switches: Switches in the file, largest first.
        input_kind: "features" or "audio".
        input_shape: Shape of one input, without the batch axis.

    Raises:
        FileNotFoundError: If the file or the op library is missing.
        ValueError: If the file is not a model converted by this project.
    """

    def __init__(self, model, num_threads=1):
        content = _read(model)
        self.labels = _labels(content)
        tflite = tflite_module()
        try:
            self.interpreter = tflite.Interpreter(
                model_content=content,
                num_threads=num_threads,
                experimental_delegates=[load_ops_delegate(tflite)],
            )
            # tflite-runtime 2.14 gives the builtin operators to XNNPACK here only, not when a
            # signature is first run.
            self.interpreter.allocate_tensors()
            signatures = self.interpreter.get_signature_list()
        except (ValueError, RuntimeError) as error:
            raise ValueError(f"The TFLite interpreter refused the model: {error}") from error
        names = {
            float(match[1]): name
            for name in signatures
            if (match := _SIGNATURE.fullmatch(name))
        }
        inputs = {tuple(signatures[name]["inputs"]) for name in names.values()}
        if not names or inputs not in ({("features",)}, {("audio",)}):
            raise ValueError(
                "The model should have signatures thin_<switch> with one input, features or "
                f"audio. Received: {signatures}"
            )
        self.switches = tuple(sorted(names, reverse=True))
        ((self.input_kind,),) = inputs
        self._runners = {s: self.interpreter.get_signature_runner(names[s]) for s in names}
        details = self._runners[self.switches[0]].get_input_details()[self.input_kind]
        self.input_shape = tuple(int(n) for n in details["shape"][1:])

    def _runner(self, thin):
        for switch in self.switches:
            if abs(switch - thin) < 1e-6:
                return self._runners[switch]
        raise ValueError(
            f"`thin` should be one of the file's switches {self.switches}. "
            f"Received: thin={thin!r}"
        )

    def scores(self, x, thin=None):
        """Probabilities of the classes for one input.

        Args:
            x: float array of `input_shape`.
            thin: The switch; default the largest in the file.

        Returns:
            float32 array `(num_classes,)`.
        """
        x = np.asarray(x, np.float32)
        if x.shape != self.input_shape:
            raise ValueError(
                f"`x` should have shape {self.input_shape} ({self.input_kind}). "
                f"Received: shape {x.shape}"
            )
        runner = self._runner(self.switches[0] if thin is None else thin)
        return runner(**{self.input_kind: x[None]})["scores"][0]

    def invoke(self, thin=None):
        """Runs a switch again on the input it was last given, without copies: for timing."""
        runner = self._runner(self.switches[0] if thin is None else thin)
        # There is no public call for this in a model of several signatures.
        runner._interpreter_wrapper.Invoke(runner._subgraph_index)  # pylint: disable=protected-access
