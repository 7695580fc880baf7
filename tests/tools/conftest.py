"""The tools as modules."""

import importlib
import pathlib
import sys

import pytest

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
