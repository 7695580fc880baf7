"""A model cut off behind its first operators: the profile of a graph by differences.

The TFLite packages for Python offer no profiler of operators. Each prefix of the graph is
therefore made a model of its own, and an operator costs what its prefix takes more than the one
before.
"""

import importlib
from typing import NamedTuple

import flatbuffers

_SCHEMAS = ("ai_edge_litert.schema_py_generated", "tensorflow.lite.python.schema_py_generated")


class Prefix(NamedTuple):
    """The first operators of a signature.

    Attributes:
        name: Name of the last of them; "(call)" for none at all.
        output: What it puts out, e.g. "float32 (1, 8, 128)".
        content: Bytes of a `.tflite` with that output and one signature.
    """

    name: str
    output: str
    content: bytes


def _schema():
    for name in _SCHEMAS:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError:
            continue
    raise ImportError(
        "The profile needs the schema of TFLite: install ai-edge-litert or tensorflow. Received: "
        "neither"
    )


def prefixes(content, signature=None):
    """Cuts a model behind each of its operators.

    Args:
        content: Bytes of a `.tflite`.
        signature: Name of the signature; None takes the first, or the first graph.

    Returns:
        List of `Prefix`, the empty one first and the whole signature last.

    Raises:
        ValueError: If there is no such signature.
    """
    schema = _schema()
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    definitions = {d.signatureKey.decode(): d for d in model.signatureDefs or []}
    if signature is None and definitions:
        signature = next(iter(definitions))
    if signature is not None and signature not in definitions:
        raise ValueError(
            f"`signature` should be one of {sorted(definitions)}. Received: {signature!r}"
        )
    definition = definitions.get(signature)
    graph = model.subgraphs[0 if definition is None else definition.subgraphIndex]
    model.subgraphs, model.metadata = [graph], []
    if definition is not None:
        definition.subgraphIndex = 0
        model.signatureDefs = [definition]
    operators = graph.operators

    found = []
    for count in range(len(operators) + 1):
        if count == 0:
            name, tensor = "(call)", graph.inputs[0]
        else:
            last = operators[count - 1]
            name, tensor = _name(schema, model, last), last.outputs[0]
        graph.operators, graph.outputs = operators[:count], [tensor]
        if definition is not None:
            output = schema.TensorMapT()
            output.name, output.tensorIndex = "output", tensor
            definition.outputs = [output]
        found.append(Prefix(name, _describe(schema, graph.tensors[tensor]), _write(model)))
    return found


def _write(model):
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _name(schema, model, operator):
    code = model.operatorCodes[operator.opcodeIndex]
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    if number == schema.BuiltinOperator.CUSTOM:
        return code.customCode.decode()
    return next(
        name for name, value in vars(schema.BuiltinOperator).items()
        if name.isupper() and value == number
    )  # fmt: skip


def _describe(schema, tensor):
    kind = next(
        name.lower() for name, value in vars(schema.TensorType).items()
        if name.isupper() and value == tensor.type
    )  # fmt: skip
    return f"{kind} {tuple(int(n) for n in tensor.shape)}"
