"""Files as they are measured: ours, floats, int8, and their prefixes."""

import gc

import numpy as np
import pytest

from bifsmn_tf.benchmarking.prefixes import prefixes
from bifsmn_tf.benchmarking.quantization import to_int8
from bifsmn_tf.benchmarking.subject import Subject, example_input, read
from bifsmn_tf.runtime import TFLiteModel


@pytest.fixture(scope="module")
def features():
    return np.concatenate([example_input((1, 32, 32, 1), seed) for seed in range(16)])


def test_switches_run_as_in_the_runtime(binary_file, features):
    subject, model = Subject(binary_file), TFLiteModel(binary_file)
    assert subject.switches == model.switches == (1.0, 0.5, 0.25)
    assert subject.input_shape == (1, 32, 32, 1)
    assert subject.has_binary_operators and subject.size == len(binary_file)
    outputs = subject.feed(features[:1])
    for switch in subject.switches:
        np.testing.assert_array_equal(outputs[switch][0], model.scores(features[0], switch))
        assert subject.signature(switch) == f"thin_{switch}"
        assert subject.invoker(switch)() is None


def test_an_invoker_keeps_its_file_alive(binary_file):
    # The interpreter reads the bytes of the file in place.
    invoke = Subject(bytes(bytearray(binary_file))).invoker(0.25)
    gc.collect()
    _ = [bytes(len(binary_file)) for _ in range(8)]
    for _ in range(20):
        invoke()


def test_int8_answers_like_the_float_network(float_file, features):
    content = to_int8(float_file, features)
    subject = Subject(content)
    assert len(content) < len(float_file) / 2
    assert subject.switches == (1.0,) and not subject.has_binary_operators
    for x in features[:4]:
        wanted = Subject(float_file).feed(x[None])[1.0]
        received = subject.feed(x[None])[1.0]
        assert received.dtype == np.int8
        # Scores are quantized to 1/256.
        np.testing.assert_allclose((received + 128.0) / 256, wanted, atol=0.06)


def test_only_float_networks_are_quantized(binary_file, float_file, features):
    with pytest.raises(ValueError, match="Only a float model.*Received.*binary operators"):
        to_int8(binary_file, features)
    with pytest.raises(ValueError, match=r"`examples` should have shape.*Received: \(2, 3\)"):
        to_int8(float_file, np.zeros((2, 3)))


def test_prefixes_are_the_graph_operator_by_operator(binary_file, features):
    cuts = prefixes(binary_file, "thin_0.5")
    whole = Subject(binary_file).feed(features[:1])[0.5]
    assert cuts[0].name == "(call)" and cuts[-1].name == "SOFTMAX"
    assert [cut.name for cut in cuts].count("BifsmnMemory") == 2
    np.testing.assert_array_equal(
        next(iter(Subject(cuts[0].content).feed(features[:1]).values())), features[:1]
    )
    np.testing.assert_array_equal(
        next(iter(Subject(cuts[-1].content).feed(features[:1]).values())), whole
    )
    for cut in cuts:
        (output,) = Subject(cut.content).feed(features[:1]).values()
        assert cut.output == f"{output.dtype} {output.shape}"


def test_unknown_signatures_and_files_are_refused(binary_file, tmp_path):
    with pytest.raises(ValueError, match="`signature` should be one of.*Received: 'thin_0.9'"):
        prefixes(binary_file, "thin_0.9")
    with pytest.raises(FileNotFoundError, match="No such model"):
        read(str(tmp_path / "none.tflite"))
    other = tmp_path / "other.tflite"
    other.write_bytes(b"something else")
    with pytest.raises(ValueError, match="should be a .tflite file"):
        read(str(other))
    with pytest.raises(ValueError, match="refused broken"):
        Subject(binary_file[:200], name="broken")
