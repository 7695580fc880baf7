"""The real-valued convolution in front of the operators and the classifier behind them, which the
delegate runs as well where it can."""

import concurrent.futures

import numpy as np
import pytest
from ops_testing import INTERPRETERS, Operands, convert, interpreter_module, make_interpreter, run

from bifsmn_tf.conversion import ops

tf = pytest.importorskip("tensorflow")


def build(*, transpose=True, pad=True, leaky=0.25, channels=1, padding="VALID", outputs=16,
          strides=2, softmax=True, reshape=True, extra=(), batch=1):
    """A function from (batch, 20, 12, channels) to scores, and the names of its outputs."""

    def function(x):
        make = Operands(7)
        made = {}
        y = tf.transpose(x, (0, 2, 1, 3)) if transpose else x
        made["transposed"] = y
        y = tf.pad(y, [[0, 0], [1, 2], [2, 2], [0, 0]]) if pad else y
        made["padded"] = y
        kernel = make.residual(5, 5, channels, outputs)
        y = tf.nn.conv2d(y, kernel, strides, padding) + make.scales(outputs)
        made["plain"] = y
        y = tf.nn.leaky_relu(y, leaky) if leaky else y
        made["stem"] = y
        height, width = y.shape[1:3]
        y = ops.binary_conv2d(
            y, make.bits(32, 9 * outputs), kernel_size=(3, 3), channels=outputs, padding=(1, 1),
            multiplier=np.abs(make.scales(32)), bias=make.scales(32),
        )
        made["conv"] = y
        if reshape:
            y = tf.reshape(y, (batch, height * width * 32))
            size = y.shape[1]
        else:
            y = ops.binary_dense(y, make.bits(40, height * width * 32),
                                 channels=height * width * 32, multiplier=make.scales(40),
                                 bias=make.scales(40))
            size = 40
        made["reshaped"] = y
        y = tf.matmul(y, make.residual(size, 5) * 1e-2) + make.scales(5)
        made["logits"] = y
        made["scores"] = tf.nn.softmax(y) if softmax else y
        return {name: made[name] for name in (*extra, "scores")}

    return function


def check(name, shape, alone, **kwargs):
    """Compares with eager TensorFlow; `alone`: whether the delegate should run the whole model."""
    module = interpreter_module(name)
    function = build(**kwargs)
    x = Operands(8).residual(*shape)
    model = convert(function, [x])
    expected = function(tf.constant(x))
    actual = run(module, model, [x])
    assert set(actual) == set(expected)
    for key, value in expected.items():
        np.testing.assert_allclose(actual[key], value.numpy(), rtol=1e-4, atol=1e-4, err_msg=key)
    interpreter = make_interpreter(module, model)
    interpreter.allocate_tensors()
    operators = [details["op_name"] for details in interpreter._get_ops_details()]
    nodes = [i for i, op in enumerate(operators) if op == "DELEGATE"]
    assert (len(nodes) == 1) == alone, operators
    return module, model


SHAPE = (1, 20, 12, 1)


@pytest.mark.parametrize("name", INTERPRETERS)
@pytest.mark.parametrize("kwargs", [
    {}, {"transpose": False}, {"pad": False}, {"transpose": False, "pad": False},
    {"leaky": 0}, {"strides": 1}, {"outputs": 40}, {"outputs": 3},
    {"softmax": False}, {"reshape": False},
], ids=str)
def test_the_delegate_runs_the_whole_network(name, kwargs):
    check(name, SHAPE, True, **kwargs)


@pytest.mark.parametrize("kwargs,shape", [
    ({"padding": "SAME"}, SHAPE), ({"channels": 2}, (1, 20, 12, 2)),
], ids=str)
def test_other_forms_stay_with_the_interpreter(kwargs, shape):
    check("ai_edge_litert", shape, False, **kwargs)


@pytest.mark.parametrize("extra", [
    ("transposed",), ("padded",), ("plain",), ("stem",), ("reshaped",), ("logits",), ("conv",),
    ("transposed", "padded", "plain", "stem", "conv", "reshaped", "logits"),
], ids="-".join)
def test_inner_tensors_may_be_outputs(extra):
    # The converter may compute an output by a node of its own, which is not ours to run.
    module, function = interpreter_module("ai_edge_litert"), build(extra=extra)
    x = Operands(8).residual(*SHAPE)
    actual = run(module, convert(function, [x]), [x])
    for key, value in function(tf.constant(x)).items():
        np.testing.assert_allclose(actual[key], value.numpy(), rtol=1e-4, atol=1e-4, err_msg=key)


def test_batches():
    check("ai_edge_litert", (3, *SHAPE[1:]), True, batch=3)


def test_a_resized_batch_that_the_classifier_cannot_hold_is_an_error():
    module, model = check("ai_edge_litert", SHAPE, True)
    interpreter = make_interpreter(module, model)
    interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], (2, *SHAPE[1:]))
    with pytest.raises(RuntimeError, match="as many clips as converted. Received: shape"):
        interpreter.allocate_tensors()


def test_interpreters_in_threads_do_not_disturb_each_other():
    module, function = interpreter_module("ai_edge_litert"), build()
    inputs = [Operands(i).residual(*SHAPE) for i in range(4)]
    model = convert(function, inputs[:1])
    expected = [run(module, model, [x])["scores"] for x in inputs]

    def repeat(x):
        runner = make_interpreter(module, model).get_signature_runner("serving_default")
        key = next(iter(runner.get_input_details()))
        return [runner(**{key: x})["scores"] for _ in range(50)]

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for scores, alone in zip(pool.map(repeat, inputs), expected):
            for score in scores:
                np.testing.assert_array_equal(score, alone)
