"""`BifsmnLogMel` against the Keras layer, golden values and its contract."""

import copy

import numpy as np
import pytest
from ops_testing import (
    INTERPRETERS, Operands, convert, interpreter_module, make_interpreter, run, run_interpreter,
)

from bifsmn_tf.conversion import ops
from bifsmn_tf.layers import LogMelSpectrogram

tf = pytest.importorskip("tensorflow")
schema = pytest.importorskip("tensorflow.lite.python.schema_py_generated")
flatbuffers = pytest.importorskip("flatbuffers")
flexbuffers = pytest.importorskip("flatbuffers.flexbuffers")


@pytest.fixture(params=INTERPRETERS)
def module(request):
    return interpreter_module(request.param)


def model_of(samples, batch=1, **attributes):
    return convert(
        lambda audio: {"y": ops.log_mel(audio, **attributes)},
        [np.zeros((batch, samples), np.float32)],
    )


@pytest.fixture(scope="module")
def model():
    return model_of(16000)


def waveforms(count, samples=16000, seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, (count, samples)).astype(np.float32)


def decibels(audio, **attributes):
    return np.asarray(LogMelSpectrogram(**attributes).decibels(audio))[..., None]


def assert_close(result, expected):
    """Equal where the bands hold more than the rounding noise of a full-scale transform."""
    assert result.dtype == np.float32 and result.shape == expected.shape
    heard = expected > -80
    np.testing.assert_allclose(result[heard], expected[heard], atol=0.01)
    assert (result[~heard] < -79.9).all() and (result >= -100).all()


def test_the_function_is_the_layer():
    audio = waveforms(2)
    np.testing.assert_array_equal(np.asarray(ops.log_mel(audio)), decibels(audio))


def test_golden_values(module, model, golden_dir):
    with np.load(golden_dir / "logmel.npz") as archive:
        golden = {key: archive[key] for key in archive}
    for audio, expected in zip(golden["waveforms"], golden["logmel_db"]):
        assert_close(run(module, model, [audio[None]])["y"], expected.T[None, ..., None])


def test_silence_is_exact(module, model):
    assert (run(module, model, [np.zeros((1, 16000), np.float32)])["y"] == -100.0).all()


def test_batches_of_other_sizes(module, model):
    interpreter = make_interpreter(module, model)
    index = interpreter.get_input_details()[0]["index"]
    for shape in [(3, 16000), (2, 9999), (1, 1025), (0, 16000), (1, 16000)]:
        interpreter.resize_tensor_input(index, shape)
        interpreter.allocate_tensors()
        audio = waveforms(*shape)
        interpreter.set_tensor(index, audio)
        interpreter.invoke()
        result = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
        frames = 1 + shape[1] // 512
        assert result.shape == (shape[0], frames, 32, 1)
        # A waveform alone gives the same bits as in a batch.
        if shape == (3, 16000):
            for row, alone in zip(result, audio):
                np.testing.assert_array_equal(row, run(module, model, [alone[None]])["y"][0])
        if shape[0] and shape[1] % 512 == 0:
            assert_close(result, decibels(audio))


@pytest.mark.parametrize(
    "samples,attributes",
    [
        (4000, {"num_mels": 20, "fft_length": 512, "hop_length": 128, "sample_rate": 8000}),
        (12288, {"num_mels": 40, "fft_length": 1024, "hop_length": 256}),
        (44100, {"num_mels": 64, "fft_length": 4096, "hop_length": 1024, "sample_rate": 44100}),
        (17, {"num_mels": 3, "fft_length": 32, "hop_length": 8, "sample_rate": 1000}),
    ],
)
def test_other_geometries(samples, attributes):
    audio = waveforms(2, samples)
    result = run(tf.lite, model_of(samples, batch=2, **attributes), [audio])["y"]
    assert_close(result, decibels(audio, **attributes))


def test_not_a_number_is_heard(model):
    audio = waveforms(1)
    audio[0, 8000] = np.nan
    result = run(tf.lite, model, [audio])["y"][0, :, :, 0]
    # The frames whose window holds the sample; its ends are 0, whose product is NaN as well.
    centres = 512 * np.arange(32)
    np.testing.assert_array_equal(
        np.isnan(result).all(axis=1), (centres - 1024 <= 8000) & (8000 < centres + 1024)
    )


