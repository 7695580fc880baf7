"""Counts of bits, bytes and operations against the papers' figures and against closed forms."""

import json

import keras
import pytest

import bifsmn_tf
from bifsmn_tf import models
from bifsmn_tf.binarizers import LPB

SWITCHES = (1.0, 0.5, 0.25)


def printed(model, thin=1.0):
    return f"{bifsmn_tf.paper_flops(model, thin=thin):.2f}"


# Tables 1 to 3 of BiFSMN.
@pytest.mark.parametrize(
    ("classes", "teacher", "student"),
    [
        (12, "710.15", ["40.46", "29.90", "24.62"]),
        (20, "711.20", ["41.50", "30.95", "25.67"]),
        (35, "713.16", ["43.47", "32.91", "27.63"]),
    ],
)
def test_paper_flops_of_dfsmn_and_bifsmn(classes, teacher, student):
    assert printed(models.DFSMN(classes)) == teacher
    network = models.BiFSMN(classes)
    assert [printed(network, thin) for thin in SWITCHES] == student


def test_paper_flops_of_the_small_network():
    assert printed(models.small(12, models.DFSMN)) == "91.62"
    network = models.small(12)
    assert [printed(network, thin) for thin in SWITCHES] == ["11.94", "10.08", "9.16"]


def test_paper_flops_of_a_single_block():
    assert f"{bifsmn_tf.paper_flops(models.BiFSMN(12, switches=(0.125,)), 0.125):.3f}" == "21.977"


def test_paper_flops_of_keras_layers():
    network = keras.Sequential(
        [
            keras.Input((8, 6, 3)),
            keras.layers.Conv2D(4, 3, strides=2),  # 3x2x4 outputs
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.DepthwiseConv2D((2, 1), use_bias=False),  # 2x2x4
            keras.layers.Conv2D(6, 1, groups=2, use_bias=False),  # 2x2x6
            keras.layers.Flatten(),
            keras.layers.Dense(5),
        ]
    )
    convolutions = 24 * 27 + 16 * 2 + 24 * 2
    dense = 24 * 5
    assert bifsmn_tf.paper_flops(network) == pytest.approx(
        128e-6 * (convolutions + 24 + 2 * 24 + dense)
    )
    summary = bifsmn_tf.summary(network)
    assert summary.float_macs == {1.0: convolutions + dense}
    assert summary.binary_macs == {1.0: 0}
    # The normalization folds into the first convolution, which has a bias anyway.
    weights = 4 * 27 + 8 + 6 * 2 + 24 * 5
    assert summary.bytes == 4 * (weights + 4 + 5)


def test_summary_of_the_float_network():
    summary = bifsmn_tf.summary(models.DFSMN(12))
    assert summary.parameters == 600_252
    assert summary.float_macs == {1.0: 5_431_296}
    assert summary.binary_macs == {1.0: 0}
    assert summary.equivalent_weights == 600_252


def test_summary_counts_bits_and_switches():
    summary = bifsmn_tf.summary(models.BiFSMN(12))
    assert summary.binary_weights == 574_976 and summary.bit_bytes == 71_872
    front = 819_200 + 262_144
    assert summary.binary_macs == {
        switch: front + blocks * 529_408 for switch, blocks in zip(SWITCHES, (8, 4, 2))
    }
    assert summary.float_macs == dict.fromkeys(SWITCHES, 102_400 + 12_288)
    assert summary.equivalent_weights == summary.parameters - 574_976 * 31 / 32
    layers = {layer.name: layer for layer in summary.layers}
    assert len(layers) == 28 and [n for n in layers if layers[n].bits == 32] == [
        "conv1", "classifier",
    ]  # fmt: skip
    assert layers["block1/hidden"].macs == {1.0: 262_144, 0.5: 0, 0.25: 0}
    assert layers["block4/hidden"].macs == dict.fromkeys(SWITCHES, 262_144)
    assert layers["block1/memory"].output_shape == (8, 128)


def test_summary_counts_a_folded_normalization_once_per_switch():
    affine = 2 * 4 * 128  # bytes of a factor and an offset per channel
    summary = bifsmn_tf.summary(models.BiFSMN(12))
    bytes_of = {layer.name: layer.bytes for layer in summary.layers}
    for block, uses in ((1, 1), (2, 2), (4, 3)):
        assert bytes_of[f"block{block}/projection"] == 4096 + uses * affine
        assert bytes_of[f"block{block}/memory"] == 80 + affine
    assert bytes_of["fc1"] == 4096 + affine  # no normalization: scale and bias
    # One slope after either layer of the front end, fc1, every memory and hidden layer, and the
    # output of a block once per switch that executes it.
    assert summary.other_floats == 3 + 2 * 8 + (8 + 4 + 2)
    assert summary.bytes == sum(bytes_of.values()) + 4 * summary.other_floats
    # Two blocks serve three switches and two serve two: 2 * 2 + 2 * 1 further uses.
    every = bifsmn_tf.summary(models.BiFSMN(12, switch_all_bn=True))
    assert every.bytes - summary.bytes == 6 * 2 * 4 * (128 + 256)


