"""What the bits of a network say: entropies in closed form."""

import math

import numpy as np
import pytest

from bifsmn_tf import binarizers, models
from bifsmn_tf.information import activation_information, table
from bifsmn_tf.layers.binarized import watched_inputs

TINY = {
    "memory_size": 8, "hidden_size": 12, "num_blocks": 2, "switches": (1.0, 0.5),
    "frontend_kernel": 3, "frontend_filters": (4, 6), "num_mels": 8, "num_frames": 8,
}  # fmt: skip
FEATURES = np.random.default_rng(0).normal(-30, 20, (16, 8, 8, 1)).astype(np.float32)


def binary_entropy(share):
    return sum(-p * math.log2(p) for p in (share, 1 - share) if 0 < p < 1)


def test_one_bit_in_closed_form():
    model = models.BiFSMN(3, **TINY)
    rows = activation_information(model, FEATURES)
    inputs = []
    with watched_inputs(model, lambda layer, x: inputs.append((layer, np.asarray(x)))):
        model(FEATURES, thin=1.0)
    whole = [row for row in rows if row.switch == 1.0]
    assert [row.path for row in whole] == [layer.path.split("/", 1)[1] for layer, _ in inputs]
    for row, (_, x) in zip(whole, inputs):
        positive = (x.reshape(-1, x.shape[-1]) >= 0).mean(0)
        assert row.bits == 1
        assert row.entropy == pytest.approx(np.mean([binary_entropy(p) for p in positive]))
        assert row.positive == pytest.approx(positive.mean())
    assert [row.path for row in rows if row.switch == 0.5] == [
        "conv2", "fc1", "block2/memory", "block2/hidden", "block2/projection"
    ]  # fmt: skip


@pytest.mark.parametrize("values, entropy", [
    ([0.1, 0.1, 0.1, 0.1], 0.0),  # one code
    ([-0.1, 0.1, -0.1, 0.1], 1.0),  # two: the second bit is the opposite of the first
    ([-2.0, -0.1, 0.1, 2.0], 2.0),  # all four
    ([0.1, 0.1, 2.0, 0.1], binary_entropy(0.25)),
])  # fmt: skip
def test_two_bits_in_closed_form(values, entropy):
    """The classifier's input is real; the only layer watched here is a dense one of two bits."""
    model = models.BiFSMNv2(3, **TINY)
    layer = model.blocks[1].hidden
    for name in layer.binarizer.thresholds:
        layer.binarizer_variables[name].assign(np.zeros(layer.kernel.shape[0]))
    x = np.tile(np.float32(values)[:, None, None], (1, 1, layer.kernel.shape[0]))

    class OneLayer:
        switches = (1.0,)

        def _flatten_layers(self):
            return [layer]

        def __call__(self, inputs, thin, training):
            return layer(inputs, training=training)

    (row,) = activation_information(OneLayer(), x)
    assert (row.bits, row.path) == (2, layer.path.split("/", 1)[1])
    assert row.entropy == pytest.approx(entropy, abs=1e-6)


def test_table_has_a_column_per_switch():
    text = table(activation_information(models.BiFSMN(3, **TINY), FEATURES)).splitlines()
    assert text[0].endswith("of at most 1:")
    assert text[1].split() == ["layer", "thin", "1.0", "thin", "0.5"]
    cells = {line.split()[0]: len(line.split()) - 1 for line in text[2:]}
    assert cells["conv2"] == cells["block2/hidden"] == cells["mean"] == 2
    assert cells["block1/hidden"] == 1


def test_networks_of_other_kinds():
    network = models.get("bcresnet", 3, binarizer=binarizers.get("react_net"))
    shape = network.get_build_config()["input_shape"][1:]
    rows = activation_information(network, np.zeros((2, *shape), np.float32))
    assert rows and all(0 <= row.entropy <= row.bits == 1 for row in rows)
    with pytest.raises(ValueError, match="should have binarized layers. Received: DFSMN"):
        activation_information(models.DFSMN(3), np.zeros((1, 32, 32, 1), np.float32))
