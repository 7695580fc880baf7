"""Reads a PyTorch checkpoint without running anything that it contains."""

import pickle
import re
import zipfile

import numpy as np

# Where training programs keep the weights among other things.
_NESTED = ("state_dict", "model")


def read_checkpoint(path):
    """Reads the weights in a PyTorch file. Needs torch.

    Only tensors and plain containers are read; a file with any other pickled object is refused,
    because unpickling could run its code.

    Args:
        path: File with a `state_dict`, bare or under the key "state_dict" or "model".

    Returns:
        Dictionary from PyTorch names to float arrays.

    Raises:
        ImportError: If torch is not installed.
        ValueError: If the file holds no `state_dict`.
    """
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            "Reading a PyTorch checkpoint needs torch, which only this uses: pip install torch"
        ) from error
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, zipfile.BadZipFile, EOFError, RuntimeError) as error:
        # torch's own message advises to read the file in the way that runs what is in it.
        other = re.search(r"GLOBAL ([\w.]+)", str(error))
        raise ValueError(
            f"{path} should be a PyTorch file of tensors only, as torch.save(model.state_dict(), "
            f"file) writes it. Received: {f'an object {other[1]}' if other else 'something else'}"
        ) from error
    for key in _NESTED:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not content or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor)
        for name, value in content.items()
    ):
        keys = list(content)[:5] if isinstance(content, dict) else type(content).__name__
        raise ValueError(
            f"{path} should hold a state_dict, bare or under one of the keys {_NESTED}. "
            f"Received: {keys}"
        )
    return {
        name: np.asarray(value.detach().to(torch.float32)) for name, value in content.items()
    }
