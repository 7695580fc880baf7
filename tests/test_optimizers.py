"""Optimizers: factors of rate and decay per variable, in closed form; saving; constraints."""

import composition
import keras
import numpy as np
import pytest
import tensorflow as tf

from bifsmn_tf import ThinnableDistiller, models, optimizers

GRADIENTS = (1.0, -0.5, 0.25)


def variable(value=2.0, rate=None, decay=None):
    """A variable with multipliers; None leaves the attribute out."""
    result = keras.Variable(value)
    if rate is not None:
        result.learning_rate_multiplier = rate
    if decay is not None:
        result.weight_decay_multiplier = decay
    return result


def apply(optimizer, *variables, gradients=GRADIENTS):
    """Steps with the same gradients for all variables; returns their values after each step."""
    optimizer.build(variables)
    values = []
    for gradient in gradients:
        optimizer.apply([tf.constant(gradient)] * len(variables), list(variables))
        values.append([float(v) for v in variables])
    return np.array(values).T


def sgd_by_hand(rate, momentum=0.0, nesterov=False, coupled=0.0, decoupled=0.0):
    w, v, values = 2.0, 0.0, []
    for g in GRADIENTS:
        g = g + coupled * w
        w -= rate * decoupled * w
        v = momentum * v - rate * g
        w += momentum * v - rate * g if nesterov else v
        values.append(w)
    return values


def adam_by_hand(rate, decoupled=0.0):
    w, m, s, values = 2.0, 0.0, 0.0, []
    for t, g in enumerate(GRADIENTS, 1):
        w -= rate * decoupled * w
        m = 0.9 * m + 0.1 * g
        s = 0.999 * s + 0.001 * g * g
        w -= rate * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (np.sqrt(s) + 1e-7)
        values.append(w)
    return values


@pytest.mark.parametrize("nesterov", [False, True])
def test_coupled_decay(nesterov):
    optimizer = optimizers.SGDWithCoupledDecay(0.1, 0.9, nesterov, coupled_decay=0.5)
    plain, slow, free, both = apply(
        optimizer, variable(), variable(rate=0.1), variable(decay=0.0), variable(2.0, 0.2, 3.0)
    )
    hand = {"momentum": 0.9, "nesterov": nesterov}
    np.testing.assert_allclose(plain, sgd_by_hand(0.1, coupled=0.5, **hand), rtol=1e-5)
    np.testing.assert_allclose(slow, sgd_by_hand(0.01, coupled=0.5, **hand), rtol=1e-5)
    np.testing.assert_allclose(free, sgd_by_hand(0.1, coupled=0.0, **hand), rtol=1e-5)
    np.testing.assert_allclose(both, sgd_by_hand(0.02, coupled=1.5, **hand), rtol=1e-5)


def test_adam():
    plain, slow = apply(optimizers.Adam(0.1), variable(), variable(rate=0.1))
    np.testing.assert_allclose(plain, adam_by_hand(0.1), rtol=1e-5)
    np.testing.assert_allclose(slow, adam_by_hand(0.01), rtol=1e-5)
    (theirs,) = apply(keras.optimizers.Adam(0.1), variable())
    np.testing.assert_array_equal(plain, theirs)


@pytest.mark.parametrize(
    "make, by_hand",
    [(lambda: optimizers.AdamW(0.1, weight_decay=0.3), adam_by_hand),
     (lambda: optimizers.Adam(0.1, weight_decay=0.3), adam_by_hand),
     (lambda: optimizers.SGDWithCoupledDecay(0.1, weight_decay=0.3), sgd_by_hand)],
)
def test_decoupled_decay(make, by_hand):
    plain, slow, free, both = apply(
        make(), variable(), variable(rate=0.1), variable(decay=0.0), variable(2.0, 0.2, 3.0)
    )
    np.testing.assert_allclose(plain, by_hand(0.1, decoupled=0.3), rtol=1e-5)
    np.testing.assert_allclose(slow, by_hand(0.01, decoupled=0.3), rtol=1e-5)
    np.testing.assert_allclose(free, by_hand(0.1), rtol=1e-5)
    np.testing.assert_allclose(both, by_hand(0.02, decoupled=0.9), rtol=1e-5)


def test_without_multipliers_adamw_is_keras_adamw():
    ours = apply(optimizers.AdamW(0.1, weight_decay=0.3), variable())
    theirs = apply(keras.optimizers.AdamW(0.1, weight_decay=0.3), variable())
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_excluded_variables_do_not_decay():
    optimizer = optimizers.AdamW(0.1, weight_decay=0.3)
    kept = variable()
    optimizer.exclude_from_weight_decay(var_list=[kept])
    (values,) = apply(optimizer, kept)
    np.testing.assert_allclose(values, adam_by_hand(0.1), rtol=1e-5)


def test_a_schedule_is_scaled_too():
    schedule = optimizers.CosineSchedule(0.2, total_steps=3)
    optimizer = optimizers.SGDWithCoupledDecay(schedule)
    (values,) = apply(optimizer, variable(rate=0.5), gradients=(1.0, 1.0, 1.0))
    rates = [0.1 * 0.5 * (1 + np.cos(np.pi * t / 3)) for t in range(3)]
    np.testing.assert_allclose(values, 2.0 - np.cumsum(rates), rtol=1e-6)


