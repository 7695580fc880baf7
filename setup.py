"""Packaging of bifsmn_tf. Why each dependency: docs/dependencies.md."""

import os
import pathlib
import platform
import re

from setuptools import find_packages, setup

ROOT = pathlib.Path(__file__).resolve().parent
VERSION = re.search(
    r'^__version__ = "(.+)"$', (ROOT / "bifsmn_tf" / "__init__.py").read_text(), re.MULTILINE
)[1]

# The machine a wheel is made for.
MACHINE = os.environ.get("BIFSMN_TF_MACHINE", platform.machine())

RUNTIME = ["ai-edge-litert>=1.4,<3"]
TRAIN = [
    "tensorflow>=2.21,<2.22",
    "keras>=3.12,<4",
    "tensorflow-io>=0.37.1,<0.38; python_version < '3.13'",
    "pywavelets>=1.6,<2",
    "keras-tuner[bayesian]>=1.4.7,<2",
    "soundfile>=0.12,<1",
    "matplotlib>=3.8,<4",
    "tqdm>=4.66,<5",
    "tensorboard>=2.19,<3",
]
TEST = ["pytest>=8,<10"]

setup(
    name="bifsmn_tf",
    version=VERSION,
    description="1-bit keyword spotting: BiFSMN on Keras, and in the TFLite interpreter",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    packages=find_packages(include=["bifsmn_tf", "bifsmn_tf.*"]),
    # The op library, where it has been built: see `make wheel-aarch64`.
    package_data={
        "bifsmn_tf.runtime": [f"lib/linux_{MACHINE}/libbifsmn_ops.so"],
        "bifsmn_tf.pretrained": ["*.keras", "*.tflite", "*.md"],
    },
    python_requires=">=3.10",
    install_requires=["numpy>=1.24"],
    extras_require={
        "runtime": RUNTIME,
        "train": TRAIN,
        "test": TEST + RUNTIME + TRAIN,
    },
)
