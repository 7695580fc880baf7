#!/usr/bin/env python3
"""Modelled cycles of whole inferences on ARM cores, without a board.

The models run in a TFLite interpreter on an emulated ARM machine that logs every executed block;
LLVM's models of the cores say how many cycles a block costs. The figures know issue width and
latency, but no caches, no memory and no branch misses.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import _common

from bifsmn_tf.benchmarking import cycles, emulator
from bifsmn_tf.benchmarking.llvm import LLVM
from bifsmn_tf.benchmarking.subject import read

_ROOT = Path(__file__).resolve().parent.parent / ".emulated" / "aarch64"
# The emulator does not know every core LLVM has a model of: one with the same instructions. LLVM
# schedules for the Cortex-A76 as for the A57; its model of the Neoverse N1, which is an A76 for
# servers, is closer.
_EMULATED_AS = {
    "neoverse-n1": "cortex-a76",
    "cortex-a55": "cortex-a76",
    "cortex-a73": "cortex-a72",
    "cortex-a75": "cortex-a76",
}


def parser():
    """The command line."""
    result = argparse.ArgumentParser(
        prog="modelled_cycles.py", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    result.add_argument("model", metavar="MODEL.tflite", type=Path)
    result.add_argument(
        "--against", metavar="PEER.tflite", type=Path, action="append", default=[],
        help="another network's file to compare with; may be given again",
    )  # fmt: skip
    result.add_argument(
        "--cpu", type=_names, default=["cortex-a53", "cortex-a76"], metavar="CORE,...",
        help="cores to model (default cortex-a53,cortex-a76); neoverse-n1 is a closer model of "
        "the Cortex-A76's pipeline than LLVM's own",
    )  # fmt: skip
    result.add_argument(
        "--thin", type=_common.switches_or_all, metavar="all|1.0,0.5",
        help="switches of MODEL.tflite (default all)",
    )  # fmt: skip
    result.add_argument(
        "--runtime", choices=emulator.RUNTIMES, default="tflite-runtime",
        help="interpreter in the emulated machine (default %(default)s)",
    )  # fmt: skip
    result.add_argument(
        "--root", type=Path, default=_ROOT, metavar="DIR",
        help="the emulated machine, made by tools/emulated_root.sh (default .emulated/aarch64)",
    )  # fmt: skip
    result.add_argument(
        "--library", type=Path, metavar="FILE", help="another libbifsmn_ops.so for aarch64"
    )
    result.add_argument(
        "--llvm", type=_common.positive_int, default=19, metavar="N",
        help="version of LLVM whose models to use (default %(default)s)",
    )  # fmt: skip
    result.add_argument(
        "--inferences", type=_common.positive_int, default=2, metavar="N",
        help="inferences to average over (default %(default)s)",
    )  # fmt: skip
    result.add_argument(
        "--top", type=_common.natural_int, default=8, metavar="N",
        help="costliest functions and blocks to print per switch (default %(default)s)",
    )  # fmt: skip
    result.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    return result


def _names(text):
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise argparse.ArgumentTypeError(
            f"expected cores such as cortex-a53,cortex-a76. Received: {text}"
        )
    return list(dict.fromkeys(names))


def main(argv=None):
    """Runs the tool."""
    arguments = parser().parse_args(argv)
    for path in (arguments.model, *arguments.against):
        read(path)
    llvm = LLVM(arguments.llvm)
    emulated = _emulated_cores(arguments.cpu)
    for cpu in arguments.cpu:
        llvm.cycles(cpu, {cpu: ["nop"]})  # fails now rather than after minutes of tracing

    # Cores that the emulator takes for the same execute the same instructions.
    traces = {}
    for core in dict.fromkeys(emulated.values()):
        machine = emulator.Emulator(arguments.root, core, arguments.runtime, arguments.library)
        for path in dict.fromkeys((arguments.model, *arguments.against)):
            print(f"tracing {path.name} on an emulated {core} ...", file=sys.stderr)
            wanted = arguments.thin if path == arguments.model else None
            traces[core, path] = machine.trace(path, wanted, arguments.inferences)

    report = {
        "note": cycles.NOTE, "llvm": arguments.llvm, "runtime": arguments.runtime, "cores": {}
    }
    for cpu in arguments.cpu:
        profiles = {
            path: {
                switch: cycles.profile(executions, trace.libraries, llvm, cpu)
                for switch, executions in trace.executions.items()
            }
            for path in dict.fromkeys((arguments.model, *arguments.against))
            for trace in [traces[emulated[cpu], path]]
        }
        interpreter = traces[emulated[cpu], arguments.model].interpreter
        print(f"\n{cpu}: {interpreter}, core model of LLVM {arguments.llvm}; {cycles.NOTE}")
        _print_table(profiles, arguments)
        if arguments.top:
            _print_profiles(profiles[arguments.model], arguments)
        report["interpreter"] = interpreter
        report["cores"][cpu] = {
            str(path): {str(s): _to_dict(p, arguments.top) for s, p in by_switch.items()}
            for path, by_switch in profiles.items()
        }
    if arguments.json is not None:
        _common.write_json(report, arguments.json)


def _emulated_cores(cpus):
    """The emulator's core for every core to model."""
    result = subprocess.run(
        ["qemu-aarch64-static", "-cpu", "help"], capture_output=True, text=True, check=False
    )
    known = {line.strip() for line in result.stdout.splitlines() if line.startswith(" ")}
    chosen = {cpu: _EMULATED_AS.get(cpu, cpu) for cpu in cpus}
    for cpu, core in chosen.items():
        if core not in known:
            raise ValueError(
                f"--cpu should name cores that can be emulated: {', '.join(sorted(known))}. "
                f"Received: {cpu}"
            )
    return chosen


