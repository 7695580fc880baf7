"""`ThinnableDistiller`: saving and resuming."""

import json

import keras
import numpy as np
import pytest
from small_distillers import assert_equal_snapshots, data, distiller, snapshot, student

from bifsmn_tf.distillation import HED, SoftTargets
from bifsmn_tf.models.variables import variables_by_path


def test_saving_and_continuing(tmp_path):
    model = distiller(gamma=0.02, logits=SoftTargets(temperature=3.0), switch_weights=(1, 2, 3))
    x, y = data(8)
    model.fit(x, y, batch_size=4, shuffle=False, verbose=0)
    path = str(tmp_path / "distiller.keras")
    model.save(path)
    loaded = keras.models.load_model(path)
    assert json.dumps(loaded.get_config()) == json.dumps(model.get_config())
    assert (loaded.gamma, loaded.switch_weights) == (0.02, (1, 2, 3))
    assert isinstance(loaded.distillation, HED) and loaded.logits.temperature == 3.0
    assert_equal_snapshots(snapshot(loaded.student), snapshot(model.student))
    assert_equal_snapshots(snapshot(loaded.teacher), snapshot(model.teacher))
    assert not loaded.teacher.trainable
    assert len(loaded.optimizer.variables) == len(model.optimizer.variables)
    for ours, theirs in zip(loaded.optimizer.variables, model.optimizer.variables):
        np.testing.assert_array_equal(ours, theirs)
    assert int(loaded.optimizer.iterations) == 2
    loaded.run_eagerly = True
    ours = model.fit(x, y, batch_size=4, shuffle=False, verbose=0).history
    theirs = loaded.fit(x, y, batch_size=4, shuffle=False, verbose=0).history
    assert set(ours) == set(theirs)
    for name, values in ours.items():
        np.testing.assert_allclose(theirs[name], values, rtol=1e-5, err_msg=name)
    assert_equal_snapshots(snapshot(loaded.student), snapshot(model.student), rtol=1e-4, atol=1e-6)


def test_the_student_can_be_saved_from_a_loaded_distiller(tmp_path):
    model = distiller(teacher=None, distillation=None)
    model.save(str(tmp_path / "distiller.keras"))
    loaded = keras.models.load_model(str(tmp_path / "distiller.keras"))
    assert set(variables_by_path(loaded.student)) == set(variables_by_path(model.student))
    loaded.student.save(str(tmp_path / "student.keras"))
    x, _ = data(4)
    np.testing.assert_array_equal(
        keras.models.load_model(str(tmp_path / "student.keras"))(x, thin=0.25),
        model.student(x, thin=0.25),
    )


def test_compile_configuration_survives(tmp_path):
    model = distiller(compiled=False)
    model.compile(
        keras.optimizers.Adam(3e-4),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(k=2, name="top2")],
        run_eagerly=True,
    )
    x, y = data(6)
    expected = model.evaluate(x, y, verbose=0, return_dict=True)
    model.save(str(tmp_path / "distiller.keras"))
    loaded = keras.models.load_model(str(tmp_path / "distiller.keras"))
    assert type(loaded.optimizer).__name__ == "Adam"
    np.testing.assert_allclose(loaded.optimizer.learning_rate, 3e-4, rtol=1e-6)
    loaded.run_eagerly = True
    result = loaded.evaluate(x, y, verbose=0, return_dict=True)
    assert set(result) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(result[name], value, rtol=1e-5)


@pytest.mark.slow
def test_an_interrupted_training_resumes(tmp_path):
    x, y = data(8)

    class Interrupt(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    def fit(model, *callbacks):
        return model.fit(
            x, y, batch_size=8, epochs=4, shuffle=False, verbose=0, callbacks=list(callbacks)
        )

    whole = distiller()
    history = fit(whole).history["loss"]
    backup = str(tmp_path / "backup")
    with pytest.raises(KeyboardInterrupt):
        fit(distiller(), keras.callbacks.BackupAndRestore(backup), Interrupt())
    resumed = distiller(student=student(seed=9))
    rest = fit(resumed, keras.callbacks.BackupAndRestore(backup))
    assert rest.epoch == [2, 3]
    np.testing.assert_allclose(rest.history["loss"], history[2:], rtol=1e-4)
    assert_equal_snapshots(snapshot(resumed.student), snapshot(whole.student),
                           rtol=1e-3, atol=1e-5)
