"""Reading the emulator's log of executed blocks.

With `-d exec,nochain,in_asm` the emulator prints a block's machine words when it translates it
and a line whenever it executes it. Two runs of one program, the second with more inferences,
then differ by what those inferences executed.
"""

import collections
import re
from typing import NamedTuple

_WORD = re.compile(r"0x([0-9a-f]+):\s+([0-9a-f]{8})(?:\s|$)")
_EXECUTED = re.compile(r"^Trace \d+: 0x[0-9a-f]+ \[[0-9a-f]+/([0-9a-f]+)/")


class Block(NamedTuple):
    """A run of instructions without a branch into or out of its middle.

    Attributes:
        address: Where it begins.
        words: Its instructions, each 8 hexadecimal digits.
    """

    address: int
    words: tuple


def read_trace(lines):
    """Counts how often every block was executed.

    Args:
        lines: The log's lines. Lines of any other form are passed over.

    Returns:
        `collections.Counter` from `Block` to executions.

    Raises:
        ValueError: If a block is executed that the log never showed.
    """
    counts = collections.Counter()
    # The same address can be translated again, perhaps to another length: the latest counts.
    current, words, address = {}, None, None
    for line in lines:
        if line.startswith("Trace "):
            match = _EXECUTED.match(line)
            if match is None:
                raise ValueError(f"The log has an unknown form. Received: {line.strip()!r}")
            pc = int(match[1], 16)
            if pc not in current:
                raise ValueError(
                    f"The log should show every block before it is executed. Received: {pc:#x}"
                )
            counts[current[pc]] += 1
        elif line.startswith("IN:"):
            words, address = [], None
        elif words is not None:
            match = _WORD.match(line)
            if match:
                address = int(match[1], 16) if address is None else address
                words.append(match[2])
                current[address] = Block(address, tuple(words))
            elif words:
                words = None
    return counts


def difference(less, more, inferences):
    """Executions per inference.

    Args:
        less: Counter of the run with fewer inferences.
        more: Counter of the run with `inferences` more.
        inferences: How many more; positive.

    Returns:
        Dictionary from `Block` to executions per inference, positive ones only.
    """
    return {
        block: (count - less.get(block, 0)) / inferences
        for block, count in more.items()
        if count > less.get(block, 0)
    }
