"""What is done to the flatbuffer after TensorFlow's converter.

Weights to int8, slimming, labels, inspection.
"""

import io
import zipfile

import flatbuffers
import numpy as np
from tensorflow.lite.python import schema_py_generated as schema

from bifsmn_tf.conversion import storage

LABELS_FILE = "labels.txt"
# TensorFlow Lite Metadata: name of the metadata entry, file identifier, kind of associated file.
_METADATA_NAME = b"TFLITE_METADATA"
_METADATA_IDENTIFIER = b"M001"
_TENSOR_AXIS_LABELS = 2

_TYPE_NAMES = {
    value: name.lower() for name, value in vars(schema.TensorType).items() if name.isupper()
}
_BUILTIN_NAMES = {
    value: name for name, value in vars(schema.BuiltinOperator).items() if name.isupper()
}
_CUSTOM = schema.BuiltinOperator.CUSTOM
# Operators with weights as their second input, and the axis of the outputs there.
_OUTPUT_AXES = {
    schema.BuiltinOperator.CONV_2D: 0,
    schema.BuiltinOperator.DEPTHWISE_CONV_2D: 3,
    schema.BuiltinOperator.FULLY_CONNECTED: 0,
}
_PER_CHANNEL_DEQUANTIZE_VERSION = 5


def read(content):
    """Flatbuffer bytes to the schema's object tree."""
    return schema.ModelT.InitFromPackedBuf(content, 0)


class _Builder(flatbuffers.Builder):
    """Writes equal vectors (shapes, attributes, data) once."""

    def __init__(self):
        super().__init__(1 << 16)
        self._vectors = {}

    def CreateNumpyVector(self, x):  # pylint: disable=invalid-name
        key = (x.dtype.str, x.tobytes())
        if key not in self._vectors:
            self._vectors[key] = super().CreateNumpyVector(x)
        return self._vectors[key]


def write(model):
    """The schema's object tree to flatbuffer bytes."""
    builder = _Builder()
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def store_int8(content):
    """Stores real weights as int8 where that loses nothing.

    A `DEQUANTIZE` operator, which every interpreter runs once, makes them float32 again.

    Args:
        content: Flatbuffer bytes. Weights rounded by `storage.round_to_int8` become int8; other
            constants stay as they are.
    """
    model = read(content)
    numbers = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    dequantize = schema.OperatorCodeT()
    dequantize.builtinCode = schema.BuiltinOperator.DEQUANTIZE
    dequantize.deprecatedBuiltinCode = schema.BuiltinOperator.DEQUANTIZE
    dequantize.version = _PER_CHANNEL_DEQUANTIZE_VERSION
    code = len(model.operatorCodes)
    for graph in model.subgraphs:
        operators = []
        done = set()
        for operator in graph.operators:
            axis = _OUTPUT_AXES.get(numbers[operator.opcodeIndex])
            index = None if axis is None else operator.inputs[1]
            if axis is not None and index not in done:
                small = _int8_tensor(model, graph.tensors[index], axis)
                if small is not None:
                    graph.tensors[index].buffer = 0
                    graph.tensors.append(small)
                    widen = schema.OperatorT()
                    widen.opcodeIndex = code
                    widen.inputs = np.array([len(graph.tensors) - 1], np.int32)
                    widen.outputs = np.array([index], np.int32)
                    operators.append(widen)
                    done.add(index)
            operators.append(operator)
        graph.operators = operators
    model.operatorCodes.append(dequantize)
    return write(model)


def _int8_tensor(model, tensor, axis):
    """An int8 tensor of the same values in a buffer of its own, or None if there is none."""
    data = model.buffers[tensor.buffer].data
    if data is None or tensor.type != schema.TensorType.FLOAT32:
        return None
    weights = np.frombuffer(bytes(bytearray(data)), "<f4").reshape(tensor.shape)
    integers, factors = storage.to_int8(weights, axis)
    if not np.array_equal(storage.from_int8(integers, factors, axis), weights):
        return None
    small = schema.TensorT()
    small.type = schema.TensorType.INT8
    small.shape = tensor.shape
    small.hasRank = tensor.hasRank
    small.quantization = schema.QuantizationParametersT()
    small.quantization.scale = factors
    small.quantization.zeroPoint = np.zeros(len(factors), np.int64)
    small.quantization.quantizedDimension = axis
    buffer = schema.BufferT()
    buffer.data = integers.reshape(-1).view(np.uint8)
    small.buffer = len(model.buffers)
    model.buffers.append(buffer)
    return small


