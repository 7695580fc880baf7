"""KeywordSpotter and TFLiteModel on converted files."""

import subprocess
import sys

import numpy as np
import pytest

from bifsmn_tf.conversion import convert
from bifsmn_tf.models import BiFSMN
from bifsmn_tf.runtime import KeywordSpotter, TFLiteModel, log_mel

SIZES = {"memory_size": 32, "hidden_size": 64, "num_blocks": 4, "frontend_kernel": 3}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    model = BiFSMN(3, labels=["yes", "no", "up"], **SIZES)
    paths = {}
    for kind in ("features", "audio"):
        paths[kind] = folder / f"{kind}.tflite"
        paths[kind].write_bytes(
            convert(model, input=kind, allow_untrained=True, verbose=False)
        )
    return paths


@pytest.fixture(scope="module")
def audio():
    return np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)


@pytest.mark.parametrize("kind", ["features", "audio"])
def test_predicts(files, audio, kind):
    spotter = KeywordSpotter(files[kind], thin=0.5)
    label, score, scores = spotter.predict(audio)
    assert label in ("yes", "no", "up")
    assert scores.shape == (3,) and score == scores.max()
    np.testing.assert_allclose(scores.sum(), 1, atol=1e-5)


def test_both_inputs_agree(files, audio):
    for thin in (1.0, 0.5, 0.25):
        scores = [KeywordSpotter(files[k], thin=thin).predict(audio).scores for k in files]
        np.testing.assert_allclose(*scores, atol=2e-3)


def test_switch_can_change_at_run_time(files, audio):
    spotter = KeywordSpotter(files["features"])
    assert spotter.thin == 1.0
    full = spotter.predict(audio).scores
    spotter.thin = 0.25
    thin = spotter.predict(audio).scores
    spotter.thin = 1.0
    assert not np.array_equal(full, thin)
    np.testing.assert_array_equal(spotter.predict(audio).scores, full)
    with pytest.raises(ValueError, match=r"switches \(1.0, 0.5, 0.25\). Received: thin=0.3"):
        spotter.thin = 0.3


def test_int16_audio(files, audio):
    spotter = KeywordSpotter(files["features"])
    samples = (audio * 32768).astype(np.int16)
    np.testing.assert_array_equal(
        spotter.predict(samples).scores,
        spotter.predict(samples / np.float32(32768)).scores,
    )


def test_invoke_repeats_the_last_input(files, audio):
    model = TFLiteModel(files["features"])
    x = log_mel(audio)[0]
    before = model.scores(x, thin=0.5)
    model.invoke(0.5)
    np.testing.assert_array_equal(model.scores(x, thin=0.5), before)


def test_works_without_tensorflow_and_keras(files):
    code = (
        "import sys\n"
        "for name in ('tensorflow', 'keras'): sys.modules[name] = None\n"
        "import numpy as np\n"
        "from bifsmn_tf.runtime import KeywordSpotter\n"
        "print(KeywordSpotter(sys.argv[1]).predict(np.zeros(16000, np.float32)).label)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, files["features"]], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip().splitlines()[-1] in ("yes", "no", "up")


class TestErrors:
    def test_missing_file(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="nothing.tflite"):
            TFLiteModel(tmp_path / "nothing.tflite")

    def test_not_a_model(self, tmp_path):
        path = tmp_path / "text.tflite"
        path.write_text("hello, this is not a model")
        with pytest.raises(ValueError, match="should be a .tflite file"):
            TFLiteModel(path)

    def test_truncated_model(self, files):
        content = files["features"].read_bytes()
        with pytest.raises(ValueError):
            TFLiteModel(content[: len(content) // 3])

    def test_foreign_model(self):
        import tensorflow as tf

        function = tf.function(
            lambda x: x + 1.0, input_signature=[tf.TensorSpec((1, 2), tf.float32)]
        )
        converter = tf.lite.TFLiteConverter.from_concrete_functions(
            [function.get_concrete_function()]
        )
        with pytest.raises(ValueError, match="signatures thin_<switch>"):
            TFLiteModel(converter.convert())

    def test_missing_library(self, files, monkeypatch):
        monkeypatch.setenv("BIFSMN_TF_OPS_LIBRARY", "nowhere.so")
        with pytest.raises(FileNotFoundError, match="nowhere.so"):
            TFLiteModel(files["features"])

    def test_shape(self, files):
        with pytest.raises(ValueError, match=r"shape \(32, 32, 1\).*Received: shape \(5,\)"):
            TFLiteModel(files["features"]).scores(np.zeros(5))

    def test_batch_of_audio(self, files):
        with pytest.raises(ValueError, match=r"Received: shape \(2, 16000\)"):
            KeywordSpotter(files["features"]).predict(np.zeros((2, 16000), np.float32))
