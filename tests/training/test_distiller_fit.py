"""`ThinnableDistiller` in Keras: fit, evaluate, predict, metrics, callbacks and learning."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_distillers import (
    SHORT,
    SWITCHES,
    assert_equal_snapshots,
    cross_entropy,
    data,
    distiller,
    snapshot,
    student,
    teacher,
)

from bifsmn_tf import models
from bifsmn_tf.distillation import AttentionTransfer, SoftTargets


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """Two epochs of three batches, the last one partial, with the usual callbacks."""
    folder = tmp_path_factory.mktemp("fit")
    model = distiller(compiled=False, logits=SoftTargets(weight=0.5))
    before = snapshot(model.teacher), snapshot(model.student)
    model.compile(keras.optimizers.Adam(1e-3), run_eagerly=True)
    x, y = data()
    callbacks = [
        keras.callbacks.ModelCheckpoint(
            str(folder / "best.weights.h5"), monitor="val_accuracy_1.0", mode="max",
            save_best_only=True, save_weights_only=True,
        ),
        keras.callbacks.ModelCheckpoint(
            str(folder / "best.keras"), monitor="val_accuracy_1.0", mode="max",
            save_best_only=True,
        ),
        keras.callbacks.EarlyStopping(
            monitor="val_accuracy_0.25", mode="max", min_delta=10.0, patience=1
        ),
    ]
    history = model.fit(
        x, y, batch_size=4, epochs=6, validation_data=data(7, seed=1), callbacks=callbacks,
        verbose=0,
    ).history
    return {"model": model, "history": history, "folder": folder, "before": before}


def test_history(fitted):
    names = {"loss"} | {
        f"{part}_{switch}" for switch in SWITCHES
        for part in ("accuracy", "cross_entropy", "distillation", "loss")
    }
    history = fitted["history"]
    assert set(history) == names | {f"val_{name}" for name in names}
    assert np.isfinite([history[name] for name in history]).all()


def test_early_stopping_saw_its_metric(fitted):
    assert len(fitted["history"]["loss"]) == 2


def test_checkpoints_were_written(fitted):
    history = fitted["history"]["val_accuracy_1.0"]
    best = keras.models.load_model(str(fitted["folder"] / "best.keras"))
    best.run_eagerly = True
    result = best.evaluate(*data(7, seed=1), verbose=0, return_dict=True)
    np.testing.assert_allclose(result["accuracy_1.0"], max(history), rtol=1e-6)
    other = distiller(logits=SoftTargets(weight=0.5))
    other.load_weights(str(fitted["folder"] / "best.weights.h5"))
    assert_equal_snapshots(snapshot(other.student), snapshot(best.student))


def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboard")
    model = distiller()
    callback = keras.callbacks.TensorBoard(str(tmp_path), write_graph=False)
    x, y = data(4)
    model.fit(x, y, validation_data=(x, y), callbacks=[callback], verbose=0)
    text = b"".join(path.read_bytes() for path in tmp_path.rglob("events.*"))
    for switch in SWITCHES:
        assert f"epoch_accuracy_{switch}".encode() in text


def test_losses_in_the_history_add_up(fitted):
    history = fitted["history"]
    for prefix in ("", "val_"):
        parts = [np.array(history[f"{prefix}loss_{switch}"]) for switch in SWITCHES]
        total = parts[0] + 0.5 * parts[1] + 0.25 * parts[2]
        np.testing.assert_allclose(history[f"{prefix}loss"], total, rtol=1e-5)


def test_the_teacher_is_frozen_and_unchanged(fitted):
    model, (before, student_before) = fitted["model"], fitted["before"]
    assert not model.teacher.trainable
    for path, value in snapshot(model.teacher).items():
        np.testing.assert_array_equal(value, before[path])
    moved = [
        path for path, value in snapshot(model.student).items()
        if not np.array_equal(value, student_before[path])
    ]
    assert len(moved) > 0.8 * (len(student_before) - 6 * 3)


class CountingTeacher(models.DFSMN):
    """Counts its executions in graphs, and those in training mode."""

    def call(self, inputs, thin=1.0, training=None, return_blocks=False):
        COUNTS.assign_add([1, int(bool(training))])
        return super().call(inputs, thin, training, return_blocks)


COUNTS = tf.Variable([0, 0])


def test_the_teacher_runs_once_per_batch_in_inference_mode():
    model = distiller(teacher=teacher(cls=CountingTeacher), logits=SoftTargets())
    x, y = data(10)
    model.fit(x[:4], y[:4], verbose=0)
    COUNTS.assign([0, 0])
    model.fit(x, y, batch_size=4, epochs=2, verbose=0)
    np.testing.assert_array_equal(COUNTS, [6, 0])
    model.evaluate(x, y, batch_size=5, verbose=0)
    COUNTS.assign([0, 0])
    model.evaluate(x, y, batch_size=5, verbose=0)
    np.testing.assert_array_equal(COUNTS, [2, 0])
    model.predict(x, verbose=0)
    np.testing.assert_array_equal(COUNTS, [2, 0])


def test_a_teacher_without_distillation_is_not_run():
    model = distiller(teacher=teacher(cls=CountingTeacher), distillation=None)
    COUNTS.assign([0, 0])
    model.evaluate(*data(4), verbose=0)
    np.testing.assert_array_equal(COUNTS, [0, 0])


def test_evaluate_averages_per_sample():
    model = distiller(gamma=0.5)
    x, y = data(5)
    result = model.evaluate(x, y, batch_size=2, verbose=0, return_dict=True)
    batches = [model.switch_losses(x[i : i + 2], y[i : i + 2]) for i in (0, 2, 4)]
    sizes = np.array([2, 2, 1]) / 5
    for index, switch in enumerate(SWITCHES):
        logits = np.asarray(model.student(x, thin=switch))
        entropy = cross_entropy(logits, y).mean()
        np.testing.assert_allclose(result[f"cross_entropy_{switch}"], entropy, rtol=1e-5)
        accuracy = (logits.argmax(axis=-1) == y).mean()
        np.testing.assert_allclose(result[f"accuracy_{switch}"], accuracy, rtol=1e-6)
        for part in ("distillation", "loss"):
            values = [float(batch[index][part]) for batch in batches]
            np.testing.assert_allclose(result[f"{part}_{switch}"], sizes @ values, rtol=1e-5)
    total = sizes @ [float(model.total_loss(batch)) for batch in batches]
    np.testing.assert_allclose(result["loss"], total, rtol=1e-5)


def test_fit_averages_per_sample_over_a_partial_batch():
    model = distiller(compiled=False)
    model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    x, y = data(5)
    expected = [
        float(model.total_loss(model.switch_losses(x[part], y[part], training=True)))
        for part in (slice(0, 3), slice(3, 5))
    ]
    history = model.fit(x, y, batch_size=3, shuffle=False, verbose=0).history
    np.testing.assert_allclose(history["loss"], [(3 * expected[0] + 2 * expected[1]) / 5],
                               rtol=1e-5)


def test_one_step_is_one_gradient_step_on_the_weighted_sum():
    model = distiller(compiled=False, gamma=0.2)
    model.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
    twin = distiller(gamma=0.2)
    x, y = data(6)
    model.train_on_batch(x, y)
    with tf.GradientTape() as tape:
        total = twin.total_loss(twin.switch_losses(x, y, training=True))
    variables = twin.student.trainable_variables
    for variable, gradient in zip(variables, tape.gradient(total, variables)):
        if gradient is not None:
            variable.assign_sub(0.1 * gradient)
    assert int(model.optimizer.iterations) == 1
    assert_equal_snapshots(snapshot(model.student), snapshot(twin.student), rtol=1e-4, atol=1e-5)


def test_sample_weights():
    model = distiller(gamma=0.5)
    x, y = data(6)
    weights = np.array([2.0, 0.0, 1.0, 0.5, 0.0, 3.0], np.float32)
    result = model.evaluate(
        x, y, sample_weight=weights, batch_size=6, verbose=0, return_dict=True
    )
    plain = model.evaluate(x, y, batch_size=6, verbose=0, return_dict=True)
    for switch in SWITCHES:
        logits = np.asarray(model.student(x, thin=switch))
        entropy = (weights * cross_entropy(logits, y)).sum() / 6
        np.testing.assert_allclose(result[f"cross_entropy_{switch}"], entropy, rtol=1e-5)
        accuracy = (weights * (logits.argmax(axis=-1) == y)).sum() / weights.sum()
        np.testing.assert_allclose(result[f"accuracy_{switch}"], accuracy, rtol=1e-5)
        name = f"distillation_{switch}"
        np.testing.assert_allclose(result[name], plain[name], rtol=1e-5)


def test_class_weights_are_sample_weights():
    x, y = data(6)
    histories = []
    for arguments in (
        {"class_weight": {0: 1.0, 1: 2.0, 2: 0.0}},
        {"sample_weight": np.array([1.0, 2.0, 0.0])[y]},
    ):
        model = distiller()
        histories.append(model.fit(x, y, shuffle=False, verbose=0, **arguments).history)
    np.testing.assert_allclose(histories[0]["loss"], histories[1]["loss"], rtol=1e-6)


def test_categorical_labels():
    x, y = data(6)
    expected = distiller().evaluate(x, y, verbose=0, return_dict=True)
    model = distiller(compiled=False)
    model.compile(
        "sgd", keras.losses.CategoricalCrossentropy(from_logits=True), run_eagerly=True
    )
    result = model.evaluate(x, np.eye(3)[y], verbose=0, return_dict=True)
    assert set(result) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(result[name], value, rtol=1e-5)


def test_other_metrics_exist_per_switch():
    model = distiller(compiled=False)
    model.compile(
        "sgd",
        metrics=["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(k=2, name="top2")],
        run_eagerly=True,
    )
    x, y = data(6)
    result = model.evaluate(x, y, verbose=0, return_dict=True)
    for switch in SWITCHES:
        order = np.argsort(-np.asarray(model.student(x, thin=switch)), axis=-1)[:, :2]
        expected = (order == y[:, None]).any(axis=-1).mean()
        np.testing.assert_allclose(result[f"top2_{switch}"], expected, rtol=1e-6)
        assert f"accuracy_{switch}" in result


def test_no_metrics():
    model = distiller(compiled=False)
    model.compile("sgd", metrics=None, run_eagerly=True)
    names = model.evaluate(*data(4), verbose=0, return_dict=True)
    assert not any(name.startswith("accuracy") for name in names)


@pytest.mark.parametrize("metric", ["sparse_categorical_accuracy", "SparseCategoricalAccuracy",
                                    keras.metrics.sparse_categorical_accuracy])
def test_metrics_by_name_or_function(metric):
    model = distiller(compiled=False)
    model.compile("sgd", metrics=[metric], run_eagerly=True)
    x, y = data(6)
    result = model.evaluate(x, y, verbose=0, return_dict=True)
    logits = np.asarray(model.student(x, thin=0.5))
    (name,) = [n for n in result if "categorical_accuracy" in n and n.endswith("_0.5")]
    np.testing.assert_allclose(result[name], (logits.argmax(axis=-1) == y).mean(), rtol=1e-6)


def test_a_function_as_loss():
    def loss(labels, logits):
        return keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)

    model = distiller(compiled=False)
    model.compile("sgd", loss, run_eagerly=True)
    x, y = data(6)
    expected = distiller().evaluate(x, y, verbose=0, return_dict=True)
    result = model.evaluate(x, y, verbose=0, return_dict=True)
    np.testing.assert_allclose(result["loss"], expected["loss"], rtol=1e-5)


def test_predict_and_call():
    model = distiller()
    x, _ = data(5)
    np.testing.assert_allclose(model.predict(x, batch_size=2, verbose=0), model.student(x),
                               rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(model(x, thin=0.5), model.student(x, thin=0.5))


def test_a_dataset_as_input():
    model = distiller()
    x, y = data(9)
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(4)
    history = model.fit(dataset, validation_data=dataset, epochs=1, verbose=0).history
    assert np.isfinite(history["val_loss"]).all()


@pytest.mark.slow
def test_jit_compilation_gives_the_same_losses():
    x, y = data(8)
    histories = []
    for jit_compile in (False, True):
        model = distiller(
            compiled=False, student=student(**SHORT), teacher=teacher(num_blocks=2)
        )
        model.compile(keras.optimizers.SGD(0.01), jit_compile=jit_compile)
        histories.append(
            model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0).history
        )
    assert set(histories[0]) == set(histories[1])
    for name, values in histories[0].items():
        np.testing.assert_allclose(histories[1][name], values, rtol=2e-3, err_msg=name)


def test_a_tiny_batch_is_learnt_at_every_switch():
    model = distiller(compiled=False, student=student(**SHORT), teacher=None,
                      distillation=None)
    model.compile(keras.optimizers.Adam(1e-2))
    x, y = data(18, seed=5)
    start = model.evaluate(x, y, verbose=0, return_dict=True)
    history = model.fit(x, y, batch_size=18, epochs=150, verbose=0).history
    for switch in (1.0, 0.5):
        assert start[f"accuracy_{switch}"] < 0.7
        assert history[f"cross_entropy_{switch}"][-1] < 0.25 * start[f"cross_entropy_{switch}"]
        assert history[f"accuracy_{switch}"][-1] == 1.0


@pytest.mark.slow
def test_distillation_brings_the_hidden_states_closer():
    model = distiller(compiled=False, student=student(**SHORT), teacher=teacher(num_blocks=2),
                      distillation=AttentionTransfer(), gamma=1.0)
    model.compile(keras.optimizers.Adam(1e-2))
    x, y = data(16)
    history = model.fit(x, y, batch_size=16, epochs=60, verbose=0).history
    for switch in (1.0, 0.5):
        values = history[f"distillation_{switch}"]
        assert values[-1] < 0.8 * values[0]