def peer_switch(switch, by_switch):
    """A peer's switch to compare with: the same one, or its largest."""
    return switch if switch in by_switch else max(by_switch)


def _print_table(profiles, arguments):
    peers = [path for path in profiles if path != arguments.model]
    names = _common.short_names(profiles)
    width = max(map(len, names.values()))
    header = f"  {'model':<{width}}  switch  modelled cycles  instructions          SIMD"
    print(header + "".join(f"   {'x ' + names[peer]:>{len(names[peer]) + 2}}" for peer in peers))
    for path, by_switch in profiles.items():
        for switch, p in by_switch.items():
            line = (
                f"  {names[path]:<{width}}  {switch:>6}  {p.cycles:>15,.0f}  "
                f"{p.instructions:>12,.0f}  {p.simd:>12,.0f}"
            )
            if path == arguments.model:
                for peer in peers:
                    other = profiles[peer][peer_switch(switch, profiles[peer])]
                    line += f"   {other.cycles / p.cycles:>{len(names[peer]) + 2}.2f}"
            print(line)


def _print_profiles(by_switch, arguments):
    for switch, p in by_switch.items():
        total = p.cycles
        print(f"  {arguments.model.name} {switch}, modelled cycles by function:")
        for name, (cost, _) in list(p.functions.items())[: arguments.top]:
            print(f"    {100 * cost / total:5.1f} %  {cost:>11,.0f}  {name}")
        print(f"  {arguments.model.name} {switch}, hottest blocks:")
        for block in p.blocks[: arguments.top]:
            cost = block.executions * block.cycles
            print(
                f"    {100 * cost / total:5.1f} %  {block.executions:>9,.0f} x "
                f"{block.cycles:6.1f} cycles, {len(block.instructions):>3} instructions  "
                f"{block.function}: {block.instructions[0]} ..."
            )


def _to_dict(p, top):
    return {
        "modelled_cycles": p.cycles,
        "instructions": p.instructions,
        "simd_instructions": p.simd,
        "cycles_by_library": p.libraries,
        "functions": {
            name: {"modelled_cycles": cost, "instructions": count}
            for name, (cost, count) in p.functions.items()
        },
        "blocks": [block._asdict() for block in p.blocks[:top]],
    }


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.exit(_common.run(main))
