"""Runs a model under another Python: MODEL LIBRARY INPUTS.npz OUTPUTS.npz. No TensorFlow."""

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
    runner = interpreter.get_signature_runner("serving_default")
    np.savez(outputs, **runner(**np.load(inputs)))


if __name__ == "__main__":
    main(*sys.argv[1:])
