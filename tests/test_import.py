"""Importing the package: what it loads, in which order, and what it registers."""

import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

import bifsmn_tf

ROOT = pathlib.Path(bifsmn_tf.__file__).resolve().parent.parent
MODULES = ("binarizers", "scales", "wavelets", "distillation", "layers", "models", "official",
           "optimizers", "training")


def python(code, *arguments):
    result = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT, capture_output=True, text=True,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout


def test_the_package_alone_loads_neither_tensorflow_nor_keras():
    python(
        "import sys, bifsmn_tf\n"
        "heavy = {'tensorflow', 'keras', 'torch', 'jax'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "assert bifsmn_tf.__version__"
    )


def test_the_runtime_loads_neither_tensorflow_nor_keras():
    if not (ROOT / "bifsmn_tf" / "runtime" / "__init__.py").exists():
        pytest.skip("no bifsmn_tf.runtime")
    python(
        "import sys, bifsmn_tf, bifsmn_tf.runtime\n"
        "heavy = {'tensorflow', 'keras'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )


def test_importing_keras_registers_the_classes():
    python(
        "import bifsmn_tf, keras\n"
        "for name in ('BiFSMN', 'DFSMN', 'BinaryDense', 'ThinnableDistiller', 'HED',\n"
        "             'Vanilla', 'LogMelSpectrogram'):\n"
        "    assert keras.saving.get_registered_object('bifsmn_tf>' + name), name\n"
    )


@pytest.mark.parametrize(
    "module", ["layers", *(pytest.param(m, marks=pytest.mark.slow) for m in MODULES
                           if m != "layers")]
)
def test_a_module_can_be_the_first_import(module):
    python(f"import bifsmn_tf.{module}")


def test_looking_for_keras_without_importing_it_does_not_prevent_registration():
    python(
        "import bifsmn_tf, importlib.util\n"
        "assert importlib.util.find_spec('keras')\n"
        "import keras\n"
        "assert keras.saving.get_registered_object('bifsmn_tf>BiFSMN')"
    )


def test_public_names():
    assert "ThinnableDistiller" in bifsmn_tf.__all__ and "models" in bifsmn_tf.__all__
    assert set(bifsmn_tf.__all__) <= set(dir(bifsmn_tf))
    for name in ("binarizers", "layers", "models", "distillation", "training", "official",
                 "wavelets"):
        assert getattr(bifsmn_tf, name).__name__ == f"bifsmn_tf.{name}"
    assert bifsmn_tf.ThinnableDistiller is bifsmn_tf.training.ThinnableDistiller


def test_unknown_name():
    with pytest.raises(AttributeError, match="module 'bifsmn_tf' has no attribute 'lstm'"):
        bifsmn_tf.lstm
    with pytest.raises(ImportError):
        from bifsmn_tf import lstm  # noqa: F401


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A student, a teacher, a distiller, features, and the logits of all."""
    folder = tmp_path_factory.mktemp("saved")
    sizes = {"memory_size": 8, "hidden_size": 12, "num_blocks": 4, "frontend_kernel": 3,
             "frontend_filters": (4, 6), "num_mels": 8, "num_frames": 8}
    student = bifsmn_tf.models.BiFSMN(3, **sizes, labels=["a", "b", "c"])
    teacher = bifsmn_tf.models.DFSMN(3, **sizes)
    distiller = bifsmn_tf.ThinnableDistiller(
        student, teacher, distillation=bifsmn_tf.distillation.HED()
    )
    distiller.compile("sgd")
    for name, model in (("student", student), ("teacher", teacher), ("distiller", distiller)):
        model.save(str(folder / f"{name}.keras"))
    x = (20 * np.random.default_rng(0).normal(size=(4, 8, 8, 1)) - 40).astype(np.float32)
    np.savez(
        folder / "expected.npz", x=x, teacher=teacher(x),
        **{f"student_{thin}": student(x, thin=thin) for thin in student.switches},
    )
    return folder


LOAD = """
import sys, numpy as np
folder = sys.argv[1]
expected = np.load(folder + "/expected.npz")
x = expected["x"]
student = keras.models.load_model(folder + "/student.keras")
assert student.labels == ["a", "b", "c"]
for thin in student.switches:
    np.testing.assert_allclose(student(x, thin=thin), expected[f"student_{thin}"], rtol=1e-5)
teacher = keras.models.load_model(folder + "/teacher.keras")
np.testing.assert_allclose(teacher(x), expected["teacher"], rtol=1e-5)
distiller = keras.models.load_model(folder + "/distiller.keras")
np.testing.assert_allclose(distiller(x), expected["student_1.0"], rtol=1e-5)
print("loaded")
"""


@pytest.mark.parametrize(
    "imports",
    [
        "import bifsmn_tf\nimport keras\n",
        "import keras\nimport bifsmn_tf\n",
        pytest.param("import bifsmn_tf\nfrom tensorflow import keras\n", marks=pytest.mark.slow),
    ],
)
def test_saved_models_load_in_both_import_orders(saved, imports):
    assert "loaded" in python(imports + LOAD, saved)


def test_saved_models_load_here(saved):
    assert isinstance(
        keras.models.load_model(str(saved / "student.keras")), bifsmn_tf.models.BiFSMN
    )
