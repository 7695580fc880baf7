"""All switches at once: one front end, the same losses, gradients and statistics."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_distillers import SWITCHES, cross_entropy, data, distiller, student

from bifsmn_tf import models
from bifsmn_tf.distillation import HED, SoftTargets


STUDENTS = pytest.mark.parametrize(
    "cls, kwargs",
    [
        (models.BiFSMN, {}),
        (models.BiFSMN, {"switch_all_bn": True}),
        (models.BiFSMNv2, {"binarizer": "lpb"}),
        (models.BiFSMNv2, {"binarizer": "lpb", "switch_all_bn": True}),
    ],
    ids=["v1", "v1-all-bn", "v2", "v2-all-bn"],
)


@STUDENTS
@pytest.mark.parametrize("training", [False, True])
def test_all_switches_at_once_are_the_switches_one_by_one(cls, kwargs, training):
    model = student(cls=cls, **kwargs)
    x, _ = data()
    together = model.call_switches(x, training=training)
    assert len(together) == len(SWITCHES)
    for switch, (logits, blocks) in zip(SWITCHES, together):
        alone, its_blocks = model(x, thin=switch, training=training, return_blocks=True)
        np.testing.assert_allclose(logits, alone, rtol=1e-6, atol=1e-6)
        assert len(blocks) == len(model.active_blocks(switch))
        for a, b in zip(blocks, its_blocks, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


def test_all_switches_at_once_run_the_front_end_once():
    model = student(switch_all_bn=True)
    calls = []
    convolve = model.conv2.call
    model.conv2.call = lambda *args, **kwargs: calls.append(1) or convolve(*args, **kwargs)
    x, y = data()
    distiller(student=model).train_on_batch(x, y)
    assert len(calls) == 1


def test_shared_front_end_updates_its_statistics_once_a_step():
    model = student()
    x, _ = data()
    convolved = np.asarray(model.conv1(x), np.float64)
    model.call_switches(x, training=True)
    np.testing.assert_allclose(
        model.norm1.moving_mean, 0.1 * convolved.mean(axis=(0, 1, 2)), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("shape", [(2, 9, 8, 1), (2, 8, 8), (2, 8, 8, 2)])
def test_all_switches_at_once_refuse_other_shapes(shape):
    with pytest.raises(ValueError, match="expects features of shape .batch, 8, 8, 1."):
        student().call_switches(np.zeros(shape, np.float32))


@STUDENTS
def test_gradient_of_the_total_is_the_sum_over_separate_switches(cls, kwargs):
    hed, soft, zero = HED(), SoftTargets(), tf.UnconnectedGradients.ZERO
    weights = (2.0, 1.0, 0.5)
    model = distiller(
        student=student(cls=cls, **kwargs), gamma=0.3, logits=soft, switch_weights=weights
    )
    x, y = data()
    variables = model.student.trainable_variables
    values = [variable.value for variable in variables]
    with tf.GradientTape() as tape:
        total = model.total_loss(model.switch_losses(x, y, training=True))
    ours = tape.gradient(total, values, unconnected_gradients=zero)

    teacher_logits, teacher_blocks = model.teacher(x, return_blocks=True)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    expected, sum_of_losses = [0.0] * len(variables), 0.0
    for switch, weight in zip(SWITCHES, weights):
        with tf.GradientTape() as tape:
            logits, blocks = model.student(x, thin=switch, training=True, return_blocks=True)
            matched = [teacher_blocks[i] for i in model.student.active_blocks(switch)]
            part = weight * (
                loss(y, logits) + 0.3 * hed(blocks, matched) + soft(logits, teacher_logits)
            )
        gradients = tape.gradient(part, values, unconnected_gradients=zero)
        expected = [a + b.numpy() for a, b in zip(expected, gradients)]
        sum_of_losses += float(part)
    np.testing.assert_allclose(total, sum_of_losses, rtol=1e-5)
    assert any(np.abs(g).max() > 1e-3 for g in expected)
    for variable, a, b in zip(variables, ours, expected):
        scale = max(np.abs(b).max(), 0.1)  # that of a bias before a normalization is rounding
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * scale, err_msg=variable.path)


def test_a_binarizer_that_adds_losses_gets_every_switch_its_own():
    model = distiller(student=student(binarizer="rad"), teacher=None, distillation=None)
    x, y = data()
    model.student.call_switches = None  # not to be used
    parts = model.switch_losses(x, y, training=True)
    added = []
    for switch, part in zip(SWITCHES, parts):
        logits = model.student(x, thin=switch, training=True)
        added.append(float(sum(model.student.losses)))
        expected = cross_entropy(logits, y).mean() + added[-1]
        np.testing.assert_allclose(part["loss"], expected, rtol=1e-5)
    assert min(added) > 0 and len(set(added)) == 3