def slim(content):
    """Removes what no interpreter needs and stores equal buffers once.

    Names of inner tensors, descriptions and the converter's own notes are dropped; names of a
    signature's inputs and outputs live in the signature and stay.
    """
    model = read(content)
    model.description = None
    model.metadata = []
    model.metadataBuffer = None
    number_of = {b"": 0}
    buffers = [schema.BufferT()]

    def move(index):
        data = model.buffers[index].data
        key = b"" if data is None else bytes(bytearray(data))
        if key not in number_of:
            number_of[key] = len(buffers)
            buffers.append(model.buffers[index])
        return number_of[key]

    for graph in model.subgraphs:
        graph.name = None
        for tensor in graph.tensors:
            tensor.buffer = move(tensor.buffer)
            tensor.name = None
            if tensor.quantization is not None and tensor.quantization.scale is None:
                tensor.quantization = None
            if tensor.shapeSignature is not None and -1 not in tensor.shapeSignature:
                tensor.shapeSignature = None
    model.buffers = buffers
    return write(model)


def add_labels(content, labels):
    """Puts class names into a model, as TensorFlow Lite Metadata does.

    The metadata entry names a file of labels for the output; the file itself is appended as a
    zip archive, which an interpreter never sees: `unzip -p model.tflite labels.txt` shows it.

    Args:
        content: Flatbuffer bytes.
        labels: Names of the classes, in the order of the scores.
    """
    model = read(content)
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(_label_metadata(len(model.subgraphs)), np.uint8)
    model.buffers.append(buffer)
    entry = schema.MetadataT()
    entry.name = _METADATA_NAME
    entry.buffer = len(model.buffers) - 1
    model.metadata = [entry]
    stream = io.BytesIO(write(model))
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_STORED) as archive:
        # A fixed date: the same model gives the same bytes.
        archive.writestr(zipfile.ZipInfo(LABELS_FILE), "\n".join(labels) + "\n")
    return stream.getvalue()


def _label_metadata(num_subgraphs):
    """ModelMetadata that associates LABELS_FILE with the first output of every subgraph."""
    builder = flatbuffers.Builder(256)

    def table(fields):
        builder.StartObject(max(fields) + 1)
        for slot, (kind, value) in fields.items():
            if kind == "offset":
                builder.PrependUOffsetTRelativeSlot(slot, value, 0)
            else:
                builder.PrependInt8Slot(slot, value, 0)
        return builder.EndObject()

    def vector(offsets):
        builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            builder.PrependUOffsetTRelative(offset)
        return builder.EndVector()

    name = builder.CreateString(LABELS_FILE)
    # AssociatedFile: 0 name, 2 type. TensorMetadata: 6 associated_files.
    file = table({0: ("offset", name), 2: ("int8", _TENSOR_AXIS_LABELS)})
    files = vector([file])
    tensor = table({6: ("offset", files)})
    outputs = vector([tensor])
    # SubGraphMetadata: 3 output_tensor_metadata. ModelMetadata: 3 subgraph_metadata.
    subgraph = table({3: ("offset", outputs)})
    subgraphs = vector([subgraph] * num_subgraphs)
    builder.Finish(
        table({3: ("offset", subgraphs)}), file_identifier=_METADATA_IDENTIFIER
    )
    return bytes(builder.Output())


def operators(model):
    """Operators of every signature, in order.

    Returns:
        Dictionary from signature keys to lists of `(name, is_custom)`.
    """
    names = []
    for code in model.operatorCodes:
        number = max(code.builtinCode, code.deprecatedBuiltinCode)
        if number == _CUSTOM:
            names.append((code.customCode.decode(), True))
        else:
            names.append((_BUILTIN_NAMES[number], False))
    return {
        definition.signatureKey.decode(): [
            names[operator.opcodeIndex]
            for operator in model.subgraphs[definition.subgraphIndex].operators
        ]
        for definition in model.signatureDefs or []
    }


def constant_bytes(model):
    """Bytes of the distinct constants by type name, plus the metadata buffers as "metadata"."""
    kinds = {}
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            data = model.buffers[tensor.buffer].data
            if data is not None:
                kinds[tensor.buffer] = (_TYPE_NAMES[tensor.type], len(data))
    for entry in model.metadata or []:
        data = model.buffers[entry.buffer].data
        kinds[entry.buffer] = ("metadata", 0 if data is None else len(data))
    totals = {}
    for kind, size in kinds.values():
        totals[kind] = totals.get(kind, 0) + size
    return totals


def packed_weight_bytes(model):
    """Bytes of packed weights: the second input of every binary operator, counted once."""
    buffers = set()
    for graph in model.subgraphs:
        for operator in graph.operators:
            code = model.operatorCodes[operator.opcodeIndex]
            is_custom = max(code.builtinCode, code.deprecatedBuiltinCode) == _CUSTOM
            if is_custom and len(operator.inputs) > 1:  # the spectrogram has no weights
                buffers.add(graph.tensors[operator.inputs[1]].buffer)
    return sum(len(model.buffers[b].data) for b in buffers if model.buffers[b].data is not None)
