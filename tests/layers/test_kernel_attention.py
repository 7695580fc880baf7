"""Linear-time attention against its formula, one frame at a time."""

import math

import numpy as np
import pytest
from layer_contract import check_gradients, check_layer, randomize

from bifsmn_tf.layers import KernelAttention, OrthogonalFeatures


def data(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_contract(tmp_path):
    # 8 ln 8 = 16.6 random directions.
    count = 3 * (5 * 16 + 16) + 16 * 5 + 5 + 16 * 8
    check_layer(
        lambda: KernelAttention(2, 8, dropout=0.3, name="attention"), (2, 6, 5), (2, 6, 5), count,
        tmp_path,
    )  # fmt: skip


def test_gradients():
    layer = KernelAttention(2, 8)
    x = data((2, 6, 5))
    layer(x)
    check_gradients(layer, x)
    assert all(v is not layer.directions for v in layer.trainable_variables)


def test_formula():
    layer = KernelAttention(2, 8)
    x = data((2, 6, 5)).astype(np.float64)
    layer(x.astype(np.float32))
    randomize(layer)
    directions = np.asarray(layer.directions, np.float64)

    def project(dense, values):
        return values @ np.asarray(dense.kernel, np.float64) + np.asarray(dense.bias, np.float64)

    expected = np.zeros_like(x)
    for clip in range(2):
        heads = []
        for head in range(2):
            part = slice(8 * head, 8 * head + 8)
            q, k, v = (
                project(dense, x[clip])[:, part] for dense in (layer.query, layer.key, layer.value)
            )
            lq, lk = (values @ directions.T / 8**0.25 for values in (q, k))
            hq, hk = ((values**2).sum(1, keepdims=True) / (2 * math.sqrt(8)) for values in (q, k))
            fq = (np.exp(lq - hq - lq.max(1, keepdims=True)) + 1e-4) / math.sqrt(16)
            fk = (np.exp(lk - hk - lk.max()) + 1e-4) / math.sqrt(16)
            weights = fq @ fk.T
            heads.append(weights @ v / weights.sum(1, keepdims=True))
        expected[clip] = project(layer.output_projection, np.concatenate(heads, axis=1))
    np.testing.assert_allclose(layer(x.astype(np.float32)), expected, rtol=2e-3, atol=2e-3)


def test_clips_do_not_mix():
    layer = KernelAttention(2, 8)
    x = data((3, 6, 5))
    x[1] *= 20
    single = np.concatenate([layer(x[i : i + 1]) for i in range(3)])
    np.testing.assert_allclose(layer(x), single, rtol=1e-5, atol=1e-5)


def test_random_directions():
    values = np.asarray(OrthogonalFeatures(seed=3)((20, 8)))
    assert values.shape == (20, 8)
    for block in (values[:8], values[8:16], values[16:]):
        products = block @ block.T
        np.testing.assert_allclose(products - np.diag(np.diag(products)), 0, atol=1e-5)
    many = np.asarray(OrthogonalFeatures(seed=4)((8000, 8)))
    assert abs((many**2).sum(1).mean() - 8) < 0.2 and abs(many.mean()) < 0.02
    np.testing.assert_array_equal(values, OrthogonalFeatures(seed=3)((20, 8)))
    first, second = OrthogonalFeatures(), OrthogonalFeatures()
    assert not np.allclose(first((20, 8)), second((20, 8)))
    twin = OrthogonalFeatures.from_config(first.get_config())
    np.testing.assert_array_equal(first((20, 8)), twin((20, 8)))


def test_binarized_projections():
    layer = KernelAttention(2, 8, binarizer="vanilla")
    x = data((2, 6, 5))
    layer(x)
    np.testing.assert_array_equal(layer(3 * x), layer(x))
    assert np.isfinite(layer(x)).all()


@pytest.mark.parametrize("arguments", [{"num_heads": 0}, {"head_size": 1}])
def test_wrong_arguments(arguments):
    with pytest.raises(ValueError, match="should be an integer of at least .*Received"):
        KernelAttention(**arguments)


def test_wrong_shape():
    with pytest.raises(ValueError, match="shape .batch, frames, channels.. Received"):
        KernelAttention().build((2, 3))
