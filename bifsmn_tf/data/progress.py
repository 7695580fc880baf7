"""A progress bar on long work: tqdm where installed, and only on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def track(items: Iterable, total: int, description: str) -> Iterator:
    """Passes items through, with a progress bar when standard error is a terminal.

    Args:
        items: What to iterate over.
        total: Expected number of items.
        description: Text before the bar.

    Returns:
        An iterator over `items`.
    """
    try:
        import tqdm
    except ImportError:
        return iter(items)
    # disable=None is tqdm's way to say: silent when the output is no terminal.
    return iter(tqdm.tqdm(items, total=total, desc=description, disable=None, leave=False))


class ByteProgress:
    """A progress bar over bytes, usable as a context manager."""

    def __init__(self, total: int | None, done: int, description: str):
        """Starts the bar.

        Args:
            total: Number of bytes expected, or None if unknown.
            done: Number of bytes that are there already.
            description: Text before the bar.
        """
        try:
            import tqdm

            self._bar = tqdm.tqdm(
                total=total,
                initial=done,
                desc=description,
                unit="B",
                unit_scale=True,
                unit_divisor=1024,
                disable=None,
            )
        except ImportError:
            self._bar = None

    def update(self, count: int) -> None:
        """Moves the bar on by `count` bytes."""
        if self._bar is not None:
            self._bar.update(count)

    def __enter__(self) -> ByteProgress:
        return self

    def __exit__(self, *exc) -> None:
        if self._bar is not None:
            self._bar.close()
