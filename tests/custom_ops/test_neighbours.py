"""The real-valued convolution in front of the operators and the classifier behind them, which the
delegate runs as well where it can."""

import concurrent.futures

import numpy as np
import pytest
from ops_testing import INTERPRETERS, Operands, convert, interpreter_module, make_interpreter, run

from bifsmn_tf.conversion import ops, storage, tflite_file

tf = pytest.importorskip("tensorflow")


def build(*, transpose=True, pad=True, leaky=0.25, channels=1, padding="VALID", outputs=16,
          strides=2, softmax=True, reshape=True, extra=(), batch=1, compact=False,
          shifted=False):
    """A function from (batch, 20, 12, channels) to scores, and the names of its outputs."""

    def weights(values):
        return storage.round_to_int8(values) if compact else values

    def shifts(make, count):
        return (make.scales(count),) if shifted else ()

    def function(x):
        make = Operands(7)
        made = {}
        y = tf.transpose(x, (0, 2, 1, 3)) if transpose else x
        made["transposed"] = y
        y = tf.pad(y, [[0, 0], [1, 2], [2, 2], [0, 0]]) if pad else y
        made["padded"] = y
        kernel = weights(make.residual(5, 5, channels, outputs))
        y = tf.nn.conv2d(y, kernel, strides, padding) + make.scales(outputs)
        made["plain"] = y
        y = tf.nn.leaky_relu(y, leaky) if leaky else y
        made["stem"] = y
        height, width = y.shape[1:3]
        y = ops.binary_conv2d(
            y, make.bits(32, 9 * outputs), kernel_size=(3, 3), channels=outputs, padding=(1, 1),
            multiplier=np.abs(make.scales(32)), bias=make.scales(32), shifts=shifts(make, outputs),
        )
        made["conv"] = y
        if reshape:
            y = tf.reshape(y, (batch, height * width * 32))
            size = y.shape[1]
        else:
            y = ops.binary_dense(y, make.bits(40, height * width * 32),
                                 channels=height * width * 32, multiplier=make.scales(40),
                                 bias=make.scales(40), shifts=shifts(make, height * width * 32))
            size = 40
        made["reshaped"] = y
        y = tf.matmul(y, weights(make.residual(size, 5) * 1e-2)) + make.scales(5)
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
    if kwargs.get("compact"):
        model = tflite_file.store_int8(model)
        assert tflite_file.constant_bytes(tflite_file.read(model))["int8"] > 0
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
    {"softmax": False}, {"reshape": False}, {"compact": True},
    {"compact": True, "reshape": False, "transpose": False},
    {"shifted": True}, {"shifted": True, "leaky": -0.5, "reshape": False},
    {"shifted": True, "leaky": 0, "reshape": False, "outputs": 40},
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


