"""The command set spoken by espeak-ng."""

import hashlib
import shutil

import numpy as np
import pytest
import soundfile

from bifsmn_tf.data import SpeechCommands, make_synthetic
from bifsmn_tf.data.splits import SUBSETS, which_subset

needs_espeak = pytest.mark.skipif(
    shutil.which("espeak-ng") is None, reason="espeak-ng is not installed"
)
SMALL = {
    "words": ("yes", "no"),
    "other_words": ("dog", "cat", "tree"),
    "clips_per_word": 20,
    "other_clips_per_word": 10,
}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed")
    return make_synthetic(tmp_path_factory.mktemp("synthetic") / "set", **SMALL)


def contents(root):
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


def test_layout_and_counts(small):
    data = SpeechCommands(small, ("yes", "no"))
    counts = {word: len(list((small / word).iterdir())) for word in SMALL["words"]}
    assert counts == {"yes": 20, "no": 20}
    assert len(list((small / "tree").iterdir())) == 10
    assert [len(data.files(s)) for s in SUBSETS] == [32 + 4, 4 + 1, 4 + 1]
    assert data.class_counts("testing") == {"_silence_": 1, "_unknown_": 1, "yes": 2, "no": 2}
    assert len(data.noise) == 5
    for noise in data.noise:
        assert noise.shape == (320_000,) and 0.05 < np.sqrt(np.mean(noise**2)) < 0.2


def test_clips_are_one_second_of_sound(small):
    for path in [*small.glob("yes/*.wav"), *small.glob("dog/*.wav")]:
        info = soundfile.info(path)
        assert (info.samplerate, info.frames, info.channels) == (16_000, 16_000, 1)
        assert info.subtype == "PCM_16"
    samples, _ = SpeechCommands(small, ("yes", "no")).waveforms("training")
    peaks = np.abs(samples[: 32 + 4]).max(axis=1)
    assert peaks.min() > 0.09 and peaks.max() < 0.91
    assert len(np.unique(samples[:36], axis=0)) == 36


def test_lists_agree_with_the_hash_rule_and_keep_speakers_apart(small):
    listed = {s: (small / f"{s}_list.txt").read_text().split() for s in SUBSETS[1:]}
    for path in small.glob("[a-z]*/*.wav"):
        name = f"{path.parent.name}/{path.name}"
        by_list = next((s for s in listed if name in listed[s]), "training")
        assert by_list == which_subset(name)
        speaker, take = path.stem.split("_nohash_")
        assert len(speaker) == 8 and int(speaker, 16) >= 0 and int(take) >= 0


def test_same_seed_same_files_whatever_the_workers(small, tmp_path):
    again = make_synthetic(tmp_path / "again", **SMALL, workers=1)
    assert contents(again) == contents(small)
    few = {"words": ("yes", "no"), "other_words": (), "clips_per_word": 5}
    other = make_synthetic(tmp_path / "other", **few, seed=1)
    assert not set(contents(other).values()) & {
        digest for name, digest in contents(small).items() if name.endswith(".wav")
    }


def test_an_existing_set_is_left_alone(small, monkeypatch):
    def no_speech(*_, **__):
        raise AssertionError("spoke although the set is there")

    monkeypatch.setattr("bifsmn_tf.data.espeak.speak", no_speech)
    before = contents(small)
    assert make_synthetic(small, **SMALL) == small
    with pytest.raises(FileExistsError, match="different clips_per_word"):
        make_synthetic(small, **{**SMALL, "clips_per_word": 30})
    assert contents(small) == before


@needs_espeak
def test_overwrite_replaces_only_sets_of_ours(tmp_path):
    tiny = {"words": ["yes"], "other_words": [], "clips_per_word": 5}
    root = make_synthetic(tmp_path / "set", **tiny)
    make_synthetic(root, **{**tiny, "words": ["no"]}, overwrite=True)
    assert (root / "no").is_dir() and not (root / "yes").exists()
    data = SpeechCommands(root, ("no",), unknown_percentage=0)
    assert [data.class_counts(s)["no"] for s in SUBSETS] == [3, 1, 1]

    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "precious.txt").write_text("x")
    with pytest.raises(FileExistsError, match="holds something else"):
        make_synthetic(mine, **tiny, overwrite=True)
    assert (mine / "precious.txt").read_text() == "x"


@needs_espeak
def test_a_failed_run_leaves_nothing(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("no sound")

    monkeypatch.setattr("bifsmn_tf.data.espeak.speak", fail)
    with pytest.raises(RuntimeError, match="no sound"):
        make_synthetic(tmp_path / "set", **SMALL)
    assert not list(tmp_path.iterdir())


def test_without_espeak(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="apt install espeak-ng"):
        make_synthetic(tmp_path / "set")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "kwargs, message",
    [
        ({"clips_per_word": 4}, "Received: 4"),
        ({"other_clips_per_word": 2.5}, "Received: 2.5"),
        ({"words": ["yes", "dog"], "other_words": ["dog"]}, "Received: dog"),
        ({"words": ["a/b"]}, "Received: a/b"),
        ({"words": ["yes", "yes"]}, "more than once"),
    ],
)
def test_bad_arguments(tmp_path, kwargs, message):
    with pytest.raises(ValueError, match=message):
        make_synthetic(tmp_path / "set", **kwargs)
