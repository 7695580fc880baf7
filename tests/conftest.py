"""Fixtures shared by all tests."""

import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest
from tones import make_tones

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent


def _shared(name):
    root = os.environ.get("BIFSMN_TF_SHARED", _REPOSITORY.parent / "shared")
    path = pathlib.Path(root) / name
    if not path.exists():
        pytest.skip(f"reference data not found: {path} (set BIFSMN_TF_SHARED)")
    return path


@pytest.fixture(scope="session")
def golden_dir():
    """Folder of the official networks' golden values."""
    return _shared("golden")


@pytest.fixture(scope="session")
def speech_commands_dir():
    """Folder of real recordings in the layout of Speech Commands."""
    return _shared("speech_commands")


@pytest.fixture(scope="session")
def reference_docs_dir():
    """Folder of the reference documents, which list the papers' figures."""
    return _shared("docs")


@pytest.fixture(scope="session")
def tones(tmp_path_factory):
    """Folder of a tiny command set."""
    return make_tones(tmp_path_factory.mktemp("tones"))
