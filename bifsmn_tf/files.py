"""Writing files completely or not at all."""

import contextlib
import os
from pathlib import Path


@contextlib.contextmanager
def replacing(path):
    """Gives a temporary path beside `path` that takes its place when the block succeeds.

    A reader never meets a half-written file, and an interrupted writer leaves the old one.

    Args:
        path: File to write.

    Yields:
        A path with the same suffix to write to.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".partial-{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