def test_official_scales_are_counted_as_real_weights():
    summary = bifsmn_tf.summary(models.BiFSMN(12, weight_scale="official"))
    bits = {layer.name: layer.bits for layer in summary.layers}
    assert bits["fc1"] == bits["block1/memory"] == 1
    assert bits["conv2"] == bits["block1/hidden"] == bits["block1/projection"] == 32
    assert summary.binary_macs[1.0] == 262_144 + 8 * 5_120


def test_a_second_scale_is_a_second_pass():
    single = bifsmn_tf.summary(models.small(3, binarizer=LPB(dual=False)))
    dual = bifsmn_tf.summary(models.small(3, models.BiFSMNv2))
    assert dual.binary_macs == {s: 2 * macs for s, macs in single.binary_macs.items()}
    assert dual.float_macs == single.float_macs and dual.bit_bytes == single.bit_bytes
    steps = bifsmn_tf.summary(models.small(3, binarizer="lsq"))
    assert steps.binary_macs == dual.binary_macs and steps.bit_bytes == dual.bit_bytes
    # One threshold per input channel each: conv2, fc1, and per block memory, hidden, projection.
    channels = 16 + 32 * 8 + 8 * (32 + 32 + 64)
    plain = bifsmn_tf.summary(models.small(3))
    assert single.bytes - plain.bytes == 4 * channels
    assert dual.bytes - plain.bytes == 2 * 4 * channels
    # The middle of four levels, and their centres where there is padding.
    assert steps.bytes - plain.bytes == 4 * (channels + 16 + 8 * 32)
    assert bifsmn_tf.paper_flops(models.small(3, models.BiFSMNv2)) == bifsmn_tf.paper_flops(
        models.small(3)
    )


@pytest.mark.parametrize(
    ("binarizer", "flops"),
    [("bnn", "35.87"), ("rad", "35.87"), ("xnor_net", "45.04"), ("react_net", "40.46")],
)
def test_operations_of_scaling_factors(binarizer, flops):
    assert printed(models.BiFSMN(12, switches=(1.0,), binarizer=binarizer)) == flops


@pytest.mark.slow
@pytest.mark.parametrize(
    ("binarizer", "counted", "once"),
    [(None, "18577.49", "5189.60"), ("ir_net", "1449.41", "428.43"),
     ("xnor_net", "2567.19", "734.42")],
)  # fmt: skip
def test_counting_fault_of_audiomer(binarizer, counted, once):
    network = models.Audiomer(12, binarizer=binarizer)
    assert printed(network) == counted
    assert f"{bifsmn_tf.paper_flops(network, counting_fault=False):.2f}" == once
    summary = bifsmn_tf.summary(network)
    assert summary.binary_macs[1.0] + summary.float_macs[1.0] == 278_090_005
    assert summary.binary_macs[1.0] == (40_214_116 if binarizer else 0)


def test_summary_of_a_comparison_network():
    summary = bifsmn_tf.summary(models.FSMN(12, binarizer="bi_real"))
    assert summary.binary_macs == {1.0: 12_517_376} and summary.float_macs == {1.0: 180_224}
    assert summary.binary_weights == 391_168 and summary.parameters == 445_460


def test_summary_prints_and_becomes_json():
    summary = bifsmn_tf.summary(models.small(3))
    text = str(summary)
    assert "block8/memory" in text and "switch 0.25: " in text
    assert f"{summary.bytes:,} bytes deployed" in text
    record = json.loads(json.dumps(summary.to_dict()))
    assert record["switches"]["0.5"]["binary_macs"] == summary.binary_macs[0.5]
    assert sum(layer["macs"]["0.5"] for layer in record["layers"]) == (
        summary.binary_macs[0.5] + summary.float_macs[0.5]
    )


def test_counting_leaves_the_model_as_it_was():
    network = models.small(3)
    before = [v.numpy().copy() for v in network.variables]
    bifsmn_tf.summary(network)
    assert all((a == v.numpy()).all() for a, v in zip(before, network.variables))


@pytest.mark.parametrize(
    ("model", "thin", "message"),
    [
        ("bifsmn.keras", 1.0, "Keras model"),
        (lambda: models.small(3), 0.3, "`thin` should be one of"),
        (lambda: keras.Sequential([keras.layers.Dense(3)]), 1.0, "one known shape"),
        (lambda: keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]), 0.5, "no switches"),
    ],
)
def test_errors(model, thin, message):
    with pytest.raises(ValueError, match=message) as error:
        bifsmn_tf.paper_flops(model() if callable(model) else model, thin)
    assert "Received: " in str(error.value)
