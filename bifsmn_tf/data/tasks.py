"""The classification tasks on Speech Commands: which words, which labels, in which order."""

from __future__ import annotations

from collections.abc import Iterable

UNKNOWN = "_unknown_"
SILENCE = "_silence_"
PROTOCOLS = ("warden", "paper")

WORDS_10 = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
KEYWORDS_8 = ("yes", "no", "up", "down", "left", "right", "stop", "go")
WORDS_20 = WORDS_10 + (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
)  # fmt: skip
WORDS_35 = (
    "backward", "bed", "bird", "cat", "dog", "down", "eight", "five", "follow", "forward",
    "four", "go", "happy", "house", "learn", "left", "marvin", "nine", "no", "off", "on", "one",
    "right", "seven", "sheila", "six", "stop", "three", "tree", "two", "up", "visual", "wow",
    "yes", "zero",
)  # fmt: skip
# Version 0.01 of the archive has no recordings of these; the 35-way head keeps their outputs.
WORDS_NEW_IN_V2 = ("backward", "follow", "forward", "learn", "visual")

_NAMED = {10: KEYWORDS_8, 12: WORDS_10, 20: WORDS_20, 35: WORDS_35}


def task_words(task: int | Iterable[str]) -> tuple[str, ...]:
    """The keywords of a task.

    Args:
        task: 12 (ten words, unknown, silence), 10 (the same without "on" and "off"), 20 or 35,
            or the keywords themselves.

    Returns:
        The keywords, in label order.

    Raises:
        ValueError: If the task is not known, or the words are none, repeated or reserved.
    """
    if isinstance(task, int) and not isinstance(task, bool):
        if task in _NAMED:
            return _NAMED[task]
    elif not isinstance(task, (str, bytes)) and isinstance(task, Iterable):
        words = tuple(task)
        if not all(isinstance(word, str) and word for word in words):
            raise ValueError(f"The words of `task` must be strings. Received: task={words!r}")
        if not words:
            raise ValueError("`task` must name at least one word. Received: no word")
        repeated = sorted({word for word in words if words.count(word) > 1})
        if repeated:
            raise ValueError(
                f"The words of `task` must be different. Received: {', '.join(repeated)} "
                f"more than once in {words!r}"
            )
        reserved = [word for word in words if word.startswith("_")]
        if reserved:
            raise ValueError(
                "Words beginning with '_' are reserved: the unknown and silence classes are "
                f"added by the protocol. Received: {', '.join(reserved)}"
            )
        return words
    raise ValueError(
        "`task` must be 10, 12, 20, 35 or a sequence of words such as ('yes', 'no'). "
        f"Received: task={task!r}"
    )


def has_extra_classes(task: int | Iterable[str]) -> bool:
    """Whether a task has the unknown and silence classes (20 and 35 have neither)."""
    return not (isinstance(task, int) and task in (20, 35))


def check_protocol(protocol: str) -> str:
    """Checks a protocol's name.

    Args:
        protocol: `"warden"` or `"paper"`.

    Returns:
        The name.

    Raises:
        ValueError: If it is neither.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(
            f"`protocol` must be one of {', '.join(PROTOCOLS)}. Received: protocol={protocol!r}"
        )
    return protocol


def task_labels(
    words: tuple[str, ...], protocol: str, unknown: bool, silence: bool
) -> tuple[str, ...]:
    """The labels of a task, in the order of the network's outputs.

    Args:
        words: The keywords.
        protocol: `"warden"` puts silence first, `"paper"` unknown.
        unknown: Whether there is an unknown class.
        silence: Whether there is a silence class.

    Returns:
        The labels.
    """
    extra = (SILENCE,) * silence + (UNKNOWN,) * unknown
    if protocol == "paper":
        extra = extra[::-1]
    return extra + words
