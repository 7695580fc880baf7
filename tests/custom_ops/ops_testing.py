"""Shared by the tests of the operators: random operands, conversion, interpreters."""

import importlib
import tempfile

import numpy as np
import pytest

from bifsmn_tf.conversion import ops
from bifsmn_tf.runtime import library

INTERPRETERS = ("tensorflow", "ai_edge_litert")


def interpreter_module(name):
    """The module with `Interpreter` of a package, or a skip."""
    if name == "tensorflow":
        return pytest.importorskip("tensorflow").lite
    pytest.importorskip(name)
    return importlib.import_module(f"{name}.interpreter")


def make_interpreter(module, model, **kwargs):
    """An interpreter with the operators; its tensors are not allocated."""
    try:
        library.ops_library()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    return module.Interpreter(
        model_content=bytes(model),
        experimental_delegates=[library.load_ops_delegate(module)],
        **kwargs,
    )


def run(module, model, inputs, **kwargs):
    """Feeds inputs in the order of the signature `serving_default`; returns a dict of arrays."""
    interpreter = make_interpreter(module, model, **kwargs)
    return run_interpreter(interpreter, inputs)


def run_interpreter(interpreter, inputs):
    runner = interpreter.get_signature_runner("serving_default")
    names = sorted(runner.get_input_details())
    return runner(**dict(zip(names, inputs)))


def convert(function, inputs):
    """Converts `function(*tensors) -> dict` for the shapes and types of `inputs`."""
    import tensorflow as tf

    specs = [
        tf.TensorSpec(x.shape, tf.as_dtype(x.dtype), name=f"x{i}") for i, x in enumerate(inputs)
    ]
    module = tf.Module()
    module.call = tf.function(function, input_signature=specs, autograph=False)
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures={"serving_default": module.call})
        converter = tf.lite.TFLiteConverter.from_saved_model(
            folder, signature_keys=["serving_default"]
        )
        converter.allow_custom_ops = True
        return converter.convert()


def same_bits(a, b):
    """Whether two arrays agree in type, shape and every bit."""
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


class Operands:
    """Random operands of one seed."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)

    def signs(self, *shape):
        return self.random.choice(np.array([-1, 1], np.int8), size=shape)

    def bits(self, *shape):
        return ops.pack_bits(self.signs(*shape))

    def floats(self, *shape):
        """Normal numbers, with zeros of both signs, infinities and NaN among them."""
        x = self.random.normal(size=shape).astype(np.float32)
        special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45], np.float32)
        where = self.random.random(shape) < 0.2
        x[where] = self.random.choice(special, size=int(where.sum()))
        return x

    def activations(self, packed, *shape):
        return self.bits(*shape) if packed else self.floats(*shape)

    def scales(self, outputs):
        return self.random.normal(size=outputs).astype(np.float32)

    def residual(self, *shape):
        return (self.random.normal(size=shape) * 3).astype(np.float32)

    def threshold(self, outputs, reduction):
        spread = int(2 * reduction**0.5) + 1
        return self.random.integers(-spread, spread + 1, size=outputs).astype(np.int16)

    def dual(self, channels, *lead):
        """Activations of a dual scale layer, some at a shift, with its two shifts."""
        shifts = [self.scales(channels), self.scales(channels)]
        shifts[0][:: 4], shifts[1][1 :: 4] = 0.0, 0.0
        x = self.random.normal(size=(*lead, channels)).astype(np.float32)
        at_shift = np.broadcast_to(shifts[0], x.shape)
        return (np.where(self.random.random(x.shape) < 0.1, at_shift, x), *shifts)

    def levels(self, channels, *lead):
        """Activations of a layer of four levels, some at a border, and the layer's arguments."""
        shift, step = self.scales(channels), np.float32(self.random.uniform(0.25, 1.5))
        x = self.random.normal(size=(*lead, channels)).astype(np.float32)
        for border in (shift - step, shift, shift + step):
            x = np.where(self.random.random(x.shape) < 0.05, border, x)
        return x, {"shifts": (shift,), "step": step}

    def epilogue(self, kind, outputs, reduction, shape):
        """Arguments of one epilogue; `shape` is the output's without its channels."""
        if kind == "bits":
            return {"threshold": self.threshold(outputs, reduction)}
        arguments = {"multiplier": self.scales(outputs), "bias": self.scales(outputs)}
        if kind == "float16":
            arguments = {name: value.astype(np.float16) for name, value in arguments.items()}
        if kind != "plain":
            arguments["slope"] = 0.1
        if kind.startswith("residual"):
            arguments["residual"] = self.residual(*shape, outputs)
            arguments["residual_first"] = kind == "residual_first"
        return arguments


EPILOGUES = ("bits", "plain", "slope", "residual_first", "residual_last", "float16")
