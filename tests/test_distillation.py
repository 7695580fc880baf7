"""Distillation losses against their formulas in numpy."""

import json

import keras
import numpy as np
import pytest
import pywt
import tensorflow as tf

from bifsmn_tf.distillation import (
    FID,
    HED,
    AttentionTransfer,
    LogitMSE,
    SoftTargets,
    attention_distance,
)

ROOT_2 = np.sqrt(2.0)


def states(count=2, shape=(6, 8, 32), seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape).astype(np.float32) for _ in range(count)]


def numpy_distance(student, teacher):
    s, t = np.square(student.astype(np.float64)), np.square(teacher.astype(np.float64))
    return np.linalg.norm((s / np.linalg.norm(s) - t / np.linalg.norm(t)).ravel())


def haar_bands(x, block=2):
    """Low band (means of blocks) and high band (the rest) of the Haar wavelet."""
    h = x.astype(np.float64)
    b, t, c = h.shape
    means = h.reshape(b, t // block, block, c // block, block).mean(axis=(2, 4))
    low = np.repeat(np.repeat(means, block, axis=1), block, axis=2)
    return low, h - low


def numpy_emphasis(teacher, block=2):
    h = teacher.astype(np.float64)
    _, high = haar_bands(teacher, block)
    return high / high.std(ddof=1) + h / h.std(ddof=1)


def gradient(function, x):
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = function(x)
    return tape.gradient(loss, x).numpy()


def test_distance_equals_the_formula():
    s, t = states()
    np.testing.assert_allclose(attention_distance(s, t), numpy_distance(s, t), rtol=1e-5)


@pytest.mark.parametrize("factor", [1.0, -1.0, 7.0, 1e-3])
def test_distance_from_a_multiple_is_zero(factor):
    s, _ = states()
    assert float(attention_distance(s, np.float32(factor) * s)) < 1e-3


def test_distance_is_scale_invariant_symmetric_and_bounded():
    s, t = states()
    distance = float(attention_distance(s, t))
    assert abs(float(attention_distance(5 * s, -0.2 * t)) - distance) < 1e-5
    assert abs(float(attention_distance(t, s)) - distance) < 1e-6
    assert 0 < distance <= ROOT_2


def test_distance_of_disjoint_tensors_is_the_bound():
    s = np.zeros((2, 4, 4), np.float32)
    t = np.zeros_like(s)
    s[0], t[1] = 1.0, 3.0
    np.testing.assert_allclose(attention_distance(s, t), ROOT_2, rtol=1e-6)


def test_distance_of_gaussians():
    # E[x^4] = 3: the squares of independent Gaussians have cosine 1/3, so D = sqrt(2 - 2/3).
    s, t = states(shape=(64, 8, 32))
    assert abs(float(attention_distance(s, t)) - np.sqrt(4 / 3)) < 0.02


def test_zero_tensors_are_harmless():
    s, _ = states()
    zero = np.zeros_like(s)
    assert float(attention_distance(zero, zero)) == 0.0
    np.testing.assert_allclose(attention_distance(zero, s), 1.0, rtol=1e-6)
    np.testing.assert_allclose(attention_distance(s, zero), 1.0, rtol=1e-6)
    for distillation in (AttentionTransfer(), HED(), FID(), FID(mse=True)):
        for student, teacher in ((zero, s), (s, zero), (zero, zero)):
            value = distillation([student], [teacher])
            assert np.isfinite(float(value))
            result = gradient(lambda x, t=teacher: distillation([x], [t]), student)
            assert np.isfinite(result).all()


def test_gradient_is_finite_where_the_distance_vanishes():
    s, _ = states()
    assert np.isfinite(gradient(lambda x: attention_distance(x, s), s)).all()


def test_gradient_equals_finite_differences():
    s, t = states(shape=(2, 4, 4))
    result = gradient(lambda x: AttentionTransfer()([x], [t]), s)
    for index in [(0, 0, 0), (1, 3, 2), (0, 2, 1)]:
        up, down = s.astype(np.float64).copy(), s.astype(np.float64).copy()
        up[index] += 1e-5
        down[index] -= 1e-5
        slope = (numpy_distance(up, t) - numpy_distance(down, t)) / 2e-5
        np.testing.assert_allclose(result[index], slope, rtol=1e-3, atol=1e-5)


def test_hed_emphasizes_the_teacher():
    s, t = states()
    np.testing.assert_allclose(HED().emphasize(t), numpy_emphasis(t), rtol=1e-4, atol=1e-4)
    expected = numpy_distance(s, numpy_emphasis(t))
    np.testing.assert_allclose(HED()([s], [t]), expected, rtol=1e-5)


def test_hed_of_two_levels():
    s, t = states()
    expected = numpy_distance(s, numpy_emphasis(t, block=4))
    np.testing.assert_allclose(HED(level=2)([s], [t]), expected, rtol=1e-5)


def test_hed_with_another_wavelet_differs():
    s, t = states()
    assert abs(float(HED("db2")([s], [t])) - float(HED()([s], [t]))) > 1e-4


def test_hed_of_a_student_equal_to_the_emphasized_teacher_is_zero():
    _, t = states()
    assert float(HED()([3 * HED().emphasize(t)], [t])) < 1e-3


def test_fid_compares_low_with_low_and_high_with_high():
    s, t = states()
    expected = sum(numpy_distance(a, b) for a, b in zip(haar_bands(s), haar_bands(t)))
    np.testing.assert_allclose(FID()([s], [t]), expected, rtol=1e-5)


def test_fid_of_two_levels():
    s, t = states()
    expected = sum(numpy_distance(a, b) for a, b in zip(haar_bands(s, 4), haar_bands(t, 4)))
    np.testing.assert_allclose(FID(level=2)([s], [t]), expected, rtol=1e-5)


@pytest.mark.parametrize("wavelet", ["haar", "db2", "sym4"])
def test_fid_equals_pywavelets(wavelet):
    def bands(x):
        approximation, details = pywt.dwt2(x.astype(np.float64), wavelet, mode="zero")
        nothing = tuple(np.zeros_like(detail) for detail in details)
        rows, columns = x.shape[1:]
        parts = (approximation, nothing), (np.zeros_like(approximation), details)
        return [pywt.idwt2(part, wavelet, mode="zero")[:, :rows, :columns] for part in parts]

    s, t = states()
    expected = sum(numpy_distance(a, b) for a, b in zip(bands(s), bands(t)))
    np.testing.assert_allclose(FID(wavelet)([s], [t]), expected, rtol=1e-5)


def test_fid_of_bands_scaled_apart_is_zero():
    s, _ = states()
    low, high = haar_bands(s)
    other = (3 * low - 0.2 * high).astype(np.float32)
    assert float(FID()([s], [other])) < 2e-3
    assert float(attention_distance(s, other)) > 0.5


def test_fid_gradient_reaches_both_bands():
    s, t = states()
    low, high = haar_bands(gradient(lambda x: FID()([x], [t]), s))
    assert np.abs(low).max() > 1e-4 and np.abs(high).max() > 1e-4


def test_fid_with_the_norm_of_the_difference():
    s, t = states()
    expected = sum(np.linalg.norm(a - b) for a, b in zip(haar_bands(s), haar_bands(t)))
    np.testing.assert_allclose(FID(mse=True)([s], [t]), expected, rtol=1e-5)


@pytest.mark.parametrize("distillation", [AttentionTransfer(), HED(), FID()])
def test_layers_are_summed(distillation):
    s, t = states(3, seed=1), states(3, seed=2)
    total = float(distillation(s, t))
    parts = [float(distillation([a], [b])) for a, b in zip(s, t)]
    np.testing.assert_allclose(total, sum(parts), rtol=1e-6)
    assert total > 2 * max(parts)


@pytest.mark.parametrize("distillation", [AttentionTransfer(), HED(), FID()])
def test_wrong_lists(distillation):
    s, t = states()
    with pytest.raises(ValueError, match="same positive number.*Received: 1 and 2"):
        distillation([s], [t, t])
    with pytest.raises(ValueError, match="same positive number.*Received: 0 and 0"):
        distillation([], [])
    with pytest.raises(ValueError, match=r"same shape. Received: \(6, 8, 32\) \(student\)"):
        distillation([s], [t[:, :, :16]])


def test_configurations():
    hed = HED(wavelet="db2", level=2)
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(hed)))
    restored = keras.saving.deserialize_keras_object(config)
    assert isinstance(restored, HED)
    assert (restored.wavelet, restored.level) == ("db2", 2)
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(FID("db2", 2, mse=True))))
    fid = keras.saving.deserialize_keras_object(config)
    assert (fid.wavelet, fid.level, fid.mse) == ("db2", 2, True)
    plain = keras.saving.serialize_keras_object(AttentionTransfer())
    assert isinstance(keras.saving.deserialize_keras_object(plain), AttentionTransfer)
    soft = keras.saving.serialize_keras_object(SoftTargets(temperature=3.0, weight=0.5))
    soft = keras.saving.deserialize_keras_object(soft)
    assert (soft.temperature, soft.weight) == (3.0, 0.5)
    mse = keras.saving.serialize_keras_object(LogitMSE(weight=0.5))
    assert keras.saving.deserialize_keras_object(mse).weight == 0.5


