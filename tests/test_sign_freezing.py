"""Weights that keep changing their sign: which are frozen, when, where, and for good."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from bifsmn_tf import ThinnableDistiller, binarizers, models
from bifsmn_tf.layers import BinaryDense
from bifsmn_tf.layers.binarized import binarized_layers
from bifsmn_tf.sign_freezing import SignFreezing

TINY = {
    "memory_size": 8, "hidden_size": 12, "num_blocks": 2, "switches": (1.0, 0.5),
    "frontend_kernel": 3, "frontend_filters": (4, 6), "num_mels": 8, "num_frames": 8,
}
WITHOUT = {"dorefa", "ir_net"}  # weights of all sizes get a gradient
STEPS = 16


def dense(binarizer="vanilla", shape=(3, 2)):
    layer = BinaryDense(shape[1], binarizer=binarizer)
    layer.build((None, shape[0]))
    return layer


def started(layer, steps=STEPS, epochs=10, **kwargs):
    """The callback in front of a training of one layer."""
    callback = SignFreezing(**kwargs)
    callback.set_model(keras.Sequential([keras.Input((layer.kernel.shape[0],)), layer]))
    callback.set_params({"epochs": epochs, "steps": steps})
    callback.on_train_begin()
    return callback


def epoch_of(callback, layer, kernels, epoch=0):
    """Plays an epoch in which the kernel takes these values, one per step; yields what it left."""
    callback.on_epoch_begin(epoch)
    for batch, kernel in enumerate(kernels):
        if kernel is not None:
            layer.kernel.assign(kernel)
        callback.on_train_batch_end(batch)
        yield np.array(layer.kernel)


def test_restless_weights_are_frozen_at_their_usual_sign():
    layer = dense()
    # One column per kind: still, changing at every other look, changing once and staying there.
    start = np.array([[0.3, 0.01, -0.2], [-0.4, -0.01, 0.25]], np.float32).T
    layer.kernel.assign(start)
    callback = started(layer, highest=0.3, lowest=0.3, every=1)
    kernels = []
    for step in range(12):
        kernel = start.copy()
        # +, +, -: two thirds positive; and the other column the other way round.
        kernel[1] = np.array([0.01, -0.01]) * (-1.0 if step % 3 == 2 else 1.0)
        kernel[2] *= -1.0 if step > 5 else 1.0
        kernels.append(kernel)
    left = list(epoch_of(callback, layer, kernels + [None] * 4))
    for before, after in zip(kernels[:11], left):
        np.testing.assert_array_equal(before, after)
    expected = kernels[11].copy()
    expected[1] = [1.5, -1.5]
    for after in left[11:]:
        np.testing.assert_array_equal(after, expected)


def test_only_every_other_look_counts():
    layer = dense()
    start = np.full((3, 2), 0.1, np.float32)
    # Negative at odd steps only: steps 2, 4, ... (counted from 1) all see the same.
    layer.kernel.assign(-start)
    kernels = [start if step % 2 == 0 else -start for step in range(12)]
    callback = started(layer, highest=0.01, lowest=0.01, every=2)
    np.testing.assert_array_equal(list(epoch_of(callback, layer, kernels))[-1], -start)
    callback = started(layer, highest=0.01, lowest=0.01, every=1)
    assert (np.abs(list(epoch_of(callback, layer, kernels))[-1]) == 1.5).all()


def test_an_epoch_does_not_remember_the_one_before():
    layer = dense()
    start = np.full((3, 2), 0.1, np.float32)
    callback = started(layer, highest=0.1, lowest=0.1, every=1)
    # Restless only after three quarters, when the epoch has been judged.
    kernels = [start] * 12 + [-start, start, -start, start]
    for epoch in range(3):
        left = list(epoch_of(callback, layer, kernels, epoch))
    np.testing.assert_array_equal(left[-1], start)


def test_threshold_falls_over_four_fifths():
    callback = started(dense(), epochs=50, highest=0.4, lowest=0.1)
    expected = {0: 0.4, 10: 0.325, 20: 0.25, 40: 0.1, 49: 0.1}
    for epoch, share in expected.items():
        assert callback.threshold(epoch) == pytest.approx(share)


def test_unknown_length_is_learned_in_the_first_epoch():
    layer = dense()
    start = np.full((3, 2), 0.1, np.float32)
    kernels = [start, -start] * (STEPS // 2)
    callback = started(layer, steps=None, every=1)
    first = list(epoch_of(callback, layer, kernels))
    callback.on_epoch_end(0)
    second = list(epoch_of(callback, layer, kernels[:12] + [None] * 4, 1))
    assert np.abs(first).max() < 1 and (np.abs(second[-1]) == 1.5).all()


@pytest.mark.parametrize("name", [
    "vanilla", "bnn", "xnor_net", "dorefa", "bi_real", "ir_net", "rad", "react_net", "lpb",
    "lsq",
])  # fmt: skip
def test_frozen_weights_get_no_gradient(name):
    layer = dense(name, (4, 3))
    if "window3" in layer.binarizer_variables:
        layer.binarizer_variables["window3"].assign(2.5)
    window = layer.binarizer.weight_window(layer.binarizer_variables)
    if name in WITHOUT:
        assert window is None
        with pytest.raises(ValueError, match=f"no gradient for large.*Received: {name}"):
            started(layer)
        return
    x = tf.constant(np.random.default_rng(0).normal(size=(5, 4)), tf.float32)
    signs = np.where(np.random.default_rng(1).random((4, 3)) < 0.5, -1.0, 1.0)

    def gradient(size):
        layer.kernel.assign(size * signs)
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(x) * tf.constant([1.0, 2.0, -3.0]))
        return np.abs(tape.gradient(loss, layer.kernel))

    assert gradient(1.01 * window).max() == 0.0 and gradient(0.99 * window).min() > 0.0


def test_zero_preserving_freezes_like_what_it_wraps():
    layer = dense(binarizers.ZeroPreserving("vanilla"))
    assert layer.binarizer.weight_window(layer.binarizer_variables) == 1.0
    layer = dense(binarizers.ZeroPreserving("dorefa"))
    assert layer.binarizer.weight_window(layer.binarizer_variables) is None


def test_frozen_weights_keep_their_sign_in_a_training():
    keras.utils.set_random_seed(0)
    model = models.BiFSMNv2(3, **TINY)
    rng = np.random.default_rng(0)
    x = (20 * rng.normal(size=(64, 8, 8, 1)) - 40).astype(np.float32)
    y = rng.integers(0, 3, 64)
    distiller = ThinnableDistiller(model)
    # Labels at random and a large rate: signs change all the time.
    distiller.compile(keras.optimizers.Adam(0.02), jit_compile=True)
    frozen = []

    class Recorder(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            states = []
            for layer in binarized_layers(model):
                kernel = np.array(layer.kernel)
                window = float(layer.binarizer_variables["window3"])
                states.append((np.abs(kernel) * window > 1.4, kernel >= 0))
            frozen.append(states)

    freezing = SignFreezing(highest=0.2, lowest=0.1, every=1)
    history = distiller.fit(
        x, y, epochs=4, batch_size=4, verbose=0, callbacks=[freezing, Recorder()]
    ).history
    assert np.isfinite(history["loss"]).all()
    counts = [sum(int(mask.sum()) for mask, _ in states) for states in frozen]
    assert 0 < counts[0] <= counts[1] <= counts[2] <= counts[3]
    for earlier, later in zip(frozen, frozen[1:]):
        for (mask, signs), (_, after) in zip(earlier, later):
            np.testing.assert_array_equal(signs[mask], after[mask])


@pytest.mark.parametrize("bad", [
    {"highest": 0}, {"highest": 1.5}, {"lowest": -0.1}, {"every": 0}, {"every": 2.5},
    {"every": True},
])  # fmt: skip
def test_wrong_arguments(bad):
    name, value = next(iter(bad.items()))
    with pytest.raises(ValueError, match=f"`{name}` should be .*Received: {name}={value!r}"):
        SignFreezing(**bad)


def test_a_float_model_is_refused():
    callback = SignFreezing()
    callback.set_model(models.DFSMN(3, **{k: v for k, v in TINY.items() if k != "switches"}))
    callback.set_params({"epochs": 1, "steps": STEPS})
    with pytest.raises(ValueError, match="binarized layers. Received: DFSMN"):
        callback.on_train_begin()
