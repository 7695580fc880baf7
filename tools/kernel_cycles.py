#!/usr/bin/env python3
"""Modelled cycles of the aarch64 kernels' inner loops, without a board.

Compiles each kernel as the library is compiled, takes its innermost loop from the assembly, and
asks LLVM's models of the cores what one pass costs. A pair is one 128-bit word of activations
against one of weights: 128 binary multiply-accumulates (bMAC). Everything inside the loop counts:
loads, the reduction of the counts, and what the kernel does with them. The models know issue
width and latency, but no caches, no memory and no branch misses.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import _common

from bifsmn_tf.benchmarking.llvm import LLVM, is_simd

_REPOSITORY = Path(__file__).resolve().parent.parent
_FOLDER = _REPOSITORY / "custom_ops" / "kernels"
# As in .bazelrc and in the cross toolchain's optimised mode.
_FLAGS = (
    "-O2", "-DNDEBUG", "-std=c++17", "-ffp-contract=off", "-fvisibility=hidden",
    "-fvisibility-inlines-hidden", "-fstack-protector", "-fPIC",
)  # fmt: skip
_CORES = ("cortex-a53", "cortex-a55", "cortex-a72", "neoverse-n1")
_PAIR_BITS = 128


class Kernel(NamedTuple):
    """A loop to measure: the one with most xors in a function, found by a part of its name."""

    name: str
    file: str
    function: str
    end: str


KERNELS = (
    Kernel("FBCK 4x16, K=256", "neon_fbck_4x16_a53.cc", "FbckLoopILi16E", "16-bit counts"),
    Kernel("FBCK 4x16, K=128", "neon_fbck_4x16_a53.cc", "FbckLoopILi8E", "16-bit counts"),
    Kernel("tree 8x1, K=256", "neon_tree_8x1_a53.cc", "NeonTree8x1K256A53E", "16-bit counts"),
    Kernel("tree 8x1, K=256", "neon_tree_8x1_a53.cc", "NeonTree8x1K256BitsA53E", "bits"),
    Kernel("tree 8x1, K>256", "neon_tree_8x1_a53.cc", "NeonTree8x1K256AddA53E", "added counts"),
    Kernel("tree 8x1, K=128", "neon_tree_8x1_a53.cc", "NeonTree8x1K128A53E", "16-bit counts"),
    Kernel("tree 8x2, K=128", "neon_tree_8x2_k128_a53.cc", "NeonTree8x2K128BitsA53E", "bits"),
)


class Loop(NamedTuple):
    """An innermost loop.

    Attributes:
        lines: Its instructions; branch targets are `#0`.
        pairs: 128-bit words of activations times weights that one pass handles.
        simd: Its instructions on vector lanes.
        loads: Its vector loads.
    """

    lines: list
    pairs: int
    simd: int
    loads: int


def assembly(file, compiler="aarch64-linux-gnu-g++"):
    """Assembly of one file of the kernels, compiled as for the library.

    Args:
        file: Name in `custom_ops/kernels`.
        compiler: The cross compiler.

    Returns:
        The lines.

    Raises:
        RuntimeError: If the compiler is missing or fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "kernel.s"
        command = [compiler, *_FLAGS, f"-I{_REPOSITORY}", "-S", "-o", str(out), _FOLDER / file]
        try:
            result = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise RuntimeError(
                f"{compiler} is needed (Debian: g++-aarch64-linux-gnu). Received: none"
            ) from None
        if result.returncode:
            raise RuntimeError(f"{compiler} failed on {file}: {result.stderr.strip()[:600]}")
        return out.read_text().splitlines()


