"""Every binarizer that the operators compute, with and without thinning, converts and agrees."""

import keras
import numpy as np
import pytest
from trained_like import SIZES, give_statistics

from bifsmn_tf import binarizers
from bifsmn_tf.conversion import ConversionError, convert, convert_with_report
from bifsmn_tf.models import FSMN, VGG19BN, BiFSMN, BiFSMNv2
from bifsmn_tf.runtime import TFLiteModel

CONVERTIBLE = ("vanilla", "bnn", "dorefa", "bi_real", "ir_net", "rad", "react_net", "lpb",
               "single-scale lpb", "lsq")  # fmt: skip
TINY = {**SIZES, "memory_size": 32, "hidden_size": 40, "num_blocks": 2}


def make_binarizer(name):
    return binarizers.LPB(dual=False) if name == "single-scale lpb" else binarizers.get(name)


def check_agreement(model, features, content=None):
    lite = TFLiteModel(content or convert(model, verbose=False))
    assert lite.switches == model.switches
    for thin in lite.switches:
        expected = keras.ops.softmax(model(features, thin=thin))
        scores = np.stack([lite.scores(x, thin=thin) for x in features])
        difference = np.abs(scores - keras.ops.convert_to_numpy(expected)).max(axis=1)
        # A sum that is just zero may fall on either side, which changes signs behind it.
        assert (difference < 1e-5).mean() >= 0.75, difference
    return lite


@pytest.mark.parametrize("switches", [(1.0,), (1.0, 0.5)], ids=["plain", "thinnable"])
@pytest.mark.parametrize("name", CONVERTIBLE)
def test_every_convertible_binarizer(name, switches, features):
    model = BiFSMN(5, binarizer=make_binarizer(name), switches=switches, **TINY)
    check_agreement(give_statistics(model), features)


@pytest.mark.parametrize(
    "options",
    [
        {"switch_all_bn": True},
        {"frontend_filters": (8, 24)},
        {"memory_size": 33, "hidden_size": 65},
        {"look_back": 3, "look_ahead": 1, "stride_back": 2, "stride_ahead": 3},
    ],
    ids=["switch_all_bn", "frontend_filters", "odd_sizes", "memory"],
)
def test_other_networks_of_dual_scale(options, features):
    model = give_statistics(BiFSMNv2(4, **{**TINY, "switches": (1.0, 0.5), **options}), seed=3)
    check_agreement(model, features)


@pytest.mark.parametrize("slope", [-0.3, 0.0])
def test_unusual_slopes_in_front_of_a_shift(slope, features):
    model = give_statistics(BiFSMN(4, binarizer="react_net", switches=(1.0,), **TINY))
    for block in model.blocks:
        block.hidden_activation.slope.assign(slope)
    check_agreement(model, features)


@pytest.mark.parametrize("mode", ["faithful", "sound"])
@pytest.mark.parametrize("name", [None, "vanilla", "react_net", "lpb"])
def test_fsmn(name, mode, features):
    model = FSMN(4, 64, 128, num_blocks=2, look_ahead=2, binarizer=name, mode=mode)
    content, report = convert_with_report(give_statistics(model))
    operators = report.operators["thin_1.0"]
    assert operators.get("BifsmnMemory", 0) == (0 if name is None else 2)
    # The first layer has a real-valued map; both have a projection.
    assert operators.get("BifsmnDense", 0) == (0 if name is None else 3)
    check_agreement(model, features, content)


def test_scales_per_clip_are_refused():
    model = give_statistics(BiFSMN(5, binarizer="xnor_net", **TINY, switches=(1.0,)))
    with pytest.raises(ConversionError, match="mean of a whole clip.* Received: .*XNORNet, 'xnor_net'"):
        convert(model)


def test_the_official_scale_is_refused():
    model = give_statistics(BiFSMNv2(5, weight_scale="official", **TINY, switches=(1.0,)))
    with pytest.raises(ConversionError, match="real-valued pointwise weights"):
        convert(model)


def test_zeros_among_the_signs_are_refused():
    model = FSMN(4, 64, 128, num_blocks=2, binarizer="vanilla", sign_of_zero=0)
    with pytest.raises(ConversionError, match="The operators binarize an activation"):
        convert(model)


def test_other_architectures_are_refused():
    with pytest.raises(ConversionError, match="FSMN family.*Received: .*VGG19BN"):
        convert(VGG19BN(4, binarizer="vanilla", mode="sound"))
