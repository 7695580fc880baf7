"""Keras model to one `.tflite` with a signature per switch."""

import contextlib
import dataclasses
import logging
import os
import tempfile

import keras
import numpy as np
import tensorflow as tf

from bifsmn_tf.conversion import ops
from bifsmn_tf.conversion import report as reports
from bifsmn_tf.conversion import tflite_file
from bifsmn_tf.conversion.errors import ConversionError
from bifsmn_tf.conversion.graph import Deployment, check_convertible
from bifsmn_tf.conversion.storage import STORAGES
from bifsmn_tf.layers import LogMelSpectrogram

INPUTS = ("features", "audio")
_CLIP_SAMPLES = 16000
_PARITY_CLIPS = 64


def convert(
    model,
    thin=None,
    input="features",  # pylint: disable=redefined-builtin
    *,
    storage="float32",
    labels=None,
    features=None,
    allow_untrained=False,
    verbose=True,
):
    """Converts a trained model to TFLite.

    Batch normalizations and scaling factors are folded, binary weights packed to bits, and binary
    layers become custom operators (docs/ops.md) that the project's delegate runs. All signatures
    share one copy of the weights.

    Args:
        model: `bifsmn_tf.models.BiFSMN` with `weight_scale="channel"`, or a float `DFSMN` (which
            needs no custom operators).
        thin: Switches to include, e.g. `(1.0, 0.25)`; default all of the model's. Signature
            `thin_<switch>` runs a switch.
        input: "features", `(1, mels, frames, 1)` in dB, or "audio", `(1, 16000)` in [-1, 1) with
            the log-mel spectrogram inside the file.
        storage: "float32", or "compact": real weights but those of the first convolution in int8
            with one factor per output, folded parameters of binary layers in float16. Smaller, and
            a little less exact.
        labels: Names of the classes; default those of the model.
        features: `(n, mels, frames, 1)` on which parity is reported (the first 64; waveforms
            `(n, 16000)` for `input="audio"`); default generated noise.
        allow_untrained: Also convert switches whose normalizations were never trained.
        verbose: Print the report.

    Returns:
        Bytes of the `.tflite`. The output `scores` of a signature holds probabilities.

    Raises:
        ConversionError: If the model cannot be converted.
    """
    content, report = convert_with_report(
        model, thin, input, storage=storage, labels=labels, features=features,
        allow_untrained=allow_untrained,
    )
    if verbose:
        print(report)
    return content


def convert_with_report(
    model, thin=None, input="features", *, storage="float32", labels=None, features=None,
    allow_untrained=False,
):  # pylint: disable=redefined-builtin
    """Like `convert`, but returns `(bytes, Report)` and prints nothing."""
    if input not in INPUTS:
        raise ConversionError(f"`input` should be one of {INPUTS}. Received: input={input!r}")
    if storage not in STORAGES:
        raise ConversionError(
            f"`storage` should be one of {STORAGES}. Received: storage={storage!r}"
        )
    switches = check_convertible(model, thin, allow_untrained)
    labels = _check_labels(model, model.labels if labels is None else labels)
    frontend = LogMelSpectrogram(num_mels=model.num_mels)
    if input == "audio":
        frontend.build((1, _CLIP_SAMPLES))
        frames = frontend.compute_output_shape((1, _CLIP_SAMPLES))[2]
        if frames != model.num_frames:
            raise ConversionError(
                f"input='audio' makes {frames} frames of a second, but the model takes "
                f"{model.num_frames}. Received: input={input!r}"
            )
    examples = _examples(model, input, features)

    deployment = Deployment(model, storage)

    def signature(switch):
        def from_features(features):
            return {"scores": deployment.forward(tf.transpose(features, (0, 2, 1, 3)), switch)}

        def from_audio(audio):
            # A float network needs no custom operators, so nor does its front end.
            if model.binarizer is None:
                features = frontend.decibels(audio)[..., None]
            else:
                features = ops.log_mel(audio, num_mels=model.num_mels)
            return {"scores": deployment.forward(features, switch)}

        return from_features if input == "features" else from_audio

    content = _to_tflite(
        {f"thin_{switch}": signature(switch) for switch in switches},
        tf.TensorSpec((1, *examples.shape[1:]), tf.float32, name=input),
    )
    if storage == "compact":
        content = tflite_file.store_int8(content)
    content = tflite_file.slim(content)
    if labels is not None:
        content = tflite_file.add_labels(content, labels)
    return content, _report(content, model, frontend, switches, input, examples, features)


def _check_labels(model, labels):
    if labels is None:
        return None
    labels = [str(label) for label in labels]
    if len(labels) != model.num_classes or any("\n" in label for label in labels):
        raise ConversionError(
            f"`labels` should hold {model.num_classes} names of one line. Received: {labels}"
        )
    return labels


def _examples(model, kind, given):
    """Inputs for the parity report."""
    shape = (model.num_mels, model.num_frames, 1) if kind == "features" else (_CLIP_SAMPLES,)
    if given is None:
        random = np.random.default_rng(0)
        if kind == "audio":
            loudness = 10.0 ** random.uniform(-3, -0.5, (_PARITY_CLIPS, 1))
            examples = random.standard_normal((_PARITY_CLIPS, *shape)) * loudness
            return np.clip(examples, -1, 1).astype(np.float32)
        level = random.uniform(-60, 0, (_PARITY_CLIPS, 1, 1, 1))
        return (level + 15 * random.standard_normal((_PARITY_CLIPS, *shape))).astype(np.float32)
    examples = np.asarray(given, np.float32)[:_PARITY_CLIPS]
    if examples.shape[1:] != shape or not len(examples):
        raise ConversionError(
            f"`features` should have shape {('n', *shape)} for input={kind!r}. "
            f"Received: shape {np.shape(given)}"
        )
    return examples


def _to_tflite(functions, spec):
    """Traces the functions, one signature each, and runs TensorFlow's converter."""
    signatures = {
        name: tf.function(function, input_signature=[spec], autograph=False).get_concrete_function()
        for name, function in functions.items()
    }
    with tempfile.TemporaryDirectory() as folder, _quiet():
        # The functions hold constants only, so that a bare module can carry them.
        tf.saved_model.save(tf.Module(), folder, signatures=signatures)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            folder, signature_keys=list(functions)
        )
        converter.allow_custom_ops = True
        return converter.convert()


@contextlib.contextmanager
def _quiet():
    """Keeps the converter's progress notes off the terminal; errors still raise."""
    loggers = [logging.getLogger(name) for name in ("tensorflow", "absl")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    stderr = os.dup(2)
    with open(os.devnull, "wb") as sink:
        os.dup2(sink.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            for logger, level in zip(loggers, levels):
                logger.setLevel(level)


def _report(content, model, frontend, switches, kind, examples, given):
    report = reports.inspect(content)

    def expected(inputs, switch):
        if kind == "audio":
            inputs = frontend(inputs)
        return keras.ops.softmax(model(inputs, thin=switch, training=False))

    source = "generated" if given is None else "given"
    try:
        parity = reports.measure_parity(content, expected, examples, switches)
    except FileNotFoundError as error:
        return dataclasses.replace(report, parity_note=f"not measured: {error}")
    return dataclasses.replace(report, parity=parity, parity_note=f"{source} {kind}")