def test_wrong_hed():
    s, t = states()
    with pytest.raises(ValueError, match="orthogonal.*Received: wavelet='bior2.2'"):
        HED(wavelet="bior2.2")([s], [t])
    with pytest.raises(ValueError, match="`level` should be a positive integer.*Received"):
        HED(level=0)([s], [t])


def test_wrong_fid():
    s, t = states()
    with pytest.raises(ValueError, match="orthogonal.*Received: wavelet='bior2.2'"):
        FID(wavelet="bior2.2")([s], [t])
    with pytest.raises(ValueError, match="`mse` should be True or False.*Received: mse='yes'"):
        FID(mse="yes")


def numpy_soft_targets(student, teacher, temperature):
    def softmax(x):
        e = np.exp((x - x.max(axis=-1, keepdims=True)) / temperature)
        return e / e.sum(axis=-1, keepdims=True)

    s, t = softmax(student.astype(np.float64)), softmax(teacher.astype(np.float64))
    return temperature**2 * (t * np.log(t / s)).sum(axis=-1).mean()


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
@pytest.mark.parametrize("weight", [1.0, 0.3])
def test_soft_targets(temperature, weight):
    s, t = (3 * x for x in states(shape=(7, 12)))
    expected = weight * numpy_soft_targets(s, t, temperature)
    np.testing.assert_allclose(SoftTargets(temperature, weight)(s, t), expected, rtol=1e-4)