def test_another_optimizer_with_the_mixin():
    class Lion(optimizers.VariableMultipliers, keras.optimizers.Lion):
        pass

    plain, slow = apply(Lion(0.1), variable(), variable(rate=0.1), gradients=(1.0,))
    np.testing.assert_allclose([plain[0], slow[0]], [1.9, 1.99], rtol=1e-6)


@pytest.mark.parametrize("make", [optimizers.Adam, optimizers.SGDWithCoupledDecay])
def test_constraints_are_applied(make):
    limited = variable(1.0, rate=0.5)
    limited.constraint = keras.constraints.NonNeg()
    (values,) = apply(make(4.0), limited, gradients=(1.0, 1.0))
    np.testing.assert_array_equal(values, [0.0, 0.0])


def test_in_a_compiled_graph():
    v = variable(rate=0.1)
    optimizer = optimizers.Adam(0.1)
    optimizer.build([v])

    @tf.function(jit_compile=True)
    def step(gradient):
        optimizer.apply([gradient], [v])

    for gradient in GRADIENTS:
        step(tf.constant(gradient))
    np.testing.assert_allclose(float(v), adam_by_hand(0.01)[-1], rtol=1e-5)


@pytest.mark.parametrize(
    "optimizer",
    [optimizers.Adam(0.1), optimizers.AdamW(0.1, weight_decay=0.3),
     optimizers.SGDWithCoupledDecay(0.1, 0.9, coupled_decay=0.5)],
)
def test_a_restored_optimizer_goes_on(optimizer):
    v = variable(rate=0.1, decay=0.0)
    apply(optimizer, v)
    config = keras.saving.serialize_keras_object(optimizer)
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is type(optimizer) and again.get_config() == optimizer.get_config()
    twin = variable(float(v), rate=0.1, decay=0.0)
    again.build([twin])
    again.load_own_variables(
        {str(i): np.asarray(value) for i, value in enumerate(optimizer.variables)}
    )
    for gradient in (0.5, -2.0):
        optimizer.apply([tf.constant(gradient)], [v])
        again.apply([tf.constant(gradient)], [twin])
    assert float(v) == float(twin)


def test_a_loaded_distiller_keeps_the_rates_of_its_variables(tmp_path):
    model = ThinnableDistiller(composition.student("lpb", "fixed"))
    model.compile(optimizers.SGDWithCoupledDecay(0.01, 0.9, coupled_decay=0.1), run_eagerly=True)
    model.train_on_batch(*composition.batch())
    model.save(tmp_path / "distiller.keras")
    loaded = keras.saving.load_model(tmp_path / "distiller.keras")
    loaded.run_eagerly = True
    for either in (model, loaded):
        either.train_on_batch(*composition.batch(seed=1))
    for ours, theirs in zip(loaded.student.weights, model.student.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6, err_msg=ours.path)


@pytest.mark.parametrize("name, cls", [("adam", optimizers.Adam), ("AdamW", optimizers.AdamW),
                                       ("sgd", optimizers.SGDWithCoupledDecay),
                                       ("rmsprop", keras.optimizers.RMSprop)])
def test_by_name(name, cls):
    assert type(optimizers.get(name)) is cls


def test_the_distiller_prefers_these():
    student = models.BiFSMN(3, variant="S", num_blocks=1, switches=(1.0,))
    distiller = ThinnableDistiller(student)
    distiller.compile()
    assert type(distiller.optimizer) is optimizers.Adam
    theirs = keras.optimizers.Adam()
    distiller.compile(theirs)
    assert distiller.optimizer is theirs


def test_unknown_name():
    with pytest.raises(ValueError, match="hope"):
        optimizers.get("hope")


def test_cosine_schedule_closed_form():
    schedule = optimizers.CosineSchedule(2.0, total_steps=100)
    for step, expected in ((0, 2.0), (25, 1 + np.cos(np.pi / 4)), (50, 1.0), (100, 0.0), (120, 0)):
        assert float(schedule(step)) == pytest.approx(expected, abs=1e-6)


def test_cosine_schedule_per_epoch_is_constant_within_an_epoch():
    schedule = optimizers.CosineSchedule(1.0, total_steps=40, steps_per_epoch=10)
    assert float(schedule(10)) == float(schedule(19))
    assert float(schedule(20)) == pytest.approx(0.5)


def test_cosine_schedule_warms_up():
    schedule = optimizers.CosineSchedule(1.0, total_steps=110, warmup_steps=10)
    assert [float(schedule(s)) for s in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0])
    assert float(schedule(60)) == pytest.approx(0.5)
    again = optimizers.CosineSchedule.from_config(schedule.get_config())
    assert float(again(33)) == float(schedule(33))


@pytest.mark.parametrize("bad", [{"learning_rate": 0}, {"total_steps": 0}, {"warmup_steps": 11}])
def test_cosine_schedule_rejects(bad):
    with pytest.raises(ValueError, match="Received"):
        optimizers.CosineSchedule(**{"learning_rate": 1.0, "total_steps": 10, **bad})
