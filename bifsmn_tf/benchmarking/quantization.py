"""Full-integer quantization of a float `.tflite`: the int8 network a user would compare with."""

import numpy as np

from bifsmn_tf.benchmarking.subject import Subject


def to_int8(content, examples):
    """Quantizes weights and activations to 8 bits, input and output included.

    The converter's own calibration and quantization, applied to a converted file instead of a
    Keras model: the network stays the same to the last operator.

    Args:
        content: Bytes of a float `.tflite` with one signature of one input.
        examples: float32 array `(n, ...)` of representative inputs, n >= 1.

    Returns:
        Bytes of the int8 `.tflite`.

    Raises:
        ImportError: If TensorFlow is not installed.
        ValueError: If the file holds operators of this project, several signatures, or an input
            that does not fit the examples.
    """
    subject = Subject(content)
    if subject.has_binary_operators or len(subject.switches) != 1:
        raise ValueError(
            "Only a float model with one signature can be quantized. Received: switches "
            f"{subject.switches}{', binary operators' if subject.has_binary_operators else ''}"
        )
    shape = subject.input_shape
    examples = np.asarray(examples, np.float32)
    if examples.shape[1:] != shape[1:] or not len(examples):
        raise ValueError(
            f"`examples` should have shape {('n', *shape[1:])}. Received: {examples.shape}"
        )

    import tensorflow as tf
    from tensorflow.lite.python.convert import mlir_quantize
    from tensorflow.lite.python.optimize.calibrator import Calibrator

    def dataset():
        for example in examples:
            yield [example[None]]

    calibrated = Calibrator(content).calibrate(dataset)
    return bytes(mlir_quantize(
        calibrated, fully_quantize=True, input_data_type=tf.int8, output_data_type=tf.int8
    ))  # fmt: skip
