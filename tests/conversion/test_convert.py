"""A converted model says what Keras says."""

import io
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from trained_like import SIZES, give_statistics

from bifsmn_tf import ThinnableDistiller
from bifsmn_tf.conversion import (
    ConversionError, convert, convert_with_report, inspect, tflite_file,
)
from bifsmn_tf.models import BiFSMN, DFSMN
from bifsmn_tf.runtime import TFLiteModel, ops_library


@pytest.fixture(scope="module")
def converted(student):
    return convert(student, verbose=False)


def keras_scores(model, features, thin):
    return keras.ops.convert_to_numpy(keras.ops.softmax(model(features, thin=thin)))


def test_every_switch_agrees_with_keras(student, converted, features):
    model = TFLiteModel(converted)
    assert model.switches == (1.0, 0.5, 0.25)
    for thin in model.switches:
        scores = np.stack([model.scores(x, thin=thin) for x in features])
        np.testing.assert_allclose(scores, keras_scores(student, features, thin), atol=1e-4)


def test_switches_differ(converted, features):
    model = TFLiteModel(converted)
    assert not np.allclose(model.scores(features[0], 1.0), model.scores(features[0], 0.25))


def test_tensorflows_own_interpreter_with_the_delegate(student, converted, features):
    interpreter = tf.lite.Interpreter(
        model_content=converted,
        experimental_delegates=[tf.lite.experimental.load_delegate(ops_library())],
    )
    runner = interpreter.get_signature_runner("thin_0.5")
    scores = runner(features=features[:1])["scores"]
    np.testing.assert_allclose(scores, keras_scores(student, features[:1], 0.5), atol=1e-4)


@pytest.mark.parametrize(
    "options",
    [
        {"switch_all_bn": True},
        {"frontend_filters": (8, 24)},  # maps that do not fill a word travel as floats
        {"look_back": 3, "look_ahead": 1, "stride_back": 2, "stride_ahead": 3},
        {"memory_size": 33, "hidden_size": 65, "num_blocks": 2, "switches": (1.0, 0.5)},
        {"frontend_kernel": 5, "num_mels": 40},
    ],
    ids=["switch_all_bn", "frontend_filters", "memory", "odd_sizes", "mels"],
)
def test_other_networks_agree_with_keras(options):
    model = give_statistics(BiFSMN(4, **{**SIZES, **options}), seed=3)
    features = np.random.default_rng(5).normal(
        -20, 20, (4, model.num_mels, model.num_frames, 1)
    ).astype(np.float32)
    lite = TFLiteModel(convert(model, verbose=False))
    for thin in model.switches:
        scores = np.stack([lite.scores(x, thin=thin) for x in features])
        np.testing.assert_allclose(scores, keras_scores(model, features, thin), atol=1e-4)


@pytest.mark.parametrize("slope", [0.0, -0.3, 1.0, 1.7])
def test_unusual_slopes(student, features, slope):
    model = BiFSMN(5, **SIZES)
    model.set_weights(student.get_weights())
    for block in model.blocks:
        block.hidden_activation.slope.assign(slope)
        block.memory_activation.slope.assign(slope)
    model.activation1.slope.assign(slope)
    model.activation2.slope.assign(slope)
    lite = TFLiteModel(convert(model, thin=1.0, verbose=False))
    scores = np.stack([lite.scores(x) for x in features])
    np.testing.assert_allclose(scores, keras_scores(model, features, 1.0), atol=1e-4)


@pytest.mark.parametrize("activation", ["pre", "relu", "prelu"])
def test_float_networks_need_no_custom_operator(activation, features):
    model = give_statistics(DFSMN(5, activation=activation, **SIZES))
    content, report = convert_with_report(model)
    assert not report.custom_operators
    assert not inspect(convert(model, input="audio", verbose=False)).custom_operators
    interpreter = tf.lite.Interpreter(model_content=content)
    runner = interpreter.get_signature_runner("thin_1.0")
    scores = np.concatenate([runner(features=x[None])["scores"] for x in features])
    np.testing.assert_allclose(scores, keras_scores(model, features, 1.0), atol=1e-4)


