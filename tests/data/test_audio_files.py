"""Decoding, lengths, and files that are no recordings."""

import numpy as np
import pytest
import soundfile

from bifsmn_tf.data import BadAudioFile, SpeechCommands
from bifsmn_tf.data.acoustics import to_int16
from bifsmn_tf.data.audio_files import fix_length, read_audio, read_clip, to_float


@pytest.mark.parametrize("extension, subtype", [("wav", "PCM_16"), ("flac", "PCM_16")])
def test_lossless_formats_are_exact(tmp_path, extension, subtype):
    samples = np.random.default_rng(0).integers(-32768, 32768, 16_000).astype(np.int16)
    soundfile.write(tmp_path / f"a.{extension}", samples, 16_000, subtype=subtype)
    np.testing.assert_array_equal(read_clip(tmp_path / f"a.{extension}"), samples)


@pytest.mark.parametrize("subtype", ["PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_other_sample_formats_are_scaled(tmp_path, subtype):
    wave = 0.5 * np.sin(np.arange(16_000) * 0.1)
    soundfile.write(tmp_path / "a.wav", wave, 16_000, subtype=subtype)
    np.testing.assert_allclose(read_clip(tmp_path / "a.wav"), wave * 32768, atol=0.51)


def test_lossy_format(tmp_path, write_clip):
    clip = read_clip(write_clip(tmp_path / "a.ogg", 1000.0)).astype(float)
    spectrum = np.abs(np.fft.rfft(clip))
    assert clip.shape == (16_000,) and abs(int(spectrum.argmax()) - 1000) <= 1


def test_channels_are_averaged(tmp_path):
    stereo = np.stack([np.full(16_000, 0.5), np.full(16_000, -0.25)], axis=1)
    soundfile.write(tmp_path / "a.wav", stereo, 16_000)
    assert set(read_clip(tmp_path / "a.wav")) == {4096}


def test_length_rules(tmp_path):
    ramp = np.arange(20_000, dtype=np.int16)
    soundfile.write(tmp_path / "long.wav", ramp, 16_000)
    soundfile.write(tmp_path / "short.wav", ramp[1:101], 16_000)
    np.testing.assert_array_equal(read_clip(tmp_path / "long.wav"), ramp[:16_000])
    short = read_clip(tmp_path / "short.wav")
    np.testing.assert_array_equal(short[:100], ramp[1:101])
    assert short.shape == (16_000,) and not short[100:].any()
    np.testing.assert_array_equal(fix_length(ramp, 3), [0, 1, 2])
    assert read_audio(tmp_path / "long.wav").shape == (20_000,)


def test_16_bits_and_back():
    every = np.arange(-32768, 32768).astype(np.int16)
    np.testing.assert_array_equal(to_int16(to_float(every)), every)
    assert to_int16(np.array([1.0, 7.0, -1.0, -7.0, 1.4 / 32768])).tolist() == [
        32767, 32767, -32768, -32768, 1,
    ]  # fmt: skip


def make_bad(folder, write_clip, stem):
    """One file of every fault, by reason."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "empty file": folder / f"{stem}1_nohash_0.wav",
        "not readable as audio": folder / f"{stem}2_nohash_0.wav",
        "wrong sample rate": folder / f"{stem}3_nohash_0.wav",
        "no samples": folder / f"{stem}4_nohash_0.wav",
        "samples that are not finite": folder / f"{stem}5_nohash_0.wav",
    }
    files["empty file"].write_bytes(b"")
    files["not readable as audio"].write_bytes(b"this is no sound\n" * 50)
    write_clip(files["wrong sample rate"], rate=8000, samples=8000)
    soundfile.write(files["no samples"], np.zeros(0), 16_000)
    nan = np.full(16_000, np.nan)
    soundfile.write(files["samples that are not finite"], nan, 16_000, subtype="FLOAT")
    return files


def test_every_fault_has_its_reason(tmp_path, write_clip):
    for reason, path in make_bad(tmp_path, write_clip, "a").items():
        with pytest.raises(BadAudioFile) as caught:
            read_clip(path)
        assert caught.value.reason == reason
        assert str(path) in str(caught.value)
    with pytest.raises(BadAudioFile, match="expected 16000 Hz. Received: 8000 Hz"):
        read_clip(tmp_path / "a3_nohash_0.wav")
    with pytest.raises(BadAudioFile, match="not readable"):
        read_clip(tmp_path / "missing.wav")


def with_bad_files(root, write_clip, subset):
    """Adds one file of every fault to a subset, by way of the list files."""
    good = sorted(p for p in root.glob("yes/*.wav"))
    bad = make_bad(root / "yes", write_clip, "bad")
    lists = {"validation": [good[0]], "testing": [good[1]]}
    lists.setdefault(subset, []).extend(bad.values())
    for name in ("validation", "testing"):
        lines = "".join(f"yes/{path.name}\n" for path in lists[name])
        (root / f"{name}_list.txt").write_text(lines)
    return bad


def yes_only(root, **kwargs):
    return SpeechCommands(root, ("yes",), unknown_percentage=0, silence_percentage=0, **kwargs)


def test_training_skips_bad_files_with_one_counted_warning(tree, write_clip):
    root = tree(words=("yes",))
    with_bad_files(root, write_clip, "training")
    with pytest.warns(UserWarning) as caught:
        samples, labels = yes_only(root).waveforms("training")
    assert len(caught) == 1
    message = str(caught[0].message)
    assert message.startswith("5 unusable audio file(s)")
    assert "1 empty file (e.g. " in message and "bad3_nohash_0.wav" in message
    assert len(samples) == len(labels) == 8


@pytest.mark.parametrize("subset", ["validation", "testing"])
def test_evaluation_names_bad_files(tree, write_clip, subset):
    root = tree(words=("yes",))
    bad = with_bad_files(root, write_clip, subset)
    with pytest.raises(ValueError, match="5 unusable") as caught:
        yes_only(root).waveforms(subset)
    assert all(str(path) in str(caught.value) for path in bad.values())
    with pytest.warns(UserWarning, match="5 unusable"):
        assert len(yes_only(root, on_bad_file="skip").waveforms(subset)[0]) == 1


def test_training_can_be_strict(tree, write_clip):
    root = tree(words=("yes",))
    with_bad_files(root, write_clip, "training")
    with pytest.raises(ValueError, match="5 unusable"):
        yes_only(root, on_bad_file="error").waveforms("training")


def test_nothing_usable_is_an_error(tmp_path, write_clip):
    make_bad(tmp_path / "yes", write_clip, "bad")
    data = yes_only(tmp_path, validation_percentage=0, testing_percentage=0)
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="No usable recording"):
        data.waveforms("training")


def test_files_of_other_kinds_are_ignored_with_a_warning(tree):
    root = tree()
    (root / "yes" / "notes.txt").write_text("hello")
    (root / "yes" / ".hidden").write_text("hello")
    with pytest.warns(UserWarning, match="1 file.s. without an audio extension") as caught:
        data = SpeechCommands(root, ("yes",))
    assert len(caught) == 1 and "notes.txt" in str(caught[0].message)
    assert len(data.files("training")) == 7


def test_bad_noise_is_skipped(tree):
    root = tree(noise=2)
    (root / "_background_noise_" / "broken.wav").write_bytes(b"x" * 100)
    data = SpeechCommands(root, ("yes", "no"))
    with pytest.warns(UserWarning, match="1 unusable audio"):
        assert len(data.noise) == 2
    with pytest.raises(ValueError, match="broken.wav"):
        _ = SpeechCommands(root, ("yes", "no"), on_bad_file="error").noise


def test_cache_on_disk(tree, tmp_path, monkeypatch):
    root, cache = tree(), tmp_path / "cache"
    samples, labels = SpeechCommands(root, ("yes", "no"), cache_dir=cache).waveforms("training")
    assert not list(cache.glob("*.part"))

    def no_decoding(*_):
        raise AssertionError("decoded although cached")

    with monkeypatch.context() as patch:
        patch.setattr("bifsmn_tf.data.audio_files.read_clip", no_decoding)
        again = SpeechCommands(root, ("yes", "no"), cache_dir=cache)
        np.testing.assert_array_equal(again.waveforms("training")[0], samples)
        np.testing.assert_array_equal(again.waveforms("training")[1], labels)
        batch, _ = next(iter(again.dataset("training", augment=False, features=False)))
        assert batch.shape == samples.shape

    # A changed recording makes the cache void.
    path = SpeechCommands(root, ("yes", "no")).files("training")[0]
    soundfile.write(path, np.zeros(16_000), 16_000)
    changed, _ = SpeechCommands(root, ("yes", "no"), cache_dir=cache).waveforms("training")
    assert not changed[0].any() and samples[0].any()

    # So does a file cut short.
    for file in cache.glob("*.samples.npy"):
        file.write_bytes(file.read_bytes()[:1000])
    with pytest.warns(UserWarning, match="Damaged cache"):
        repaired, _ = SpeechCommands(root, ("yes", "no"), cache_dir=cache).waveforms("training")
    np.testing.assert_array_equal(repaired, changed)
