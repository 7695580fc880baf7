"""Runs layers in Larq Compute Engine; compare_lce.py starts it in LCE's own environment.

usage: larq_worker.py LAYERS.npz OUTPUTS.npz

LAYERS.npz holds for every layer i the arrays x<i> (T, K), weights<i> (N, K) of -1 and +1,
multiplier<i> (N,) and bias<i> (N,). Writes output<i> (T, N) of every layer to OUTPUTS.npz and
prints "ready"; then answers each line {"layer": i, "calls": n} with the seconds n predictions
took.
"""

import json
import os
import sys
import time

# This folder's modules are not for this environment.
sys.path.pop(0)
os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import larq
import larq_compute_engine as lce
import numpy as np
import tensorflow as tf
from larq_compute_engine.tflite.python.interpreter import Interpreter

_EPSILON = 1e-3


def build(weights, multiplier, bias, frames):
    """A 1x1 binary convolution and a batch normalization, converted by LCE."""
    outputs, channels = weights.shape
    model = tf.keras.Sequential([
        tf.keras.layers.Input((frames, 1, channels), batch_size=1),
        larq.layers.QuantConv2D(
            outputs, 1, input_quantizer="ste_sign", kernel_quantizer="ste_sign", use_bias=False
        ),
        tf.keras.layers.BatchNormalization(epsilon=_EPSILON),
    ])  # fmt: skip
    model.layers[0].set_weights([weights.T[None, None]])
    # gamma, beta, mean, variance: the variance makes the square root 1.
    ones = np.ones(outputs, np.float32)
    model.layers[1].set_weights([multiplier, bias, 0 * ones, (1 - _EPSILON) * ones])
    return Interpreter(
        lce.convert_keras_model(model), num_threads=1, use_indirect_bgemm=True
    )


def main():
    """Runs the worker."""
    # What the libraries print must not reach the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    layers = np.load(sys.argv[1])
    interpreters, inputs, outputs = [], [], {}
    while f"x{len(inputs)}" in layers:
        i = len(inputs)
        x = layers[f"x{i}"]
        interpreters.append(
            build(layers[f"weights{i}"], layers[f"multiplier{i}"], layers[f"bias{i}"], len(x))
        )
        inputs.append(x[None, :, None, :])
        outputs[f"output{i}"] = interpreters[i].predict(inputs[i]).reshape(len(x), -1)
    np.savez(sys.argv[2], **outputs)
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        predict, x = interpreters[request["layer"]].predict, inputs[request["layer"]]
        start = time.perf_counter_ns()
        for _ in range(request["calls"]):
            predict(x)
        print((time.perf_counter_ns() - start) * 1e-9, file=answers, flush=True)


if __name__ == "__main__":
    main()