def test_audio_input_holds_the_front_end(student):
    random = np.random.default_rng(2)
    audio = (random.standard_normal((4, 16000)) * 0.1).astype(np.float32)
    audio[3] = 0
    content = convert(student, input="audio", verbose=False)
    counts = inspect(content).operators["thin_1.0"]
    assert counts["BifsmnLogMel"] == 1 and "RFFT2D" not in counts
    lite = TFLiteModel(content)
    assert (lite.input_kind, lite.input_shape) == ("audio", (16000,))
    from bifsmn_tf.layers import LogMelSpectrogram

    features = LogMelSpectrogram()(audio)
    for thin in lite.switches:
        scores = np.stack([lite.scores(x, thin=thin) for x in audio])
        np.testing.assert_allclose(scores, keras_scores(student, features, thin), atol=2e-3)


def test_signatures_share_the_weights(student, converted):
    one = inspect(convert(student, thin=1.0, verbose=False))
    three = inspect(converted)
    assert three.bit_bytes == one.bit_bytes
    # Only normalizations, slopes and the graph come on top.
    assert three.total_bytes < 1.6 * one.total_bytes
    assert sorted(three.operators) == ["thin_0.25", "thin_0.5", "thin_1.0"]


def test_size_of_the_papers_network():
    model = give_statistics(BiFSMN(12, labels=[f"word{i}" for i in range(12)]))
    report = inspect(convert(model, verbose=False))
    bits = 5 * 5 * 16 * 32 + 256 * 128 + 8 * (5 * 128 + 2 * 128 * 256)
    assert bits == 574_976
    # 400 bits per filter of the convolution fill 13 words.
    assert report.bit_bytes == (bits + 32 * 16) // 8
    assert report.total_bytes < 185_000
    assert len(convert(model, thin=1.0, verbose=False)) < 157_000
    assert len(convert(model, storage="compact", verbose=False)) < 121_000


class TestCompactStorage:
    def test_constants_that_become_small(self, student, converted):
        file = tflite_file.read(convert(student, storage="compact", verbose=False))
        sizes = tflite_file.constant_bytes(file)
        before = tflite_file.constant_bytes(tflite_file.read(converted))
        classifier = student.classifier.kernel.shape
        assert sizes["int8"] == np.prod(classifier)
        ends = 4 * (3 * 3 * 16 + 16 + 5)  # the first convolution, the biases of both ends
        assert sizes["float32"] == ends
        assert 2 * sizes["float16"] == before["float32"] - ends - 4 * sizes["int8"]
        assert sizes["int16"] == before["int16"] and sizes["int32"] == before["int32"]

    def test_scores_stay_close(self, student, converted, features):
        model = TFLiteModel(convert(student, storage="compact", verbose=False))
        full = TFLiteModel(converted)
        for thin in model.switches:
            scores, expected = (
                np.stack([m.scores(x, thin=thin) for x in features]) for m in (model, full)
            )
            assert not np.array_equal(scores, expected)
            # A sign that rounding turns moves a score a little.
            np.testing.assert_allclose(scores, expected, atol=0.05)

    def test_a_float_network_needs_no_custom_operator(self, teacher, features):
        content, report = convert_with_report(teacher, storage="compact")
        assert not report.custom_operators
        assert report.operators["thin_1.0"]["DEQUANTIZE"] > 1
        assert len(content) < 0.5 * len(convert(teacher, verbose=False))
        for interpreter in (
            tf.lite.Interpreter(model_content=content),
            tf.lite.Interpreter(
                model_content=content,
                experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_REF,
            ),
        ):
            runner = interpreter.get_signature_runner("thin_1.0")
            scores = np.concatenate([runner(features=x[None])["scores"] for x in features])
            np.testing.assert_allclose(scores, keras_scores(teacher, features, 1.0), atol=0.02)

    def test_audio(self, student):
        audio = np.random.default_rng(3).normal(0, 0.1, (2, 16000)).astype(np.float32)
        full, compact = (
            convert(student, thin=1.0, input="audio", storage=storage, verbose=False)
            for storage in ("float32", "compact")
        )
        # The spectrogram has no constants.
        of_features = convert(student, thin=1.0, storage="compact", verbose=False)
        assert len(compact) < len(of_features) + 1000
        for x in audio:
            np.testing.assert_allclose(
                TFLiteModel(compact).scores(x), TFLiteModel(full).scores(x), atol=0.05
            )

    def test_unknown_storage(self, student):
        with pytest.raises(ConversionError, match="Received: storage='int4'"):
            convert(student, storage="int4")


