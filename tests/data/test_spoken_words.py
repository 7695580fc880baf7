"""Spoken words: which clips are replaced, by what, and what is never said."""

import os
import shutil
import sys

import numpy as np
import pytest

from bifsmn_tf.data import espeak
from bifsmn_tf.data.spoken_words import OTHER_WORDS, SpokenWords
from bifsmn_tf.data.tasks import WORDS_35

SILENCE, UNKNOWN, YES, NO = range(4)
LABELS = np.repeat([SILENCE, UNKNOWN, YES, NO], [20, 60, 20, 20])
KEYWORDS = ((YES, "yes"), (NO, "no"))

needs_espeak = pytest.mark.skipif(
    shutil.which("espeak-ng") is None, reason="espeak-ng is not installed"
)


def make(probability=0.5, keyword_probability=0.1, seed=0, words=OTHER_WORDS):
    spoken = SpokenWords(UNKNOWN, KEYWORDS, probability, keyword_probability, words)
    return spoken.make(None, LABELS, np.random.default_rng(seed))


@pytest.fixture
def said(monkeypatch):
    """What espeak-ng is asked to say; every clip is a tone of a level of its own."""
    words = []

    def speak(text, *_, **__):
        words.append(text)
        tone = np.sin(np.arange(9000) * 0.2 * (1 + len(words) % 7))
        return tone.astype(np.float32), 22_050

    monkeypatch.setattr("bifsmn_tf.data.espeak.speak", speak)
    monkeypatch.setattr("bifsmn_tf.data.espeak.voices", lambda: [("en-us", "m1"), ("en-gb", "f1")])
    monkeypatch.setattr("bifsmn_tf.data.espeak.phonemes", lambda words: list(words))
    return words


def test_a_share_of_unknown_clips_and_of_keywords_is_replaced(said):
    replaced = make(words=("alpha", "beta"))
    counts = np.bincount(LABELS[list(replaced)], minlength=4)
    assert counts[SILENCE] == 0 and 15 < counts[UNKNOWN] < 45 and 0 < counts[YES] < 10
    for clip in replaced.values():
        assert clip.shape == (16_000,) and clip.dtype == np.float32
        assert 0.09 < np.abs(clip).max() < 0.81
    assert set(said) == {"alpha", "beta", "yes", "no"}
    # 60 clips, half of them replaced, from three times as many; the words in turn.
    assert said.count("alpha") == said.count("beta") == 45


def test_unknown_clips_only(said):
    assert set(LABELS[list(make(1.0, 0.0, words=("gamma",)))]) == {UNKNOWN}
    assert set(said) == {"gamma"}


def test_the_word_lies_about_the_middle(said):
    middles = []
    for clip in make(1.0, 0.0, words=("delta",)).values():
        sounding = np.flatnonzero(np.abs(clip) > 1e-3)
        middles.append(sounding.mean())
        # 9,000 samples at 22,050 Hz, up to 15 % longer or 12 % shorter.
        assert 0.85 < len(sounding) / (9000 * 16_000 / 22_050) < 1.17
    assert abs(np.mean(middles) - 8000) < 900 and 500 < np.std(middles) < 3000


def test_the_source_of_randomness_decides(said):
    first, again, other = (make(seed=seed, words=("eta",)) for seed in (0, 0, 1))
    assert list(first) == list(again) != list(other)
    for row, clip in first.items():
        np.testing.assert_array_equal(clip, again[row])


def test_words_of_speech_commands_are_left_for_measuring():
    assert len(OTHER_WORDS) == len(set(OTHER_WORDS)) > 500
    assert not set(OTHER_WORDS) & set(WORDS_35)


@needs_espeak
def test_nothing_that_sounds_like_a_keyword_is_said(monkeypatch):
    said = []

    def speak(text, *_, **__):
        said.append(text)
        return np.ones(9000, np.float32), 22_050

    monkeypatch.setattr("bifsmn_tf.data.espeak.speak", speak)
    make(1.0, 0.0, words=("know", "yes", "nose", "yell"))
    assert set(said) == {"nose", "yell"}
    with pytest.raises(ValueError, match="sound like a keyword. Received: words=.'know'"):
        make(words=("know",))


@needs_espeak
def test_real_voices_differ():
    clips = list(make(0.2, 0.0, words=("window", "garden")).values())
    assert len(clips) > 4
    for i, clip in enumerate(clips[1:]):
        assert np.abs(clip - clips[i]).max() > 0.01
    spectra = [np.abs(np.fft.rfft(clip)) for clip in clips]
    assert all(s[40:4000].sum() > 0.8 * s.sum() for s in spectra)  # speech, not noise


@needs_espeak
def test_pronunciations():
    no, know, yes = espeak.phonemes(["no", "know", "yes"])
    assert no == know != yes


def test_an_interrupt_from_the_terminal_is_not_for_espeak(tmp_path, monkeypatch):
    program = tmp_path / "espeak-ng"
    program.write_text(f"#!{sys.executable}\nimport os\nprint(os.getsid(0))\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    (session,) = espeak.phonemes(["word"])
    assert int(session) != os.getsid(0)


def test_without_espeak(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="apt install espeak-ng"):
        make(words=("theta",))
