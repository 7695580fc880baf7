# Copyright 2026 The bifsmn_tf Authors.
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
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