def test_feeds_the_other_operators():
    """Inside one partition: as floats, as signs, and as the picture of a first convolution."""
    make = Operands(5)
    bits, kernel = make.bits(16, 1024), make.residual(3, 3, 1, 16)
    scale, bias, more = make.scales(16), make.scales(16), make.bits(32, 9 * 16)
    threshold = make.threshold(32, 144)

    def network(x):
        spectrogram = ops.log_mel(x)
        y = tf.nn.conv2d(tf.pad(spectrogram, [[0, 0], [1, 1], [1, 1], [0, 0]]), kernel, 2, "VALID")
        return {
            "conv": ops.binary_conv2d(
                tf.nn.leaky_relu(y + bias, 0.1), more, threshold=threshold, kernel_size=(3, 3),
                channels=16,
            ),
            "dense": ops.binary_dense(spectrogram, bits, scale, bias, channels=1024),
        }

    content = convert(network, [np.zeros((1, 16000), np.float32)])
    interpreter = make_interpreter(tf.lite, content)
    audio = waveforms(1) * np.float32(30)  # loud: decibels of both signs, none close to 0
    result = run_interpreter(interpreter, [audio])
    expected = network(tf.constant(audio))
    names = [details["op_name"] for details in interpreter._get_ops_details()]
    assert names.count("DELEGATE") == 1
    np.testing.assert_allclose(result["dense"], expected["dense"], rtol=1e-5)
    different = np.unpackbits((result["conv"] ^ np.asarray(expected["conv"])).view(np.uint8))
    assert different.mean() < 0.01


DAMAGES = {
    "missing attribute": ({"hop_length": None}, 'attribute "hop_length" is required'),
    "unknown attribute": ({"top_db": 80}, '"top_db" is unknown'),
    "length that is no power of two": (
        {"fft_length": 1536}, '"fft_length" should be a power of two. Received: 1536'),
    "length out of range": ({"fft_length": 16}, '"fft_length" should be from 32 to 16384'),
    "hop beyond the window": ({"hop_length": 4096}, '"hop_length" should be from 1 to 2048'),
    "no bands": ({"num_mels": 0}, '"num_mels" should be from 1 to 1024'),
    "float rate": ({"sample_rate": 16000.0}, '"sample_rate" should be an integer'),
}


def damaged(content, changes):
    tree = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
    tree = copy.deepcopy(tree)
    operator = tree.subgraphs[0].operators[0]
    values = {**flexbuffers.Loads(bytes(operator.customOptions)), **changes}
    values = {key: value for key, value in values.items() if value is not None}
    operator.customOptions = np.frombuffer(bytes(flexbuffers.Dumps(values)), np.uint8)
    builder = flatbuffers.Builder(1024)
    builder.Finish(tree.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize("name", DAMAGES)
def test_wrong_attributes_are_refused(name, module, model):
    changes, message = DAMAGES[name]
    with pytest.raises(RuntimeError, match=f"BifsmnLogMel: .*{message}"):
        make_interpreter(module, damaged(model, changes)).allocate_tensors()


@pytest.mark.parametrize("shape", [(1, 1024), (16000,), (1, 1, 16000)])
def test_wrong_shapes_are_refused(shape, module, model):
    interpreter = make_interpreter(module, model)
    interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], shape)
    with pytest.raises(RuntimeError, match="BifsmnLogMel: audio should be .* more than 1024"):
        interpreter.allocate_tensors()


@pytest.mark.parametrize(
    "shape,attributes,message",
    [
        ((1, 1024), {}, "more than 1024"),
        ((16000,), {}, r"\(batch, samples\)"),
        ((1, 16000), {"fft_length": 1536}, "power of two"),
        ((1, 16000), {"hop_length": 300}, "multiple of `hop_length`"),
        ((1, 16000), {"num_mels": 0}, "num_mels=0"),
        ((1, 16000), {"sample_rate": 16e3}, "sample_rate=16000.0"),
    ],
)
def test_the_function_refuses_what_the_operator_would(shape, attributes, message):
    with pytest.raises(ValueError, match=message):
        ops.log_mel(np.zeros(shape, np.float32), **attributes)
