"""Small made-up data sets."""

import hashlib
import pathlib

import numpy as np
import pytest
import soundfile


def speaker_of_subset(subset, number):
    """A speaker's name that the published hash rule puts into `subset`, written out anew."""
    for i in range(10_000):
        name = f"{number:03d}{i:05d}"
        share = int(hashlib.sha1(name.encode()).hexdigest(), 16) % 2**27 * 100 / (2**27 - 1)
        found = "validation" if share < 10 else "testing" if share < 20 else "training"
        if found == subset:
            return name
    raise AssertionError("no such name found")


@pytest.fixture
def write_clip():
    """Writes a sine whose frequency tells clips apart; returns its path."""

    def write(path, frequency=440.0, samples=16_000, rate=16_000, channels=1, **kwargs):
        path = pathlib.Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        wave = 0.4 * np.sin(2 * np.pi * frequency * np.arange(samples) / rate)
        soundfile.write(path, np.stack([wave] * channels, axis=1), rate, **kwargs)
        return path

    return write


@pytest.fixture
def tree(tmp_path, write_clip):
    """Makes a data set of real (sine) clips: `{subset: speakers}` of every word."""

    def make(
        words=("yes", "no", "dog", "cat"), speakers=None, noise=2, root=None, extension="wav"
    ):
        root = root or tmp_path / "commands"
        speakers = speakers or {"training": 6, "validation": 2, "testing": 2}
        frequency = 100.0
        for word in words:
            for subset, count in speakers.items():
                for number in range(count):
                    frequency += 13
                    name = f"{speaker_of_subset(subset, number)}_nohash_0.{extension}"
                    write_clip(root / word / name, frequency)
        rng = np.random.default_rng(0)
        for i in range(noise):
            (root / "_background_noise_").mkdir(exist_ok=True)
            samples = 0.3 * rng.uniform(-1, 1, 40_000)
            soundfile.write(root / "_background_noise_" / f"noise{i}.wav", samples, 16_000)
        return root

    return make