class TestWidenedWeights:
    """Weights behind a DEQUANTIZE node, in files that our converter does not write."""

    X = Operands(8).residual(*SHAPE)

    def scores(self, model):
        return run(interpreter_module("ai_edge_litert"), model, [self.X])

    def edited(self, edit):
        model = tflite_file.read(
            tflite_file.store_int8(convert(build(compact=True), [self.X]))
        )
        edit(model)
        return tflite_file.write(model)

    def nodes(self, model, name):
        """The nodes of a builtin operator that read or make widened weights, with their index."""
        code = getattr(tflite_file.schema.BuiltinOperator, name)
        return [
            (i, o) for i, o in enumerate(model.subgraphs[0].operators)
            if model.operatorCodes[o.opcodeIndex].builtinCode == code
        ]

    def test_as_outputs_of_the_model(self):
        def edit(model):
            graph = model.subgraphs[0]
            outputs = [o.outputs[0] for _, o in self.nodes(model, "DEQUANTIZE")]
            for i, tensor in enumerate(outputs):
                entry = tflite_file.schema.TensorMapT()
                entry.name, entry.tensorIndex = f"weights{i}", tensor
                model.signatureDefs[0].outputs.append(entry)
            graph.outputs = np.concatenate([graph.outputs, outputs]).astype(np.int32)

        plain, more = self.scores(self.edited(lambda model: None)), self.scores(self.edited(edit))
        np.testing.assert_array_equal(more["scores"], plain["scores"])
        kernel = storage.round_to_int8(Operands(7).residual(5, 5, 1, 16))
        np.testing.assert_array_equal(more["weights0"], kernel.transpose(3, 0, 1, 2))

    def test_in_float16(self):
        def edit(model):
            for _, node in self.nodes(model, "DEQUANTIZE"):
                tensor = model.subgraphs[0].tensors[node.inputs[0]]
                data = np.frombuffer(bytes(bytearray(model.buffers[tensor.buffer].data)), np.int8)
                factors = np.repeat(tensor.quantization.scale, len(data) // tensor.shape[0])
                half = (data * factors).astype(np.float16)
                model.buffers[tensor.buffer].data = half.view(np.uint8)
                tensor.type = tflite_file.schema.TensorType.FLOAT16
                tensor.quantization = None

        np.testing.assert_allclose(
            self.scores(self.edited(edit))["scores"],
            self.scores(self.edited(lambda model: None))["scores"], atol=0.02,
        )

    def test_with_one_factor_and_a_zero_point(self):
        def edit(model):
            for _, node in self.nodes(model, "DEQUANTIZE"):
                quantization = model.subgraphs[0].tensors[node.inputs[0]].quantization
                quantization.scale = np.array([2.0**-6], np.float32)
                quantization.zeroPoint = np.array([3], np.int64)

        content = self.edited(edit)
        module = interpreter_module("ai_edge_litert")
        details = make_interpreter(module, content)
        details.allocate_tensors()
        assert [d["op_name"] for d in details._get_ops_details()].count("DELEGATE") == 1
        model = tflite_file.read(content)

        def widen(model):  # the same weights in float32
            graph = model.subgraphs[0]
            for i, node in reversed(self.nodes(model, "DEQUANTIZE")):
                stored, tensor = (graph.tensors[t] for t in (node.inputs[0], node.outputs[0]))
                data = np.frombuffer(bytes(bytearray(model.buffers[stored.buffer].data)), np.int8)
                values = (data.astype(np.float32) - 3) * np.float32(2.0**-6)
                model.buffers[stored.buffer].data = values.view(np.uint8)
                tensor.buffer = stored.buffer
                stored.buffer = 0
                stored.quantization = None
                del graph.operators[i]

        widen(model)
        np.testing.assert_array_equal(
            self.scores(content)["scores"], self.scores(tflite_file.write(model))["scores"]
        )

    def test_shared_by_two_nodes(self):
        def edit(model):
            # The convolution's weights are read by an addition, too.
            graph = model.subgraphs[0]
            kernel = self.nodes(model, "CONV_2D")[0][1].inputs[1]
            code = tflite_file.schema.OperatorCodeT()
            code.builtinCode = code.deprecatedBuiltinCode = tflite_file.schema.BuiltinOperator.ABS
            code.version = 1
            model.operatorCodes.append(code)
            made = tflite_file.schema.TensorT()
            made.shape, made.type = graph.tensors[kernel].shape, graph.tensors[kernel].type
            made.buffer = 0
            graph.tensors.append(made)
            node = tflite_file.schema.OperatorT()
            node.opcodeIndex = len(model.operatorCodes) - 1
            node.inputs = np.array([kernel], np.int32)
            node.outputs = np.array([len(graph.tensors) - 1], np.int32)
            graph.operators.append(node)
            graph.outputs = np.append(graph.outputs, node.outputs).astype(np.int32)
            entry = tflite_file.schema.TensorMapT()
            entry.name, entry.tensorIndex = "absolute", node.outputs[0]
            model.signatureDefs[0].outputs.append(entry)

        more = self.scores(self.edited(edit))
        plain = self.scores(self.edited(lambda model: None))
        np.testing.assert_allclose(more["scores"], plain["scores"], atol=1e-4)
        kernel = storage.round_to_int8(Operands(7).residual(5, 5, 1, 16))
        np.testing.assert_array_equal(more["absolute"], np.abs(kernel.transpose(3, 0, 1, 2)))


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
