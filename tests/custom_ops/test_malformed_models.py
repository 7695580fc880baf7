"""Damaged models: an exception with a clear message, and a process that lives on."""

import copy

import numpy as np
import pytest
from ops_testing import INTERPRETERS, Operands, convert, interpreter_module, make_interpreter

from bifsmn_tf.conversion import ops

tf = pytest.importorskip("tensorflow")
schema = pytest.importorskip("tensorflow.lite.python.schema_py_generated")
flatbuffers = pytest.importorskip("flatbuffers")
flexbuffers = pytest.importorskip("flatbuffers.flexbuffers")


@pytest.fixture(params=INTERPRETERS)
def module(request):
    return interpreter_module(request.param)


@pytest.fixture(scope="module")
def sound():
    """Dense to bits, then a memory filter with a residual: two nodes of one partition."""
    make = Operands(1)
    w1, threshold = make.bits(40, 100), make.threshold(40, 100)
    wm, scale, bias = make.bits(5, 40), make.scales(40), make.scales(40)

    def call(x, residual):
        hidden = ops.binary_dense(x, w1, threshold=threshold, channels=100)
        return {
            "y": ops.memory_filter(
                hidden, wm, scale, bias, residual, channels=40, look_back=2, slope=0.5
            )
        }

    content = convert(call, [make.floats(1, 8, 100), make.residual(1, 8, 40)])
    return schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))


def pack(model):
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


class Editor:
    """One damage at a time; node 0 is the dense layer, node 1 the memory filter."""

    def __init__(self, model):
        self.model = model
        self.graph = model.subgraphs[0]

    def tensor(self, node, position):
        return self.graph.tensors[self.graph.operators[node].inputs[position]]

    def output(self, node):
        return self.graph.tensors[self.graph.operators[node].outputs[0]]

    def buffer(self, node, position):
        return self.model.buffers[self.tensor(node, position).buffer]

    def attributes(self, node, **changes):
        operator = self.graph.operators[node]
        values = flexbuffers.Loads(bytes(operator.customOptions))
        values.update(changes)
        values = {key: value for key, value in values.items() if value is not None}
        operator.customOptions = np.frombuffer(bytes(flexbuffers.Dumps(values)), np.uint8)

    def options(self, node, content):
        self.graph.operators[node].customOptions = np.frombuffer(content, np.uint8)

    def variable(self, node, position):
        """Makes a constant a tensor without data."""
        self.tensor(node, position).buffer = 0

    def data(self, node, position, values, shape=None):
        raw = np.ascontiguousarray(values).tobytes()
        self.buffer(node, position).data = np.frombuffer(raw, np.uint8)
        if shape is not None:
            self.tensor(node, position).shape = np.array(shape, np.int32)


def rename(editor):
    for code in editor.model.operatorCodes:
        code.customCode = b"BifsmnTomorrow"


