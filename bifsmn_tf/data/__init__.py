"""Recordings of words: Google Speech Commands, one's own folders, or synthetic speech."""

from bifsmn_tf.data.audio_files import CLIP_SAMPLES, SAMPLE_RATE, BadAudioFile
from bifsmn_tf.data.download import download
from bifsmn_tf.data.speech_commands import Example, SpeechCommands
from bifsmn_tf.data.synthetic import make_synthetic

# These need TensorFlow, which takes seconds to import; listing files or making synthetic speech
# does not need it.
_LAZY = {
    "WaveformAugmentation": "augment",
    "RobustAugmentation": "robust_augment",
    "Robustness": "robust_augment",
    "FeatureViews": "feature_views",
    "Mixup": "mixup",
    "SpectrogramAugmentation": "spectrogram_augment",
    "log_mel_features": "features",
}

__all__ = [
    "BadAudioFile",
    "CLIP_SAMPLES",
    "Example",
    "FeatureViews",
    "Mixup",
    "RobustAugmentation",
    "Robustness",
    "SAMPLE_RATE",
    "SpeechCommands",
    "SpectrogramAugmentation",
    "WaveformAugmentation",
    "download",
    "log_mel_features",
    "make_synthetic",
]


def __getattr__(name):
    if name in _LAZY:
        import importlib

        return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
