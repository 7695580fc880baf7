"""Something to train on, and a float network that was trained on it."""

import pytest
from small_trainings import train_teacher

from bifsmn_tf.data import SpeechCommands


@pytest.fixture(scope="session")
def data(tones):
    return SpeechCommands(tones, ["yes", "no"])


@pytest.fixture(scope="session")
def trained(data, tmp_path_factory):
    """A teacher trained without interruption, and its folder."""
    folder = tmp_path_factory.mktemp("whole")
    return train_teacher(data, folder), folder
