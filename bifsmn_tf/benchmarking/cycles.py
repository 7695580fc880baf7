"""Modelled cycles of an inference: what was executed, times what LLVM says a pass costs."""

import bisect
import collections
import os
import struct
import subprocess
from typing import NamedTuple

from bifsmn_tf.benchmarking.llvm import is_simd

NOTE = "models issue width and latency; knows no caches, no memory and no branch misses"


class Block(NamedTuple):
    """One block of the profile.

    Attributes:
        function: Name of its function, or of its library and the position in it.
        executions: Per inference.
        cycles: Modelled cycles of one pass.
        instructions: Assembly, list of strings.
    """

    function: str
    executions: float
    cycles: float
    instructions: list


class Profile(NamedTuple):
    """Modelled cost of one inference.

    Attributes:
        cycles: Modelled cycles.
        instructions: Executed instructions.
        simd: Those of them on lanes of vector registers.
        libraries: Dictionary from kinds of libraries to cycles.
        functions: Dictionary from functions to `(cycles, instructions)`, costliest first.
        blocks: List of `Block`, costliest first.
    """

    cycles: float
    instructions: float
    simd: float
    libraries: dict
    functions: dict
    blocks: list


class Symbols:
    """Names of the functions of a library as it was loaded.

    Args:
        library: `bifsmn_tf.benchmarking.emulator.Library`.
        nm: Program that lists symbols, such as "llvm-nm-19".
    """

    def __init__(self, library, nm):
        self._library = library
        self._starts, self._entries = [], []
        shift = library.first - library.offset - _address_minus_offset(library)
        for options in ((), ("-D",)):
            result = subprocess.run(
                [nm, "-C", "-S", "--defined-only", "-n", *options, library.path],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            for line in result.stdout.splitlines():
                fields = line.split(None, 3)
                if len(fields) == 4 and fields[2] in "TtWwi":
                    start = int(fields[0], 16) + shift
                    self._entries.append((start, start + int(fields[1], 16), fields[3]))
            if self._entries:
                break
        self._entries.sort()
        self._starts = [entry[0] for entry in self._entries]

    def name(self, address):
        """The function that holds the address, or None."""
        index = bisect.bisect_right(self._starts, address) - 1
        if index >= 0 and address < self._entries[index][1]:
            return self._entries[index][2].partition("(")[0] or self._entries[index][2]
        return None


def _address_minus_offset(library):
    """How far an executable segment's addresses are from its position in the file."""
    with open(library.path, "rb") as file:
        header = file.read(64)
        if header[:5] != b"\x7fELF\x02":
            raise ValueError(f"A library should be a 64-bit ELF file. Received: {library.path}")
        (table,) = struct.unpack_from("<Q", header, 32)
        size, count = struct.unpack_from("<HH", header, 54)
        file.seek(table)
        headers = file.read(size * count)
    for i in range(count):
        kind, flags, offset, address, _, length = struct.unpack_from("<IIQQQQ", headers, i * size)
        loaded, executable = kind == 1, flags & 1
        if loaded and executable and offset - 65536 < library.offset < offset + length:
            return address - offset
    return 0


def profile(executions, libraries, llvm, cpu):
    """Costs what was executed.

    Args:
        executions: Dictionary from `trace.Block` to executions per inference.
        libraries: List of `emulator.Library`.
        llvm: `llvm.LLVM`.
        cpu: LLVM's name of the core.

    Returns:
        A `Profile`.
    """
    assembly = llvm.disassemble({word for block in executions for word in block.words})
    text = {block: [assembly[word] for word in block.words] for block in executions}
    cycles = llvm.cycles(cpu, text)
    symbols = {library: Symbols(library, llvm.nm) for library in libraries}

    kinds = collections.Counter({library.kind: 0.0 for library in libraries})
    functions = collections.defaultdict(lambda: [0.0, 0.0])
    blocks, instructions, simd = [], 0.0, 0.0
    for block, count in executions.items():
        library = next(x for x in libraries if x.holds(block.address))
        cost, length = count * cycles[block], count * len(block.words)
        kinds[library.kind] += cost
        file = os.path.basename(library.path)
        name = symbols[library].name(block.address)
        place = name or f"{file}+{block.address - library.first + library.offset:#x}"
        group = functions[name or f"{file} (no symbols)"]
        group[0] += cost
        group[1] += length
        blocks.append(Block(place, count, cycles[block], text[block]))
        instructions += length
        simd += count * sum(map(is_simd, text[block]))
    return Profile(
        cycles=sum(kinds.values()),
        instructions=instructions,
        simd=simd,
        libraries=dict(kinds),
        functions={
            name: tuple(group)
            for name, group in sorted(functions.items(), key=lambda item: -item[1][0])
        },
        blocks=sorted(blocks, key=lambda block: -block.executions * block.cycles),
    )
