"""The log-mel spectrogram on its own, as it would run beside a network that takes features."""

import contextlib
import tempfile


def log_mel_tflite(num_mels=32, samples=16000, builtin=True):
    """The spectrogram of `bifsmn_tf.layers.LogMelSpectrogram` as a model of its own.

    Args:
        num_mels: Number of bands.
        samples: Length of the waveform.
        builtin: Whether in builtin TFLite operators or as our custom one.

    Returns:
        Bytes of a `.tflite` from `audio` `(1, samples)` to `features` `(1, frames, num_mels, 1)`.

    Raises:
        ImportError: If TensorFlow is not installed.
    """
    import tensorflow as tf

    from bifsmn_tf.conversion import ops
    from bifsmn_tf.layers import LogMelSpectrogram

    layer = LogMelSpectrogram(num_mels=num_mels)
    layer.build((1, samples))

    def decibels(audio):
        if builtin:
            return layer.decibels(audio)[..., None]
        return ops.log_mel(audio, num_mels=num_mels)

    function = tf.function(
        lambda audio: {"features": decibels(audio)},
        input_signature=[tf.TensorSpec((1, samples), tf.float32, name="audio")],
    ).get_concrete_function()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(None):
        tf.saved_model.save(tf.Module(), folder, signatures={"thin_1.0": function})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=["thin_1.0"])
        converter.allow_custom_ops = True
        return converter.convert()
