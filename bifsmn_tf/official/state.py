"""Weights of the official PyTorch networks: their names and layouts, and ours."""

import re

import numpy as np

from bifsmn_tf.models.variables import variables_by_path


# What torch.nn.DataParallel puts before every name.
DATA_PARALLEL = "module."


def _same(value):
    return value


def _convolution(value):  # (out, in, height, width) -> (height, width, in, out)
    return value.transpose(2, 3, 1, 0)


def _linear(value):  # (out, in) -> (in, out)
    return value.T


def _pointwise(value):  # (out, in, 1) -> (in, out)
    return np.squeeze(value, axis=2).T


def _memory(value):  # (channels, 1, taps) -> (taps, channels)
    return np.squeeze(value, axis=1).T


def _scalar(value):  # (1,) or () -> ()
    return value.reshape(())


def _per_channel(value):  # (1, channels), (1, channels, 1) or (1, channels, 1, 1) -> (channels,)
    return value.reshape(value.shape[1])


def _window(value):
    # The released code takes the sign of window * x, ours of x: the same for positive windows.
    if not np.all(value > 0):
        raise ValueError("a window should be positive")
    return value.reshape(())


def _module(ours, kernel):
    return {"weight": (f"{ours}/kernel", kernel), "bias": (f"{ours}/bias", _same)}


def _binarized(ours, kernel):
    """A layer that has the variables of BiFSMNv2's binarizer in a network of that version."""
    return {
        **_module(ours, kernel),
        "channel_threshold": (f"{ours}/threshold0", _per_channel),
        "channel_threshold_1": (f"{ours}/threshold1", _per_channel),
        "channel_threshold_2": (f"{ours}/threshold2", _per_channel),
        **{f"quant{i}.alpha": (f"{ours}/window{i}", _window) for i in (1, 2, 3)},
    }


def _norm(ours):
    return {
        "weight": (f"{ours}/gamma", _same),
        "bias": (f"{ours}/beta", _same),
        "running_mean": (f"{ours}/moving_mean", _same),
        "running_var": (f"{ours}/moving_variance", _same),
    }


def _activation(ours):
    return {"weight": (f"{ours}/slope", _scalar)}


def _block(number, num_switches):
    """Modules of one block. The plain networks number the last normalization inside `fc_trans`,
    the thinnable ones have `bn<switch>` and `act<switch>`."""
    ours = f"block{number + 1}"
    modules = {
        "memory.0": _binarized(f"{ours}/memory", _memory),
        "memory.1": _norm(f"{ours}/memory_norm/bn0"),
        "memory.2": _activation(f"{ours}/memory_activation"),
        "fc_trans.0": _binarized(f"{ours}/hidden", _pointwise),
        "fc_trans.1": _norm(f"{ours}/hidden_norm/bn0"),
        "fc_trans.2": _activation(f"{ours}/hidden_activation"),
        "fc_trans.4": _binarized(f"{ours}/projection", _pointwise),
        "fc_trans.5": _norm(f"{ours}/output_norm/bn0"),
        "fc_trans.6": _activation(f"{ours}/output_activation0"),
    }
    for switch in range(num_switches):
        modules[f"bn{switch}"] = _norm(f"{ours}/output_norm/bn{switch}")
        modules[f"act{switch}"] = _activation(f"{ours}/output_activation{switch}")
    return {f"backbone.{number}.{name}": value for name, value in modules.items()}


def _name_map(model):
    """Official parameter name -> (our path, layout change)."""
    modules = {
        "front_end.0": _module("conv1", _convolution),
        "front_end.1": _norm("norm1"),
        "front_end.2": _activation("activation1"),
        "front_end.3": _binarized("conv2", _convolution),
        "front_end.4": _norm("norm2"),
        "front_end.5": _activation("activation2"),
        "fc1.0": _binarized("fc1", _linear),
        "fc1.1": _activation("fc1_activation"),
        "classifier.1": _module("classifier", _linear),
    }
    for number in range(model.num_blocks):
        modules.update(_block(number, len(model.switches)))
    return {
        f"{module}.{parameter}": target
        for module, parameters in modules.items()
        for parameter, target in parameters.items()
    }


def load_state(model, state):
    """Carries the weights of an official network over to one of ours.

    Teachers ("pre"), plain float networks, and students of BiFSMN and BiFSMNv2, thinnable or not,
    of any size. Nothing is changed unless everything fits.

    Args:
        model: `bifsmn_tf.models.DFSMN`, `BiFSMN` or `BiFSMNv2` of the same sizes.
        state: Mapping from PyTorch parameter names to arrays, as in a `state_dict`. A "module."
            prefix and `num_batches_tracked` are ignored, and so is a trailing switch that the
            model does not have (the official class holds a fourth, unused one).

    Raises:
        ValueError: If names or shapes do not fit, or a window of BiFSMNv2's binarizer is not
            positive: there the released code's sign is flipped.
    """
    names = _name_map(model)
    variables = variables_by_path(model)
    values, unknown = {}, []
    for key, array in state.items():
        name = key.removeprefix(DATA_PARALLEL)
        if name.endswith("num_batches_tracked"):
            continue
        extra_switch = re.fullmatch(r"backbone\.\d+\.(?:bn|act)(\d+)\..+", name)
        if extra_switch and int(extra_switch[1]) >= len(model.switches):
            continue
        path, change_layout = names.get(name, (None, None))
        if path not in variables:
            unknown.append(name)
            continue
        array = np.asarray(array, np.float32)
        try:
            value = change_layout(array)
        except (ValueError, IndexError) as error:
            raise ValueError(
                f"`{name}` should fit {path} of shape {tuple(variables[path].shape)}: {error}. "
                f"Received: shape {array.shape}"
            ) from error
        if tuple(value.shape) != tuple(variables[path].shape):
            raise ValueError(
                f"`{name}` should become {path} of shape {tuple(variables[path].shape)}. "
                f"Received: shape {array.shape}, which becomes {value.shape}"
            )
        values[path] = value
    missing = sorted(set(variables) - set(values))
    if unknown or missing:
        raise ValueError(
            f"The state should be that of a network like this {type(model).__name__}. "
            f"Received {len(unknown)} unknown parameters {unknown[:5]} and none for "
            f"{len(missing)} of the model's variables {missing[:5]}"
        )
    for path, value in values.items():
        variables[path].assign(value)
