"""`ThinnableDistiller`: losses of the switches and their gradients."""

import numpy as np
import tensorflow as tf
from small_distillers import SWITCHES, cross_entropy, data, distiller, student

from bifsmn_tf.distillation import HED, SoftTargets
from bifsmn_tf.training import default_switch_weights


def test_default_switch_weights():
    assert default_switch_weights(3) == (1.0, 0.5, 0.25)
    assert distiller().switch_weights == (1.0, 0.5, 0.25)
    assert distiller(student=student(switches=(1.0, 0.25))).switch_weights == (1.0, 0.5)


def test_losses_of_the_switches():
    soft = SoftTargets(temperature=3.0, weight=0.7)
    model = distiller(gamma=0.3, logits=soft, switch_weights=(2.0, 1.0, 0.1))
    x, y = data()
    parts = model.switch_losses(x, y)
    teacher_logits, teacher_blocks = model.teacher(x, return_blocks=True)
    matched = {1.0: (0, 1, 2, 3), 0.5: (1, 3), 0.25: (3,)}
    total = 0.0
    for switch, weight, part in zip(SWITCHES, (2.0, 1.0, 0.1), parts, strict=True):
        logits, blocks = model.student(x, thin=switch, return_blocks=True)
        hed = HED()(blocks, [teacher_blocks[i] for i in matched[switch]])
        entropy = cross_entropy(logits, y).mean()
        np.testing.assert_allclose(part["logits"], logits, rtol=1e-5)
        np.testing.assert_allclose(part["cross_entropy"], entropy, rtol=1e-5)
        np.testing.assert_allclose(part["distillation"], hed, rtol=1e-5)
        loss = entropy + 0.3 * float(hed) + float(soft(logits, teacher_logits))
        np.testing.assert_allclose(part["loss"], loss, rtol=1e-5)
        total += weight * loss
    np.testing.assert_allclose(model.total_loss(parts), total, rtol=1e-5)


def test_without_distillation_the_loss_is_the_cross_entropy():
    model = distiller(teacher=None, distillation=None)
    x, y = data()
    for part in model.switch_losses(x, y):
        assert float(part["loss"]) == float(part["cross_entropy"])
        assert float(part["distillation"]) == 0.0


def test_no_gradient_reaches_the_teacher():
    model = distiller(logits=SoftTargets())
    x, y = data()
    variables = [v.value for v in model.teacher.weights]
    with tf.GradientTape() as tape:
        for variable in variables:
            tape.watch(variable)
        total = model.total_loss(model.switch_losses(x, y, training=True))
    assert all(g is None for g in tape.gradient(total, variables))
