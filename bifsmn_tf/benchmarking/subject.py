"""A `.tflite` to be measured: ours, or another network's float or int8 file."""

import functools
import os
import re

import numpy as np

from bifsmn_tf.runtime.library import load_ops_delegate, tflite_module

_SIGNATURE = re.compile(r"thin_([0-9.]+)")
_OUR_OPERATORS = b"Bifsmn"


def read(path):
    """Bytes of a `.tflite`.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If the file is something else.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f"No such model: {path}")
    with open(path, "rb") as file:
        content = file.read()
    if content[4:8] != b"TFL3":
        raise ValueError(f"A model should be a .tflite file. Received: {path}, which is not one")
    return content


def example_input(shape, seed=0):
    """Something like log-mel features in dB, or like a waveform where one axis is long.

    Args:
        shape: Shape of the input with its batch axis.
        seed: Seed of the generator.

    Returns:
        float32 array.
    """
    random = np.random.default_rng(seed)
    if len(shape) == 2:
        return np.clip(0.1 * random.standard_normal(shape), -1, 1).astype(np.float32)
    return (-30 + 15 * random.standard_normal(shape)).astype(np.float32)


def _as_type(x, details):
    """`x` in the type that the input wants, quantized if that is an integer."""
    dtype = np.dtype(details["dtype"])
    if not np.issubdtype(dtype, np.integer):
        return x.astype(dtype)
    scale, zero = details["quantization"]
    info = np.iinfo(dtype)
    if not scale:
        return np.clip(np.round(x), info.min, info.max).astype(dtype)
    return np.clip(np.round(x / scale) + zero, info.min, info.max).astype(dtype)


class Subject:
    """A model in an interpreter, ready to be invoked again and again on one input.

    The delegate with the project's operators is loaded only for a file that has some of them.

    Args:
        content: Bytes of a `.tflite` whose signatures take one input each; a file without
            signatures is taken as one.
        num_threads: Threads for the interpreter's builtin operators.
        name: What messages call it.

    Attributes:
        switches: Switches in the file, largest first; a file with one signature of another name
            has the switch 1.0.
        input_shape: Shape of the input with its batch axis.
        size: Bytes of the file.
        has_binary_operators: Whether the file needs this project's operators.

    Raises:
        ValueError: If the interpreter refuses the file or it has other inputs.
    """

    def __init__(self, content, num_threads=1, name="model"):
        self.name = name
        self.size = len(content)
        tflite = tflite_module()
        self.has_binary_operators = _OUR_OPERATORS in content
        delegates = [load_ops_delegate(tflite)] if self.has_binary_operators else []
        try:
            self._interpreter = tflite.Interpreter(
                model_content=content, num_threads=num_threads, experimental_delegates=delegates
            )
            # tflite-runtime hands operators to XNNPACK here and nowhere else.
            self._interpreter.allocate_tensors()
            self._runners = self._find_runners()
        except (ValueError, RuntimeError) as error:
            raise ValueError(f"The TFLite interpreter refused {name}: {error}") from error
        self.switches = tuple(sorted(self._runners, reverse=True))
        shapes = {tuple(int(n) for n in self._details(s)["shape"]) for s in self.switches}
        if len(shapes) != 1:
            raise ValueError(
                f"All signatures of {name} should take the same input. Received: {shapes}"
            )
        (self.input_shape,) = shapes
        self.feed(example_input(self.input_shape))

    def _find_runners(self):
        signatures = self._interpreter.get_signature_list()
        self._names = {}
        if not signatures:
            return {1.0: None}
        names = {
            float(match[1]): name
            for name in signatures
            if (match := _SIGNATURE.fullmatch(name))
        }
        if not names and len(signatures) == 1:
            names = {1.0: next(iter(signatures))}
        if not names:
            raise ValueError(f"no signature is named thin_<switch>. Received: {signatures}")
        self._names = names
        return {s: self._interpreter.get_signature_runner(names[s]) for s in names}

    def _details(self, switch):
        runner = self._runners[switch]
        if runner is None:
            details = self._interpreter.get_input_details()
        else:
            details = list(runner.get_input_details().values())
        if len(details) != 1:
            raise ValueError(
                f"{self.name} should have one input. Received: {len(details)} inputs"
            )
        return details[0]

    def feed(self, x):
        """Gives an input to every switch and runs each once; outputs by switch.

        Args:
            x: float32 array of `input_shape`; quantized if the file wants integers.
        """
        outputs = {}
        for switch, runner in self._runners.items():
            details = self._details(switch)
            value = _as_type(x, details)
            if runner is None:
                self._interpreter.set_tensor(details["index"], value)
                self._interpreter.invoke()
                index = self._interpreter.get_output_details()[0]["index"]
                outputs[switch] = self._interpreter.get_tensor(index)
            else:
                (name,) = runner.get_input_details()
                outputs[switch] = next(iter(runner(**{name: value}).values()))
        return outputs

    def invoker(self, switch):
        """A function without arguments that runs a switch again on its last input."""
        runner = self._runners[switch]
        if runner is None:
            call = functools.partial(self._interpreter.invoke)
        else:
            # There is no public call for this in a model of several signatures.
            # pylint: disable=protected-access
            wrapper, subgraph = runner._interpreter_wrapper, runner._subgraph_index
            call = functools.partial(wrapper.Invoke, subgraph)
        call.subject = self  # the interpreter reads the file's bytes in place
        return call

    def signature(self, switch):
        """Name of a switch's signature, or None in a file without."""
        return self._names.get(switch)
