"""Binarizers that differ only in training and in their weights convert like any other."""

import keras
import numpy as np
import pytest
from conftest import SIZES, give_statistics

from bifsmn_tf.conversion import ConversionError, Deployment, convert
from bifsmn_tf.models import BiFSMN


@pytest.mark.parametrize("name", ["bnn", "dorefa", "bi_real", "ir_net", "rad"])
def test_deployment_equals_the_model(name, features):
    model = give_statistics(BiFSMN(5, binarizer=name, **{**SIZES, "num_blocks": 2},
                                   switches=(1.0, 0.5)))  # fmt: skip
    for thin in model.switches:
        expected = keras.ops.softmax(model(features, thin=thin))
        deployment = Deployment(model)
        results = [
            deployment.forward(np.transpose(x, (1, 0, 2))[None], thin) for x in features
        ]
        # A sum that is just zero may fall on either side.
        close = np.abs(np.concatenate(results) - expected).max(axis=1) < 1e-3
        assert close.mean() > 0.8


@pytest.mark.parametrize("binarizer", ["xnor_net"])
def test_scales_per_clip_are_refused(binarizer):
    model = give_statistics(BiFSMN(5, binarizer=binarizer, **SIZES))
    with pytest.raises(ConversionError, match="The operators.*Received: binarizer='xnor_net'"):
        convert(model)
