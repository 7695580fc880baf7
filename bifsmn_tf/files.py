"""Writing files completely or not at all."""

import contextlib
import errno
import os
from pathlib import Path

try:
    import fcntl
except ImportError:  # not a Unix: nothing is locked
    fcntl = None


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


@contextlib.contextmanager
def held(folder):
    """Keeps other processes out of a folder for as long as the block runs.

    What a process that was killed held is free again. Reading needs no such care.

    Args:
        folder: Folder that is written to; made if it is missing.

    Raises:
        ValueError: If another process holds it.
        OSError: If the folder cannot be made or written to.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w", encoding="utf-8") as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ValueError(
                    "A folder should be written to by one training at a time. Received: "
                    f"{folder}, which another process is writing to"
                ) from error
        yield
