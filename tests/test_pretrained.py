"""Networks that come with the package: files, cards, and what they answer."""

import hashlib
import json
import re
import subprocess
import sys

import keras
import numpy as np
import pytest

import bifsmn_tf
from bifsmn_tf import evaluation, pretrained
from bifsmn_tf.data import SpeechCommands
from bifsmn_tf.runtime import KeywordSpotter, TFLiteModel, log_mel

LABELS = ["_silence_", "_unknown_", "yes", "no", "up", "down", "left", "right", "stop", "go"]
NAMES = ["bifsmn_sc10", "bifsmnv2_sc10", "dfsmn_sc10"]


def switches_of(name):
    return (1.0,) if name == "dfsmn_sc10" else (1.0, 0.5, 0.25)


def test_names():
    assert pretrained.list() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_keras_and_tflite_are_one_network(name):
    model = pretrained.load(name)
    file = TFLiteModel(pretrained.path(name))
    assert list(model.labels) == list(file.labels) == LABELS
    assert tuple(model.switches) == tuple(file.switches) == switches_of(name)
    rng = np.random.default_rng(0)
    time = np.arange(16_000) / 16_000
    waves = np.stack([np.sin(2 * np.pi * f * time) * rng.uniform(0.01, 0.3) for f in (200, 900)])
    features = log_mel(waves.astype(np.float32), 32)
    for switch in switches_of(name):
        expected = np.asarray(keras.ops.softmax(model(features, thin=switch)))
        for row, scores in zip(features, expected):
            np.testing.assert_allclose(file.scores(row, switch), scores, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_card_tells_what_it_is(name):
    card = pretrained.path(name, "card").read_text(encoding="utf-8")
    for words in ("CC BY 4.0", "tools/train.py", "seed", "95 % interval", "Limits"):
        assert words in card, words
    for switch in switches_of(name):
        assert f"| validation | {switch} |" in card


@pytest.mark.parametrize("name", NAMES)
def test_card_names_the_file_beside_it(name):
    content = pretrained.path(name).read_bytes()
    card = pretrained.path(name, "card").read_text(encoding="utf-8")
    size, digest = re.search(r"([\d,]+) bytes, SHA-256 `([0-9a-f]{64})`", card).groups()
    assert int(size.replace(",", "")) == len(content)
    assert digest == hashlib.sha256(content).hexdigest()


def test_all_files_are_small_together():
    kinds = ("tflite", "keras", "card")
    total = sum(pretrained.path(n, kind).stat().st_size for n in NAMES for kind in kinds)
    assert total < 15_000_000


@pytest.mark.parametrize("name", NAMES)
def test_accuracy_on_real_speech_is_that_of_the_card(name, speech_commands_dir):
    # The test of the whole promise: other speakers than those of the training, in Keras.
    data = SpeechCommands(speech_commands_dir, 10)
    result = evaluation.evaluate(pretrained.load(name), data, "validation")
    card = pretrained.path(name, "card").read_text(encoding="utf-8")
    for switch in result.switches:
        row = next(r for r in card.splitlines() if r.startswith(f"| validation | {switch.thin} |"))
        printed = float(row.split("|")[3].split("%")[0])
        # The card has the figures of the .tflite: a clip or two may hang on the order of a sum.
        assert abs(switch.correct - round(printed / 100 * switch.count)) <= 2


def test_a_spotter_hears_with_it():
    spotter = KeywordSpotter(pretrained.path("bifsmnv2_sc10"), thin=0.5)
    quiet = 1e-3 * np.random.default_rng(0).standard_normal(16_000)
    label, score, _ = spotter.predict(quiet.astype(np.float32))
    assert label == "_silence_" and score > 0.5


@pytest.mark.parametrize("name", NAMES)
def test_digital_silence_is_silence(name):
    spotter = KeywordSpotter(pretrained.path(name))
    for switch in spotter.switches:
        spotter.thin = switch
        assert spotter.predict(np.zeros(16_000, np.float32)).label == "_silence_"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("amplitude", [1e-4, 1e-3, 1e-2, 1e-1])
def test_white_noise_is_silence_at_any_level(name, amplitude):
    """The training knows noise of other colours and levels: the quietest is easily forgotten."""
    noise = amplitude * np.random.default_rng(0).standard_normal(16_000)
    spotter = KeywordSpotter(pretrained.path(name))
    for switch in spotter.switches:
        spotter.thin = switch
        label, score, _ = spotter.predict(noise.astype(np.float32))
        assert label == "_silence_" and score > 0.5, (switch, label, score)


def test_listing_needs_no_keras():
    code = (
        "import sys, json, bifsmn_tf; names = bifsmn_tf.pretrained.list()\n"
        "assert not {'keras', 'tensorflow'} & set(sys.modules)\n"
        "print(json.dumps(names))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == NAMES


def test_wrong_names():
    with pytest.raises(ValueError, match="`name` should be one of bifsmn_sc10.*Received: name='x'"):
        bifsmn_tf.pretrained.load("x")
    with pytest.raises(ValueError, match="`kind` should be one of tflite.*Received: kind='onnx'"):
        pretrained.path("dfsmn_sc10", "onnx")
