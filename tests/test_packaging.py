"""What is declared, pinned and promised about installing agrees."""

import importlib.metadata
import os
import pathlib
import re
import subprocess
import sys

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = pathlib.Path(__file__).resolve().parent.parent


def pins():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return {
        name.lower().replace("_", "-"): Version(version)
        for name, version in (line.split("==") for line in lines if "==" in line)
    }


def declared():
    """Requirements by extra, as `setup.py` hands them to setuptools."""
    code = (
        "import json, setuptools, runpy\n"
        "setuptools.setup = lambda **kwargs: print(json.dumps(\n"
        "    {'': kwargs['install_requires'], **kwargs['extras_require']}))\n"
        "runpy.run_path('setup.py')\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    import json

    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def requirements():
    pytest.importorskip("setuptools")
    return declared()


def test_every_requirement_has_a_tested_version(requirements):
    tested = pins()
    for text in {r for extra in requirements.values() for r in extra}:
        requirement = Requirement(text)
        version = tested[requirement.name.lower().replace("_", "-")]
        assert requirement.specifier.contains(version), text


def test_every_requirement_is_a_range(requirements):
    for text in {r for extra in requirements.values() for r in extra}:
        operators = {specifier.operator for specifier in Requirement(text).specifier}
        assert ">=" in operators, text


def test_the_runtime_needs_no_tensorflow(requirements):
    names = {Requirement(r).name for r in [*requirements[""], *requirements["runtime"]]}
    assert names == {"numpy", "ai-edge-litert"}


def test_every_requirement_has_a_reason(requirements):
    reasons = (ROOT / "docs" / "dependencies.md").read_text()
    for text in {r for extra in requirements.values() for r in extra}:
        assert f"| {Requirement(text).name} |" in reasons, text


def test_ci_calls_the_readmes_test_command():
    script = (ROOT / ".ci" / "run").read_text()
    assert "make test\n" in script
    assert re.search(r"^    make test$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_version_is_the_installed_one():
    import bifsmn_tf

    try:
        installed = importlib.metadata.version("bifsmn_tf")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("bifsmn_tf is used from the source tree, not installed")
    assert installed == bifsmn_tf.__version__