def test_report_adds_up(student, features):
    content, report = convert_with_report(student, features=features)
    assert report.total_bytes == len(content) == (
        report.bit_bytes + report.float_bytes + report.threshold_bytes + report.graph_bytes
    )
    assert report.operators["thin_0.25"]["BifsmnDense"] == 3
    assert report.operators["thin_1.0"]["BifsmnMemory"] == 4
    assert set(report.parity) == {1.0, 0.5, 0.25}
    assert all(p.clips == 12 and p.top1_agreement == 1.0 for p in report.parity.values())
    text = str(report)
    assert "1-bit weights" in text and "thin 0.25: max |difference|" in text


def test_prints_a_report(student, capsys):
    convert(student, thin=0.25)
    assert "top-1 agreement" in capsys.readouterr().out


def test_labels_travel_inside(student, converted):
    assert TFLiteModel(converted).labels == list("abcde")
    with zipfile.ZipFile(io.BytesIO(converted)) as archive:
        assert archive.read("labels.txt").decode().split() == list("abcde")
    renamed = convert(student, thin=1.0, labels=["ja", "nein", "hoch", "tief", "halt"],
                      verbose=False)
    assert TFLiteModel(renamed).labels[0] == "ja"


def test_no_labels():
    model = give_statistics(BiFSMN(5, **SIZES))
    assert TFLiteModel(convert(model, thin=1.0, verbose=False)).labels is None


def test_is_reproducible(student, converted):
    assert convert(student, verbose=False) == converted


def test_survives_saving(student, converted, tmp_path):
    student.save(tmp_path / "student.keras")
    loaded = keras.models.load_model(tmp_path / "student.keras")
    assert convert(loaded, verbose=False) == converted


class TestErrors:
    def test_official_scale(self):
        model = give_statistics(BiFSMN(5, weight_scale="official", **SIZES))
        with pytest.raises(ConversionError, match="real-valued pointwise weights"):
            convert(model)

    def test_foreign_model(self):
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        with pytest.raises(ConversionError, match="Received: .*Sequential"):
            convert(model)

    def test_distiller_points_at_its_student(self, student):
        with pytest.raises(ConversionError, match="pass its `student`"):
            convert(ThinnableDistiller(student))

    def test_untrained_switch(self):
        model = BiFSMN(5, **SIZES)
        with pytest.raises(ConversionError, match="Switch 1.0 was never trained"):
            convert(model)
        assert convert(model, allow_untrained=True, verbose=False)

    def test_switch_that_training_left_out(self):
        model = BiFSMN(5, **SIZES)
        model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        random = np.random.default_rng(0)
        model.fit(random.normal(-20, 20, (8, 32, 32, 1)), random.integers(0, 5, 8), verbose=0)
        assert convert(model, thin=1.0, verbose=False)
        with pytest.raises(ConversionError, match="Switch 0.5 was never trained"):
            convert(model)

    def test_unknown_switch(self, student):
        with pytest.raises(ConversionError, match=r"switches \(1.0, 0.5, 0.25\).*thin=0.3"):
            convert(student, thin=0.3)

    def test_no_switch(self, student):
        with pytest.raises(ConversionError, match="at least one switch"):
            convert(student, thin=())

    def test_repeated_switch(self, student):
        with pytest.raises(ConversionError, match="repeat"):
            convert(student, thin=(0.5, 0.5))

    def test_input_kind(self, student):
        with pytest.raises(ConversionError, match="Received: input='video'"):
            convert(student, input="video")

    def test_label_count(self, student):
        with pytest.raises(ConversionError, match="5 names"):
            convert(student, labels=["a", "b"])

    def test_features_shape(self, student):
        with pytest.raises(ConversionError, match=r"Received: shape \(3, 7\)"):
            convert(student, features=np.zeros((3, 7)))

    def test_diverged_model(self, student):
        model = BiFSMN(5, **SIZES)
        model.set_weights(student.get_weights())
        model.blocks[1].memory_norm.of(0).gamma.assign(np.full(48, np.nan))
        with pytest.raises(ConversionError, match="finite"):
            convert(model)