def test_soft_targets_vanish_for_shifted_logits():
    s, _ = states(shape=(7, 12))
    assert abs(float(SoftTargets()(s + 4, s))) < 1e-5
    assert np.abs(gradient(lambda x: SoftTargets()(x, s), s)).max() < 1e-5


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_wrong_temperature(temperature):
    with pytest.raises(ValueError, match="`temperature` should be positive.*Received"):
        SoftTargets(temperature=temperature)


def test_logit_mse():
    s, t = states(shape=(7, 12))
    expected = 0.25 * np.square(s.astype(np.float64) - t).mean()
    np.testing.assert_allclose(LogitMSE(0.25)(s, t), expected, rtol=1e-5)
    slopes = gradient(lambda x: LogitMSE(0.25)(x, t), s)
    np.testing.assert_allclose(slopes, 0.25 * 2 * (s - t) / s.size, rtol=1e-4, atol=1e-8)


def test_logit_mse_has_the_weight_of_the_released_code():
    s, t = states(shape=(7, 12))
    np.testing.assert_allclose(LogitMSE()(s, t), LogitMSE(0.01)(s, t))


@pytest.mark.parametrize("weight", [-1.0, float("nan")])
def test_wrong_weight(weight):
    with pytest.raises(ValueError, match="`weight` should not be negative.*Received"):
        LogitMSE(weight)
