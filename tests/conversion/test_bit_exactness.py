"""Every custom operator gives the bits of eager TensorFlow, in every interpreter."""

import tempfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from trained_like import SIZES, give_statistics

from bifsmn_tf.conversion import Deployment
from bifsmn_tf.models import FSMN, BiFSMN, BiFSMNv2
from bifsmn_tf.runtime import ops_library

ai_edge = pytest.importorskip("ai_edge_litert.interpreter")

INTERPRETERS = {
    "tensorflow": (tf.lite.Interpreter, tf.lite.experimental.load_delegate),
    "ai_edge_litert": (ai_edge.Interpreter, ai_edge.load_delegate),
}


def with_intermediates(model, thin, storage):
    """A model that also returns the stem's output and that of every custom operator."""
    deployment = Deployment(model, storage)

    def run(features):
        stem = deployment.stem(features)
        outputs = []
        scores = deployment.tail(stem, thin, collect=outputs)
        named = {f"op{i:02d}": x for i, x in enumerate(outputs)}
        stem = {f"stem{i}": x for i, x in enumerate(tf.nest.flatten(stem))}
        return {"scores": scores, **stem, **named}

    archive = keras.export.ExportArchive()
    spec = tf.TensorSpec((1, model.num_frames, model.num_mels, 1), tf.float32, name="features")
    archive.add_endpoint("run", run, input_signature=[spec])
    with tempfile.TemporaryDirectory() as folder:
        archive.write_out(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=["run"])
        converter.allow_custom_ops = True
        return deployment, converter.convert()


def networks():
    tiny = {**SIZES, "num_blocks": 2, "switches": (1.0, 0.5)}
    return {
        "bifsmn_v2": lambda: BiFSMNv2(4, **tiny),
        "bifsmn_v2_odd": lambda: BiFSMNv2(4, **{**tiny, "memory_size": 33, "hidden_size": 65}),
        "react_net": lambda: BiFSMN(4, binarizer="react_net", **tiny),
        "fsmn": lambda: FSMN(4, 64, 128, 2, mode="sound", binarizer="vanilla"),
        "fsmn_dual": lambda: FSMN(4, 64, 128, 2, binarizer="lpb"),
    }


@pytest.mark.parametrize("thin", [1.0, 0.25])
def test_bits_of_a_whole_network(student, features, thin):
    check_bits(student, features, thin)


def test_bits_in_compact_storage(student, features):
    check_bits(student, features, 0.5, "compact")


@pytest.mark.parametrize("name", networks())
def test_bits_of_other_networks(name, features):
    check_bits(give_statistics(networks()[name]()), features[:4], 1.0)


def check_bits(model, features, thin, storage="float32"):
    deployment, content = with_intermediates(model, thin, storage)
    results = {}
    for name, (interpreter, load_delegate) in INTERPRETERS.items():
        runner = interpreter(
            model_content=content, experimental_delegates=[load_delegate(ops_library())]
        ).get_signature_runner("run")
        results[name] = [
            runner(features=np.transpose(x, (1, 0, 2))[None]) for x in features
        ]
    def computed(outputs):
        # From the stem on: the float convolution itself may round differently.
        expected = []
        stem = [tf.constant(outputs[name]) for name in sorted(outputs) if name[:4] == "stem"]
        deployment.tail(stem[0] if len(stem) == 1 else stem, thin, collect=expected)
        assert len(expected) == sum(name[:2] == "op" for name in outputs) > 4
        return expected

    for outputs in results["tensorflow"]:
        expected = computed(outputs)
        for i, tensor in enumerate(expected):
            array = outputs[f"op{i:02d}"]
            assert array.dtype == tensor.numpy().dtype
            np.testing.assert_array_equal(
                array.view(np.int32), tensor.numpy().view(np.int32), err_msg=f"operator {i}"
            )
    for ours, theirs in zip(results["tensorflow"], results["ai_edge_litert"]):
        for i, tensor in enumerate(computed(theirs)):
            np.testing.assert_array_equal(
                theirs[f"op{i:02d}"].view(np.int32), tensor.numpy().view(np.int32)
            )
        np.testing.assert_allclose(ours["scores"], theirs["scores"], atol=1e-5)