def innermost_loop(lines, function):
    """The innermost loop with most xors in a function.

    Args:
        lines: Assembly of a file.
        function: Part of the mangled name.

    Returns:
        A `Loop`.

    Raises:
        ValueError: If no function, or more than one, has that name, or if it has no loop.
    """
    bodies, name = {}, None
    for line in lines:
        if match := re.match(r"(\w+):\s*$", line):
            name = match[1]
            bodies[name] = []
        elif name is not None:
            bodies[name].append(line.strip())
    # A compiler may split the unlikely part of a function off.
    names = [name for name in bodies if function in name and "cold" not in name]
    if len(names) != 1:
        raise ValueError(
            f"one function should have {function!r} in its name. Received: {names or 'none'}"
        )
    body = bodies[names[0]]
    labels = {line[:-1]: i for i, line in enumerate(body) if re.match(r"\.L\w+:$", line)}
    loops = []
    for end, line in enumerate(body):
        match = re.match(r"(?:b\.?\w*|cbn?z|tbn?z)\s+(?:.*,\s*)?(\.L\w+)$", line)
        if match and labels.get(match[1], end) < end:
            loops.append((labels[match[1]], end))
    inner = [
        (start, end) for start, end in loops
        if not any(start < s and e < end for s, e in loops)
    ]  # fmt: skip
    if not inner:
        raise ValueError(f"{names[0]} should have a loop. Received: none")
    candidates = [_loop(body[start:end + 1]) for start, end in inner]
    return max(candidates, key=lambda loop: loop.pairs)


def _loop(body):
    lines = [re.sub(r"\.L\w+$", "#0", line) for line in body if line and line[0] not in ".#/"]
    lines = [re.sub(r"\s+", " ", line) for line in lines if not line.endswith(":")]
    names = [line.split()[0] for line in lines]
    vector_loads = sum(
        name.startswith("ld") and re.search(r"^\w+ \{?[qdv]\d", line) is not None
        for name, line in zip(names, lines)
    )
    simd = sum(is_simd(line) and not line.startswith("ld") for line in lines)
    return Loop(lines, names.count("eor"), simd, vector_loads)


def measure(kernels, cores, llvm):
    """Models every kernel on every core.

    Args:
        kernels: `Kernel` objects.
        cores: LLVM's names of cores.
        llvm: An `LLVM`.

    Returns:
        A list of dictionaries, one per kernel, with `cycles_per_pair` and `bmac_per_cycle` by core.
    """
    files = {kernel.file: assembly(kernel.file) for kernel in kernels}
    loops = [innermost_loop(files[kernel.file], kernel.function) for kernel in kernels]
    blocks = {i: loop.lines for i, loop in enumerate(loops)}
    cycles = {core: llvm.cycles(core, blocks) for core in cores}
    return [
        {
            "kernel": kernel.name,
            "end": kernel.end,
            "file": kernel.file,
            "pairs": loop.pairs,
            "instructions": len(loop.lines),
            "simd_per_pair": loop.simd / loop.pairs,
            "loads_per_pair": loop.loads / loop.pairs,
            "cycles_per_pair": {core: cycles[core][i] / loop.pairs for core in cores},
            "bmac_per_cycle": {
                core: _PAIR_BITS * loop.pairs / cycles[core][i] for core in cores
            },
        }
        for i, (kernel, loop) in enumerate(zip(kernels, loops))
    ]


def parser():
    """The command line."""
    result = argparse.ArgumentParser(
        prog="kernel_cycles.py", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    result.add_argument(
        "--cpu", type=lambda text: text.split(","), default=list(_CORES), metavar="CORE,...",
        help=f"cores to model (default {','.join(_CORES)})",
    )  # fmt: skip
    result.add_argument(
        "--llvm", type=_common.positive_int, default=19, metavar="N",
        help="version of LLVM whose models to use (default %(default)s)",
    )  # fmt: skip
    result.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    return result


def main(argv=None):
    """Runs the tool."""
    arguments = parser().parse_args(argv)
    rows = measure(KERNELS, arguments.cpu, LLVM(arguments.llvm))
    heads = "".join(f"{core:>16}" for core in arguments.cpu)
    print(f"modelled cycles per pair (bMAC per cycle), core models of LLVM {arguments.llvm}")
    print(f"{'kernel':<18}{'ends in':<15}{'SIMD/pair':>10}{'loads/pair':>11}{heads}")
    for row in rows:
        figures = "".join(
            f"{row['cycles_per_pair'][core]:>8.2f} ({row['bmac_per_cycle'][core]:>5.1f})"
            for core in arguments.cpu
        )
        print(
            f"{row['kernel']:<18}{row['end']:<15}{row['simd_per_pair']:>10.3f}"
            f"{row['loads_per_pair']:>11.3f}{figures}"
        )
    if arguments.json is not None:
        _common.write_json({"llvm": arguments.llvm, "kernels": rows}, arguments.json)


if __name__ == "__main__":
    sys.exit(_common.run(main))
