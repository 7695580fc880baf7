"""What the converter writes for the operators."""

import numpy as np
import pytest
from ops_testing import Operands, convert

from bifsmn_tf.conversion import ops

tf = pytest.importorskip("tensorflow")
schema = pytest.importorskip("tensorflow.lite.python.schema_py_generated")
flexbuffers = pytest.importorskip("flatbuffers.flexbuffers")


class Model:
    """The parts of a model that the tests look at."""

    def __init__(self, content):
        self.model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
        self.graph = self.model.subgraphs[0]
        self.nodes = self.graph.operators

    def name(self, node):
        return self.model.operatorCodes[node.opcodeIndex].customCode.decode()

    def attributes(self, node):
        return flexbuffers.Loads(bytes(node.customOptions))

    def tensor(self, index):
        return self.graph.tensors[index]

    def data(self, index):
        data = self.model.buffers[self.tensor(index).buffer].data
        return b"" if data is None else bytes(data)


def single(call, x):
    model = Model(convert(lambda x: {"y": call(x)}, [x]))
    assert len(model.nodes) == 1, "the operator should be the only node"
    return model, model.nodes[0]


def test_dense_keeps_packed_weights_and_float_vectors():
    make = Operands(1)
    weights, scale, bias = make.bits(256, 128), make.scales(256), make.scales(256)
    model, node = single(
        lambda x: ops.binary_dense(x, weights, scale, bias, channels=128), make.floats(1, 8, 128)
    )
    assert model.name(node) == "BifsmnDense"
    assert model.attributes(node) == {"channels": 128}
    assert [model.tensor(i).type for i in node.inputs] == [
        schema.TensorType.FLOAT32, schema.TensorType.INT32, schema.TensorType.FLOAT32,
        schema.TensorType.FLOAT32,
    ]
    assert model.data(node.inputs[1]) == weights.tobytes()
    assert len(model.data(node.inputs[1])) == 4096
    assert model.data(node.inputs[2]) == scale.tobytes()
    assert model.data(node.inputs[3]) == bias.tobytes()
    assert model.tensor(node.outputs[0]).shape.tolist() == [1, 8, 256]
    assert model.tensor(node.outputs[0]).shapeSignature is None


def test_thresholds_stay_int16_and_the_output_is_packed():
    make = Operands(2)
    weights, threshold = make.bits(70, 128), make.threshold(70, 128)
    model, node = single(
        lambda x: ops.binary_dense(x, weights, threshold=threshold, channels=128),
        make.bits(1, 8, 128),
    )
    assert model.tensor(node.inputs[2]).type == schema.TensorType.INT16
    assert model.data(node.inputs[2]) == threshold.tobytes()
    assert model.tensor(node.outputs[0]).type == schema.TensorType.INT32
    assert model.tensor(node.outputs[0]).shape.tolist() == [1, 8, 3]


@pytest.mark.parametrize("slope", [0.1, -1.0, 1e-30, 3.4028234e38, 1 / 3, 0.0])
def test_floats_survive_to_the_last_bit(slope):
    make = Operands(3)
    weights, scale = make.bits(8, 8), make.scales(8)
    model, node = single(
        lambda x: ops.binary_dense(x, weights, scale, scale, channels=8, slope=slope),
        make.floats(1, 8),
    )
    stored = model.attributes(node)["slope"]
    assert isinstance(stored, float)
    assert np.float32(stored).tobytes() == np.float32(slope).tobytes()


def test_conv2d_attributes_leave_defaults_out():
    make = Operands(4)
    weights, threshold = make.bits(8, 75), make.threshold(8, 75)

    def call(x, **arguments):
        return ops.binary_conv2d(
            x, weights, threshold=threshold, channels=5, kernel_size=(5, 3), **arguments
        )

    x = make.floats(1, 9, 9, 5)
    model, node = single(call, x)
    assert model.name(node) == "BifsmnConv2D"
    assert model.attributes(node) == {"channels": 5, "kernel_h": 5, "kernel_w": 3}
    assert model.tensor(node.outputs[0]).shape.tolist() == [1, 5, 7, 1]
    model, node = single(lambda x: call(x, strides=(2, 1), padding=(0, 1)), x)
    assert model.attributes(node) == {
        "channels": 5, "kernel_h": 5, "kernel_w": 3, "stride_h": 2, "pad_w": 1,
    }
    assert model.tensor(node.outputs[0]).shape.tolist() == [1, 3, 9, 1]


def test_memory_filter_attributes_and_residual():
    make = Operands(5)
    weights, scale = make.bits(5, 40), make.scales(40)
    model, node = single(
        lambda x: ops.memory_filter(
            x, weights, scale, scale, x, channels=40, look_back=2, stride_ahead=3,
            residual_first=True,
        ),
        make.residual(1, 8, 40),
    )
    assert model.name(node) == "BifsmnMemory"
    assert model.attributes(node) == {
        "channels": 40, "look_back": 2, "residual_first": 1, "stride_ahead": 3,
    }
    assert len(node.inputs) == 5 and node.inputs[4] == node.inputs[0]


def test_calls_with_the_same_attributes_stay_separate_nodes():
    make = Operands(6)
    operands = [(make.bits(40, 40), make.scales(40)) for _ in range(3)]

    def call(x):
        for weights, scale in operands:
            x = ops.binary_dense(x, weights, scale, scale, channels=40)
        return {"y": x}

    model = Model(convert(call, [make.floats(1, 40)]))
    assert [model.name(node) for node in model.nodes] == ["BifsmnDense"] * 3
    assert [model.data(node.inputs[1]) for node in model.nodes] == [
        weights.tobytes() for weights, _ in operands
    ]


def test_keras_layers_convert_through_an_export_archive(tmp_path):
    keras = pytest.importorskip("keras")
    make = Operands(7)
    weights, scale = make.bits(40, 40), make.scales(40)

    class Layer(keras.layers.Layer):
        def call(self, x):
            return ops.binary_dense(x, weights, scale, scale, channels=40)

    inputs = keras.Input((8, 40))
    network = keras.Model(inputs, Layer()(inputs))
    archive = keras.export.ExportArchive()
    archive.track(network)
    archive.add_endpoint(
        "main", lambda x: {"y": network(x)}, input_signature=[tf.TensorSpec((1, 8, 40))]
    )
    archive.write_out(str(tmp_path), verbose=False)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path), signature_keys=["main"])
    converter.allow_custom_ops = True
    model = Model(converter.convert())
    assert [model.name(node) for node in model.nodes] == ["BifsmnDense"]
    assert model.tensor(model.nodes[0].outputs[0]).shape.tolist() == [1, 8, 40]