DAMAGES = {
    "missing attribute": (
        lambda e: e.attributes(0, channels=None), 'attribute "channels" is required'),
    "unknown attribute": (lambda e: e.attributes(0, scales=2), '"scales" is unknown'),
    "float for an integer": (
        lambda e: e.attributes(1, look_back=2.0), '"look_back" should be an integer'),
    "integer for a float": (lambda e: e.attributes(1, slope=1), '"slope" should be a float'),
    "text for an integer": (
        lambda e: e.attributes(0, channels="100"), '"channels" should be an integer'),
    "infinite slope": (lambda e: e.attributes(1, slope=float("inf")), "finite float32"),
    "channels out of range": (
        lambda e: e.attributes(0, channels=1 << 40), "from 1 to 32767"),
    "channels of another size": (lambda e: e.attributes(0, channels=99), "x should have"),
    "garbage options": (lambda e: e.options(0, b"\xff" * 19), "custom options"),
    "options of another type": (lambda e: e.options(0, bytes(flexbuffers.Dumps([1]))), "map"),
    "no options": (lambda e: e.options(0, b""), 'attribute "channels" is required'),
    "packed input without words": (
        lambda e: setattr(e.tensor(0, 0), "type", schema.TensorType.INT32), "x should have"),
    "int8 input": (
        lambda e: setattr(e.tensor(0, 0), "type", schema.TensorType.INT8), "x should be float32"),
    "float weights": (
        lambda e: setattr(e.tensor(0, 1), "type", schema.TensorType.FLOAT32),
        "weights should be int32"),
    "computed weights": (lambda e: e.variable(0, 1), "weights should be a constant"),
    "weights of one dimension": (
        lambda e: setattr(e.tensor(0, 1), "shape", np.array([160], np.int32)),
        "weights should have 2 dimension"),
    "too few weights": (
        lambda e: e.data(0, 1, np.zeros((39, 4), np.int32), (39, 4)), r"weights should have shape"),
    "set unused bits": (
        lambda e: e.data(0, 1, np.full((40, 4), -1, np.int32)), "unused bits of the last word"),
    "float thresholds": (
        lambda e: e.data(0, 2, np.zeros(40, np.float32)) or setattr(
            e.tensor(0, 2), "type", schema.TensorType.FLOAT32), "4 or 5 inputs"),
    "computed thresholds": (lambda e: e.variable(0, 2), "threshold should be a constant"),
    "computed bias": (lambda e: e.variable(1, 3), "bias should be a constant"),
    "integer bias": (
        lambda e: setattr(e.tensor(1, 3), "type", schema.TensorType.INT32),
        "bias should be float32 or float16"),
    "integer multiplier": (
        lambda e: setattr(e.tensor(1, 2), "type", schema.TensorType.INT32),
        "multiplier .* should be float32 or float16"),
    "short bias": (
        lambda e: e.data(1, 3, np.zeros(39, np.float32), (39,)), "bias should have"),
    "residual of another shape": (
        lambda e: setattr(e.tensor(1, 4), "shape", np.array([1, 7, 40], np.int32)),
        "residual should be"),
    "float output of thresholds": (
        lambda e: setattr(e.output(0), "type", schema.TensorType.FLOAT32), "int32 output"),
    "bits output of a multiplier": (
        lambda e: setattr(e.output(1), "type", schema.TensorType.INT32), "float32 output"),
    "one input": (
        lambda e: setattr(e.graph.operators[0], "inputs", e.graph.operators[0].inputs[:1]),
        "3, 4 or 5 inputs"),
    "optional input": (
        lambda e: e.graph.operators[0].inputs.__setitem__(1, -1), "tensor index -1"),
    "an operator of a newer library": (rename, "BifsmnTomorrow: unknown operator"),
    "shifts that are not there": (
        lambda e: e.attributes(1, shifts=2), "4 or 5 inputs .*Received: 3"),
    "a residual for a shift": (
        lambda e: e.attributes(1, shifts=1), "x should be float32 with shifts=1"),
    "more shifts than there are": (
        lambda e: e.attributes(0, shifts=3), '"shifts" should be from 0 to 2'),
    "a step without a shift": (
        lambda e: e.attributes(0, step=1.0), '"step" should only be set with one shift'),
    "a step that is none": (
        lambda e: e.attributes(1, shifts=1, step=-1.0), '"step" should be positive'),
    "too few taps": (lambda e: e.attributes(1, look_back=5), "more taps than look_back=5"),
}


def run(module, content):
    interpreter = make_interpreter(module, content)
    interpreter.allocate_tensors()
    interpreter.invoke()


def test_the_sound_model_runs(sound, module):
    run(module, pack(sound))


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_model_is_refused_in_words(name, sound, module):
    damage, message = DAMAGES[name]
    editor = Editor(copy.deepcopy(sound))
    damage(editor)
    with pytest.raises((RuntimeError, ValueError), match=message):
        run(module, pack(editor.model))


def test_the_message_names_the_operator_and_what_was_received(sound, module):
    editor = Editor(copy.deepcopy(sound))
    editor.attributes(1, look_back=9)
    with pytest.raises(RuntimeError, match=r"BifsmnMemory: .* Received: shape \(5, 2\)"):
        run(module, pack(editor.model))


def test_a_residual_that_stops_fitting_after_a_resize_is_refused(sound, module):
    interpreter = make_interpreter(module, pack(sound))
    details = interpreter.get_input_details()
    x = next(d for d in details if d["shape"][-1] == 100)
    interpreter.resize_tensor_input(x["index"], (2, 8, 100))
    with pytest.raises(RuntimeError, match=r"residual should be .* \(2, 8, 40\). Received: "):
        interpreter.allocate_tensors()
