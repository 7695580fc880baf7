"""Finds out from its weights what an official network is, and makes ours like it."""

import re

import numpy as np

from bifsmn_tf import models
from bifsmn_tf.data.tasks import has_extra_classes, task_labels, task_words
from bifsmn_tf.official.state import DATA_PARALLEL

# The released code trains the first three of the four switches that its class holds.
_TRAINED_SWITCHES = 3


def _shape(shapes, name, dimensions):
    shape = shapes.get(name)
    if shape is None or len(shape) != dimensions:
        raise ValueError(
            f"The state of an official D-FSMN should have {name} with {dimensions} dimensions. "
            f"Received: {'no such parameter' if shape is None else f'shape {shape}'}"
        )
    return shape


def _default_labels(num_classes):
    """Labels in the order of the released code, if it has a task of so many classes."""
    if num_classes not in (12, 20, 35):
        return None
    extra = has_extra_classes(num_classes)
    return task_labels(task_words(num_classes), "paper", extra, extra)


def make_model(state, num_switches=None, labels=None, weight_scale="official", real=False):
    """Makes one of our networks with the kind and the sizes of an official network.

    Its values are still initial ones: `load_state` carries the weights over.

    Which network it is shows in the state: thresholds only BiFSMNv2 has, slopes in the front end
    only a student, slopes at all only a student or a teacher ("pre").

    Args:
        state: Mapping from PyTorch parameter names to arrays.
        num_switches: Keep so many switches (1, 1/2, 1/4, ...) of a thinnable network; None for
            the three that the released code trains, fewer if there are not so many.
        labels: Names of the classes; None for those of the released code's task of so many
            classes, if there is one.
        weight_scale: Of a student, see `bifsmn_tf.scales`. "official" gives what the official
            network gives; "channel" runs on bits, but has other values and needs training.
        real: A network with slopes everywhere is the float one, not a student of BiFSMN. The
            weights do not tell the two apart.

    Returns:
        `bifsmn_tf.models.DFSMN`, `BiFSMN` or `BiFSMNv2`.

    Raises:
        ValueError: If the state is not that of an official D-FSMN, or the arguments do not fit it.
    """
    shapes = {key.removeprefix(DATA_PARALLEL): np.shape(value) for key, value in state.items()}
    first = _shape(shapes, "front_end.0.weight", 4)
    second = _shape(shapes, "front_end.3.weight", 4)
    memory_size, features = _shape(shapes, "fc1.0.weight", 2)
    num_classes, flat = _shape(shapes, "classifier.1.weight", 2)
    taps = _shape(shapes, "backbone.0.memory.0.weight", 3)[2]
    hidden_size = _shape(shapes, "backbone.0.fc_trans.0.weight", 3)[0]
    if features % second[0] or flat % memory_size or taps % 2 == 0:
        raise ValueError(
            "The sizes of an official D-FSMN should fit each other. Received: fc1.0.weight "
            f"{(memory_size, features)} after {second[0]} channels, classifier.1.weight "
            f"{(num_classes, flat)} and {taps} memory taps"
        )
    numbers = [re.match(r"backbone\.(\d+)\.", name) for name in shapes]
    sizes = {
        "num_classes": num_classes,
        "memory_size": memory_size,
        "hidden_size": hidden_size,
        "num_blocks": 1 + max(int(number[1]) for number in numbers if number),
        "frontend_kernel": first[2],
        "frontend_filters": (first[0], second[0]),
        "look_back": taps // 2,
        "look_ahead": taps // 2,
        # Two convolutions of stride 2.
        "num_mels": 4 * features // second[0],
        "num_frames": 4 * flat // memory_size,
        "labels": _default_labels(num_classes) if labels is None else labels,
    }

    is_v2 = "fc1.0.channel_threshold" in shapes
    has_slopes = "backbone.0.memory.2.weight" in shapes
    is_student = is_v2 or ("front_end.2.weight" in shapes and not real)
    if real and is_v2:
        raise ValueError(
            "Thresholds belong to a binarized network. Received: real=True and the state of "
            "BiFSMNv2"
        )
    if not is_student:
        if num_switches not in (None, 1):
            raise ValueError(
                f"A float network has one switch. Received: num_switches={num_switches!r}"
            )
        activation = "relu"
        if has_slopes:
            activation = "prelu" if "front_end.2.weight" in shapes else "pre"
        return models.DFSMN(activation=activation, **sizes)
    # The non-thinnable class numbers its only last normalization inside `fc_trans`.
    available = 1
    while f"backbone.0.bn{available}.weight" in shapes and (
        2**available <= sizes["num_blocks"]
    ):
        available += 1
    if num_switches is None:
        num_switches = min(available, _TRAINED_SWITCHES)
    if not isinstance(num_switches, int) or not 1 <= num_switches <= available:
        raise ValueError(
            f"`num_switches` should be an integer from 1 to {available}, as many as the state "
            f"holds. Received: num_switches={num_switches!r}"
        )
    return (models.BiFSMNv2 if is_v2 else models.BiFSMN)(
        switches=tuple(0.5**i for i in range(num_switches)), weight_scale=weight_scale, **sizes
    )
