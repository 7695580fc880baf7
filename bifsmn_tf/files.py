"""Writing files completely or not at all."""

import contextlib
import errno
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

    Raises:
        OSError: If the folder cannot be made or written to.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(errno.ENOTDIR, "Not a folder", str(path.parent)) from error
    temporary = path.with_name(f".partial-{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
