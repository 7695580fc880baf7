"""The aarch64 library under user-mode emulation, against eager TensorFlow on this machine."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import pytest
from ops_testing import convert, same_bits
from test_interpreters import (
    Network, Operands, conv_cases, dense_cases, memory_cases, shifted_cases,
)

from bifsmn_tf.runtime import log_mel, ops_library

tf = pytest.importorskip("tensorflow")

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
LIBRARY = REPOSITORY / "bifsmn_tf/runtime/lib/linux_aarch64/libbifsmn_ops.so"


@pytest.fixture(scope="module")
def root():
    """The emulated machine."""
    root = pathlib.Path(os.environ.get("BIFSMN_TF_EMULATED_ROOT", REPOSITORY / ".emulated/aarch64"))
    if not (root / ".complete").exists():
        pytest.skip(f"no emulated aarch64 machine: run tools/emulated_root.sh {root}")
    if not LIBRARY.exists():
        pytest.skip("no aarch64 library: run tools/build_ops.sh aarch64")
    if shutil.which("qemu-aarch64-static") is None:
        pytest.skip("qemu-aarch64-static is not installed")
    return root


@pytest.fixture(scope="module", params=["tflite-runtime", "litert"])
def python(request, root):
    return root / f"python-{request.param}"


def run_emulated(python, folder, model, inputs):
    """What `emulated_run.py` makes of a model, or of the same one under this Python."""
    (folder / "model.tflite").write_bytes(model)
    np.savez(folder / "inputs.npz", **inputs)
    script = pathlib.Path(__file__).with_name("emulated_run.py")
    subprocess.run(
        [python, script, folder / "model.tflite",
         ops_library() if python == sys.executable else LIBRARY, folder / "inputs.npz",
         folder / "outputs.npz"],
        check=True, timeout=300,
    )
    with np.load(folder / "outputs.npz") as outputs:
        return {name: outputs[name] for name in outputs.files}


@pytest.fixture(
    scope="module", params=[dense_cases, conv_cases, memory_cases, shifted_cases, "network"]
)
def converted(request):
    """A model, its inputs and what eager TensorFlow makes of them."""
    if request.param == "network":
        function = Network()
        inputs = [Operands(21).residual(1, 8, function.channels)]
    else:
        function = request.param()
        inputs = function.inputs
    model = convert(lambda *x: function(*x), inputs)
    return model, inputs, function(*[tf.constant(x) for x in inputs])


def test_the_library_agrees_with_eager_bit_by_bit(converted, python, tmp_path):
    model, inputs, expected = converted
    named = {f"x{i}": x[None] for i, x in enumerate(inputs)}
    results = run_emulated(python, tmp_path, model, named)
    assert sorted(results) == sorted(f"serving_default/{name}" for name in expected)
    for name, value in expected.items():
        assert same_bits(results[f"serving_default/{name}"][0], value), name


CLIPS = 3  # per kind

# Instructions on 16 bytes: code and mask.
NEON = {
    "eor": (0x6E201C00, 0xFFE0FC00),
    "cnt": (0x4E205800, 0xFFFFFC00),
    "addp": (0x4E20BC00, 0xFFE0FC00),
}


class Trained:
    """A complete BiFSMN with statistics of its own data, converted in two ways."""

    def __init__(self):
        import keras

        from bifsmn_tf.conversion import Deployment
        from bifsmn_tf.conversion import convert as convert_model
        from bifsmn_tf.models import BiFSMN

        keras.utils.set_random_seed(0)
        self.model = BiFSMN(10)
        batch = noise_clips(32, seed=1)
        for _ in range(3):
            for switch in self.model.switches:
                self.model(batch, thin=switch, training=True)
        self.file = convert_model(self.model, allow_untrained=True, verbose=False)
        self.deployment = Deployment(self.model)
        self.open_file = self._convert_open()

    def _convert_open(self):
        """A file that gives the output of every custom operator, too."""
        import keras

        def signature(switch):
            return lambda features: self.run(features, switch)

        archive = keras.export.ExportArchive()
        spec = tf.TensorSpec((1, 32, 32, 1), tf.float32, name="features")
        names = [f"thin_{switch}" for switch in self.model.switches]
        for name, switch in zip(names, self.model.switches):
            archive.add_endpoint(name, signature(switch), input_signature=[spec])
        with tempfile.TemporaryDirectory() as folder:
            archive.write_out(folder, verbose=False)
            converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=names)
            converter.allow_custom_ops = True
            return converter.convert()

    def run(self, features, switch):
        """The deployed network in TensorFlow, with everything that custom operators give."""
        outputs = []
        stem = self.deployment.stem(tf.transpose(features, (0, 2, 1, 3)))
        scores = self.deployment.tail(stem, switch, collect=outputs)
        return {
            "stem": stem, "scores": scores, **{f"op{i:02d}": x for i, x in enumerate(outputs)}
        }  # fmt: skip

    def decided(self, clips):
        """The first clips of which rounding moves no value of the stem across zero."""
        stems = self.deployment.stem(tf.transpose(clips, (0, 2, 1, 3))).numpy()
        clear = np.abs(stems).min(axis=(1, 2, 3)) > 2e-5
        assert clear.sum() >= CLIPS
        return clips[clear][:CLIPS]


def noise_clips(count, seed):
    random = np.random.default_rng(seed)
    level = random.uniform(-60, 0, (count, 1, 1, 1))
    return (level + 15 * random.standard_normal((count, 32, 32, 1))).astype(np.float32)


@pytest.fixture(scope="module")
def trained():
    return Trained()


@pytest.fixture(scope="module", params=["noise", "speech"])
def calls(request, trained):
    """Clips, and what the library of this machine makes of them."""
    if request.param == "noise":
        clips = noise_clips(20, seed=2)
    else:
        from bifsmn_tf.data import SpeechCommands

        folder = request.getfixturevalue("speech_commands_dir")
        data, _ = SpeechCommands(folder, task=10).waveforms("testing", dtype="int16")
        clips = log_mel(data[:20] / np.float32(32768))
    inputs = {"features": trained.decided(clips)[:, None]}
    folder = request.getfixturevalue("tmp_path_factory").mktemp("here")
    here = [
        run_emulated(sys.executable, folder, content, inputs)
        for content in (trained.file, trained.open_file)
    ]
    return inputs, *here


def test_scores_of_a_whole_network(trained, calls, python, tmp_path):
    inputs, here, _ = calls
    there = run_emulated(python, tmp_path, trained.file, inputs)
    assert len(there) == len(trained.model.switches) == 3
    for switch in trained.model.switches:
        name = f"thin_{switch}/scores"
        keras_scores = tf.nn.softmax(trained.model(inputs["features"][:, 0], thin=switch))
        np.testing.assert_allclose(there[name], here[name], rtol=0, atol=1e-5)
        np.testing.assert_allclose(there[name][:, 0], keras_scores, rtol=0, atol=1e-5)
        assert np.ptp(there[name], axis=0).max() > 1e-3, "the clips should differ"


def test_bits_of_a_whole_network(trained, calls, python, tmp_path):
    inputs, _, here = calls
    there = run_emulated(python, tmp_path, trained.open_file, inputs)
    assert sorted(there) == sorted(here)
    for switch in trained.model.switches:
        for i, features in enumerate(inputs["features"]):
            expected = trained.run(tf.constant(features), switch)
            operators = [name for name in expected if name.startswith("op")]
            assert len(operators) == 2 + 3 * len(trained.model.active_blocks(switch))
            for name in operators:
                value = there[f"thin_{switch}/{name}"][i]
                assert same_bits(value, here[f"thin_{switch}/{name}"][i]), (switch, i, name)
                assert same_bits(value, expected[name]), (switch, i, name)


@pytest.mark.slow
def test_the_operators_run_neon_code(trained, root, tmp_path):
    """One CNT for every 128 pairs of bits, and as many EOR, on an emulated Cortex-A53."""
    from bifsmn_tf.benchmarking.emulator import Emulator

    model = tmp_path / "model.tflite"
    model.write_bytes(trained.file)
    traces = Emulator(root, cpu="cortex-a53").trace(model, [0.25], inferences=1)
    (ours,) = [library for library in traces.libraries if library.kind == "ops"]
    counts = dict.fromkeys(NEON, 0)
    for block, executions in traces.executions[0.25].items():
        if ours.holds(block.address):
            for word in block.words:
                for name, (code, mask) in NEON.items():
                    counts[name] += executions * (int(word, 16) & mask == code)
    blocks = len(trained.model.active_blocks(0.25))
    # Multiplications of bits: the convolution, fc1, and the two layers of each block.
    pairs = (64 * 32 * 400 + 8 * 256 * 128 + blocks * 8 * 2 * 128 * 256) / 128
    assert pairs <= counts["cnt"] <= counts["eor"]
    # 400 bits fill 3.125 registers, and few positions of the convolution's border fill a tile.
    assert counts["cnt"] <= 1.5 * pairs
    # The tree of a count's 16 bytes; FBCK would widen instead.
    assert counts["addp"] >= pairs / 4
