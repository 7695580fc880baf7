"""Thresholds that begin in the middle of what they divide."""

import numpy as np
import pytest

from bifsmn_tf import binarizers, models
from bifsmn_tf.centring import centre_thresholds
from bifsmn_tf.layers.binarized import binarized_layers, watched_inputs

TINY = {
    "memory_size": 8, "hidden_size": 12, "num_blocks": 4, "switches": (1.0, 0.5),
    "frontend_kernel": 3, "frontend_filters": (4, 6), "num_mels": 8, "num_frames": 8,
    "switch_all_bn": True,
}  # fmt: skip
WITH = ("lpb", "react_net", binarizers.LPB(dual=False))
WITHOUT = ("vanilla", "bnn", "xnor_net", "dorefa", "bi_real", "ir_net", "rad")
FEATURES = np.random.default_rng(0).normal(-30, 20, (24, 8, 8, 1)).astype(np.float32)


def student(binarizer, **kwargs):
    return models.BiFSMN(3, binarizer=binarizer, **{**TINY, **kwargs})


def values(model):
    return {v.path.split("/", 1)[1]: np.array(v.numpy()) for v in model.weights}


def inputs_of(model, switch):
    """What every binarized layer binarizes, in order of execution."""
    found = []
    with watched_inputs(model, lambda layer, x: found.append((layer, np.asarray(x)))):
        model(FEATURES, thin=switch, training=True)
    return found


@pytest.mark.parametrize("binarizer", WITH, ids=("lpb", "react_net", "lpb_single"))
def test_every_layer_divides_its_inputs_at_their_mean(binarizer):
    model = student(binarizer)
    centre_thresholds(model, FEATURES)
    found = inputs_of(model, 1.0)
    assert {id(layer) for layer, _ in found} == {id(layer) for layer in binarized_layers(model)}
    for layer, x in found:
        x = x.astype(np.float64).reshape(-1, x.shape[-1])
        deployed = layer.binarizer.deployed(layer.binarizer_variables)
        for shift in deployed.shifts:
            np.testing.assert_allclose(shift, x.mean(0), atol=2e-4, err_msg=layer.path)
        if deployed.offset is not None:
            np.testing.assert_allclose(deployed.offset, -x.mean(0), atol=2e-4)
        # No channel has one sign alone, but where it has one value alone.
        varied = x.std(0) > 1e-3
        share = (x[:, varied] >= np.asarray(deployed.shifts[0])[varied]).mean(0)
        assert varied.any() and np.all((share > 0) & (share < 1)), layer.path


def test_nothing_else_changes():
    model = student("lpb")
    before = values(model)
    centre_thresholds(model, FEATURES)
    changed = {path for path, value in values(model).items() if np.any(value != before[path])}
    assert changed == {path for path in before if "/threshold" in path}


@pytest.mark.parametrize("name", WITHOUT)
def test_without_thresholds_nothing_changes(name):
    model = student(name)
    before = values(model)
    centre_thresholds(model, FEATURES)
    for path, value in values(model).items():
        np.testing.assert_array_equal(value, before[path], err_msg=path)


def test_layers_that_no_switch_runs_stay_as_they_are():
    model = student("react_net", switches=(0.5, 0.25))
    centre_thresholds(model, FEATURES)
    for number, centred in ((1, False), (2, True), (3, False), (4, True)):
        hidden = model.blocks[number - 1].hidden
        assert np.any(np.asarray(hidden.binarizer_variables["beta"])) == centred


def test_smaller_switches_do_not_undo_it():
    """Block 2 sees other inputs in the smaller switch; its threshold is the larger one's."""
    model = student("react_net")
    centre_thresholds(model, FEATURES)
    block = model.blocks[1].memory
    beta = np.asarray(block.binarizer_variables["beta"])
    means = {
        switch: next(x.mean((0, 1)) for layer, x in inputs_of(model, switch) if layer is block)
        for switch in (1.0, 0.5)
    }
    np.testing.assert_allclose(beta, -means[1.0], atol=1e-5)
    assert np.abs(beta + means[0.5]).max() > 1e-3


def test_watching_ends():
    model = student("vanilla")
    with pytest.raises(RuntimeError, match="enough"):
        with watched_inputs(model, lambda layer, x: (_ for _ in ()).throw(RuntimeError("enough"))):
            model(FEATURES)
    assert model(FEATURES).shape == (24, 3)


def test_clips_are_needed():
    with pytest.raises(ValueError, match=r"at least one clip. Received: shape \(0, 8, 8, 1\)"):
        centre_thresholds(student("lpb"), FEATURES[:0])


def test_steps_are_those_of_the_nearest_four_levels():
    model = student("lsq")
    before = values(model)
    centre_thresholds(model, FEATURES)
    changed = {path for path, value in values(model).items() if np.any(value != before[path])}
    assert changed == {path for path in before if path.endswith(("/threshold", "/step"))}
    for layer, x in inputs_of(model, 1.0):
        x = x.astype(np.float64).reshape(-1, x.shape[-1])
        variables = layer.binarizer_variables
        np.testing.assert_allclose(variables["threshold"], x.mean(0), atol=2e-4)
        deviation = np.sqrt(np.square(x - x.mean(0)).mean())
        np.testing.assert_allclose(variables["step"], 0.996 * deviation, rtol=1e-3)
