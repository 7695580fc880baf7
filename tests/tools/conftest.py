"""The tools as modules, and something to train on."""

import importlib
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from tones import make_tones

_TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"


@pytest.fixture(scope="session")
def tools_dir():
    return _TOOLS


@pytest.fixture(scope="session")
def tool():
    """`tool(name, *arguments)` runs a tool in this process and returns its exit code."""
    sys.path.insert(0, str(_TOOLS))
    common = importlib.import_module("_common")

    def run(name, *arguments):
        module = importlib.import_module(name)
        return common.run(module.main, [str(argument) for argument in arguments])

    yield run
    sys.path.remove(str(_TOOLS))


@pytest.fixture(scope="session")
def tones(tmp_path_factory):
    """Folder of a tiny command set."""
    return make_tones(tmp_path_factory.mktemp("tones"))
