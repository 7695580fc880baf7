"""Runs every signature of a model under another Python: MODEL LIBRARY INPUTS.npz OUTPUTS.npz.

Of every input array the first axis counts calls. Outputs are named `signature/output` and have the
same first axis. No TensorFlow.
"""

import sys

import numpy as np

try:
    from ai_edge_litert import interpreter as tflite
except ImportError:
    from tflite_runtime import interpreter as tflite


def main(model, library, inputs, outputs):
    interpreter = tflite.Interpreter(
        model_path=model, experimental_delegates=[tflite.load_delegate(library)]
    )
    with np.load(inputs) as file:
        calls = {name: file[name] for name in file.files}
    count = len(next(iter(calls.values())))
    results = {}
    for signature in interpreter.get_signature_list():
        runner = interpreter.get_signature_runner(signature)
        for i in range(count):
            for name, value in runner(**{key: x[i] for key, x in calls.items()}).items():
                results.setdefault(f"{signature}/{name}", []).append(np.copy(value))
    np.savez(outputs, **{name: np.stack(values) for name, values in results.items()})


if __name__ == "__main__":
    main(*sys.argv[1:])
