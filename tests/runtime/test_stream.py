"""KeywordStream, and the command line that listens."""

import itertools
import subprocess
import sys

import numpy as np
import pytest

from bifsmn_tf import pretrained
from bifsmn_tf.runtime import Detector, KeywordSpotter, KeywordStream, Prediction
from bifsmn_tf.runtime.__main__ import main

LABELS = ["_silence_", "yes", "no"]


class Spotter:
    """Scores that a window tells by the sample in its middle: 0.2 for 0.2 of "yes"."""

    labels = LABELS

    def predict(self, audio):
        score = float(audio[8000])
        scores = np.array([0.9 - score, score, 0.1], np.float32)
        return Prediction("", 0.0, scores)


def words(*times, seconds=12, score=0.8, length=0.6):
    """A stream in which "yes" has a score from some times on, for a while."""
    audio = np.zeros(int(16000 * seconds), np.float32)
    for time in times:
        audio[int(16000 * time) : int(16000 * (time + length))] = score
    return audio


def feed(stream, audio, sizes=(1_000_000,)):
    """What is heard when the audio comes in chunks of these sizes, one after the other."""
    heard, at = [], 0
    for size in itertools.cycle(sizes):
        if at >= len(audio):
            return heard
        heard += stream.feed(audio[at : at + size])
        at += size


def test_a_word_is_heard_once_and_in_time():
    heard = feed(KeywordStream(Spotter(), 0.75), words(3.0, 7.0))
    assert [label for label, _, _ in heard] == ["yes", "yes"]
    # Five windows whose middles lie in the word; the last of them ends half a second later.
    np.testing.assert_allclose([h.seconds for h in heard], [3.9, 7.9], atol=0.11)
    np.testing.assert_allclose([h.score for h in heard], 0.8, atol=1e-6)


def test_nothing_is_heard_below_the_threshold_or_for_a_moment():
    assert not feed(KeywordStream(Spotter(), 0.85), words(3.0))
    assert not feed(KeywordStream(Spotter(), 0.75), words(3.0, length=0.25))
    assert not feed(KeywordStream(Spotter()), words(0.0, seconds=0.9))
    # Silence is no keyword, however certain it is.
    assert not feed(KeywordStream(Spotter(), 0.5), words(seconds=4))


@pytest.mark.parametrize("sizes", [(1600,), (1,), (700, 16001, 3), (40000,)])
def test_chunks_of_any_size_are_the_same_stream(sizes):
    audio = words(2.0, 4.0, 4.9, seconds=7, score=0.6)[: 50000 if sizes == (1,) else None]
    whole = feed(KeywordStream(Spotter()), audio)
    assert whole and feed(KeywordStream(Spotter()), audio, sizes) == whole


def test_int16_is_the_same_audio():
    audio = np.rint(32767 * words(2.0, 5.0)).astype(np.int16)
    floats = audio / np.float32(32768)
    assert feed(KeywordStream(Spotter()), audio) == feed(KeywordStream(Spotter()), floats)


def test_detections_are_those_that_evaluation_counts():
    rng = np.random.default_rng(0)
    audio = np.repeat(rng.random(300), 1600).astype(np.float32)
    for detector in (
        Detector(), Detector(hop=1600, smoothing=2, refractory=5000),
        Detector(hop=20000, smoothing=1, refractory=1),  # windows with gaps between them
    ):  # fmt: skip
        scores = np.array([[Spotter().predict(w).scores[1]] for w in detector.windows(audio)])
        for threshold in (0.4, 0.6, 0.7):
            stream = KeywordStream(Spotter(), threshold, detector)
            counted = detector.count(detector.smooth(scores), [threshold])[0]
            assert len(feed(stream, audio, (5000,))) == counted > 0


def test_a_bad_chunk_is_refused_and_the_stream_goes_on():
    audio = words(3.0)
    stream, heard = KeywordStream(Spotter(), 0.75), []
    for at in range(0, len(audio), 4000):
        with pytest.raises(ValueError, match="`audio` should be finite"):
            stream.feed(np.full(4000, np.nan, np.float32))
        heard += stream.feed(audio[at : at + 4000])
    assert heard == feed(KeywordStream(Spotter(), 0.75), audio) != []


def test_wrong_arguments():
    for threshold in (0, -1, 1.5, float("nan")):
        with pytest.raises(ValueError, match="`threshold` should be .* Received: threshold="):
            KeywordStream(Spotter(), threshold)
    silent = Spotter()
    for labels in (None, ["_silence_", "_unknown_"]):
        silent.labels = labels
        with pytest.raises(ValueError, match="a keyword by name. Received: labels="):
            KeywordStream(silent)
    stream = KeywordStream(Spotter())
    for audio in (np.zeros((2, 16000), np.float32), np.zeros(10, np.int32), 0.0):
        with pytest.raises(ValueError, match="`audio` should .* Received: (dtype|shape)"):
            stream.feed(audio)


@pytest.fixture(scope="module")
def recording(speech_commands_dir):
    """Real words between pauses, as int16, and what they are."""
    import soundfile

    testing = (speech_commands_dir / "testing_list.txt").read_text().split()
    wanted, parts = [], [np.zeros(32000, np.int16)]
    for line in testing:
        word, _, name = line.partition("/")
        file = (speech_commands_dir / word / name).with_suffix("")
        found = [f for f in speech_commands_dir.glob(f"{word}/{file.name}.*")]
        if word in ("yes", "no", "stop", "go") and "3f2b358d" not in name and found:
            samples, _ = soundfile.read(found[0], dtype="int16")
            wanted.append(word)
            parts += [samples, np.zeros(32000, np.int16)]
    return np.concatenate(parts), wanted


def test_real_words_in_a_stream(recording):
    audio, wanted = recording
    path = pretrained.path("bifsmnv2_sc10")
    heard = feed(KeywordStream(KeywordSpotter(path, thin=0.5)), audio, (4000,))
    labels = [label for label, _, _ in heard]
    assert len(labels) >= 0.7 * len(wanted)
    assert sum(a in labels for a in set(wanted)) == len(set(wanted))


def test_command_line(recording, tmp_path):
    audio, _ = recording
    command = [sys.executable, "-m", "bifsmn_tf.runtime", str(pretrained.path("bifsmnv2_sc10"))]
    done = subprocess.run(
        [*command, "--thin", "0.25"], input=audio[: 16000 * 20].astype("<i2").tobytes() + b"x",
        capture_output=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.decode().splitlines()
    assert lines and all(line.split()[1] == "s" for line in lines)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("missing.tflite",), "missing.tflite"),
        (("MODEL", "--thin", "0.3"), "switches (1.0, 0.5, 0.25)"),
        (("MODEL", "--threshold", "2"), "`threshold` should be above 0"),
    ],
)
def test_wrong_input_is_one_line(arguments, message, capsys):
    path = str(pretrained.path("bifsmnv2_sc10"))
    assert main([path if a == "MODEL" else a for a in arguments]) == 1
    error = capsys.readouterr().err
    assert message in error and error.startswith("error: ") and len(error.splitlines()) == 1


def test_help_and_wrong_usage(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0 and "arecord" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stopped:
        main([])
    assert stopped.value.code == 2
