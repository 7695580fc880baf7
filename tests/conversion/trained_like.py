"""Models that look trained: every folded constant differs from its initial value."""

import numpy as np

SIZES = {"memory_size": 48, "hidden_size": 72, "num_blocks": 4, "frontend_kernel": 3}


def give_statistics(model, seed=0, negative=0.2):
    """Replaces normalizations and slopes by random values, some factors negative."""
    random = np.random.default_rng(seed)
    for variable in model.weights:
        shape = tuple(variable.shape)
        name = variable.path.rsplit("/", 1)[1]
        if name == "gamma":
            signs = np.where(random.random(shape) < negative, -1, 1)
            variable.assign(random.uniform(0.5, 1.5, shape) * signs)
        elif name in ("beta", "moving_mean"):
            variable.assign(random.normal(0, 0.5, shape))
        elif name == "moving_variance":
            variable.assign(random.uniform(0.5, 3.0, shape))
        elif name == "slope":
            variable.assign(random.uniform(0.05, 0.4))
        elif name.startswith("threshold"):  # of LPB and LSQ
            variable.assign(random.normal(0, 0.2, shape))
        elif name == "step":  # of LSQ
            variable.assign(random.uniform(0.4, 1.5))
    # The first normalization sees decibels.
    first = getattr(model, "norm1", None) or getattr(model, "input_norm", None)
    if first is not None:
        first.moving_mean.assign(random.normal(0, 10, first.moving_mean.shape))
        first.moving_variance.assign(random.uniform(100, 900, first.moving_mean.shape))
    return model
