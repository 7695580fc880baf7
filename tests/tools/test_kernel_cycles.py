"""tools/kernel_cycles.py: the inner loops of the aarch64 kernels, modelled and executed."""

import importlib
import json
import re
import shutil
import subprocess
import sys
from collections import Counter

import pytest

_COMPILER = "aarch64-linux-gnu-g++"
_EMULATOR = "qemu-aarch64-static"

pytestmark = pytest.mark.skipif(
    shutil.which(_COMPILER) is None, reason=f"{_COMPILER} is not installed"
)
needs_llvm = pytest.mark.skipif(
    shutil.which("llvm-mca-19") is None, reason="llvm-mca-19 is not installed"
)
needs_emulator = pytest.mark.skipif(
    shutil.which(_EMULATOR) is None, reason=f"{_EMULATOR} is not installed"
)


@pytest.fixture(scope="module")
def kernel_cycles(tools_dir):
    sys.path.insert(0, str(tools_dir))
    yield importlib.import_module("kernel_cycles")
    sys.path.remove(str(tools_dir))


@pytest.fixture(scope="module")
def report(tool, tmp_path_factory):
    path = tmp_path_factory.mktemp("cycles") / "report.json"
    assert tool("kernel_cycles", "--json", path) == 0
    return {(k["kernel"], k["end"]): k for k in json.loads(path.read_text())["kernels"]}


@needs_llvm
@pytest.mark.parametrize("kernel, end", [
    ("tree 8x2, K=128", "bits"), ("tree 8x1, K=128", "16-bit counts"),
    ("tree 8x1, K=256", "bits"), ("tree 8x1, K=256", "16-bit counts"),
])  # fmt: skip
def test_trees_reach_37_bmac_per_cycle_on_the_cortex_a53(report, kernel, end):
    assert report[kernel, end]["bmac_per_cycle"]["cortex-a53"] >= 37


@needs_llvm
def test_published_kernel_has_its_published_counts(report):
    row = report["FBCK 4x16, K=256", "16-bit counts"]
    # 8 xors, counts and additions in each of 16 steps, 8 widenings, for 128 pairs.
    assert row["simd_per_pair"] == pytest.approx(400 / 128, abs=0.01)
    assert 28 <= row["bmac_per_cycle"]["cortex-a53"] <= 33


@needs_llvm
def test_loops_keep_their_values_in_registers(kernel_cycles):
    for kernel in kernel_cycles.KERNELS:
        loop = kernel_cycles.innermost_loop(
            kernel_cycles.assembly(kernel.file), kernel.function
        )
        # K = 256 to bits needs one more register than there is, once in 16 outputs.
        assert sum("[sp" in line for line in loop.lines) <= 2, kernel


@needs_llvm
def test_xors_and_counts_are_one_for_each_pair(kernel_cycles):
    for kernel in kernel_cycles.KERNELS:
        loop = kernel_cycles.innermost_loop(
            kernel_cycles.assembly(kernel.file), kernel.function
        )
        names = Counter(line.split()[0] for line in loop.lines)
        assert names["eor"] == names["cnt"] == loop.pairs > 0


def test_unknown_function_is_refused(kernel_cycles):
    lines = ["f:", ".L1:", "eor v0.16b, v1.16b, v2.16b", "bne .L1"]
    assert kernel_cycles.innermost_loop(lines, "f").pairs == 1
    with pytest.raises(ValueError, match="Received: none"):
        kernel_cycles.innermost_loop(lines, "g")
    with pytest.raises(ValueError, match="should have a loop"):
        kernel_cycles.innermost_loop(["f:", "ret"], "f")


@needs_llvm
def test_unknown_core_is_an_error(tool, capsys):
    assert tool("kernel_cycles", "--cpu", "cortex-m0") == 1
    assert "Received: 'cortex-m0'" in capsys.readouterr().err


_PROGRAM = r"""
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include "custom_ops/kernels/neon_dense.h"
using namespace bifsmn;
int main(int, char** argv) {
  KernelPath path = {};
  argv[1][0] == 'f' ? NeonUseFbck(&path) : NeonUseTree(&path);
  const int reduction = std::atoi(argv[2]), outputs = 256;
  static uint32_t weights[256 * 8], a[8 * 8], bits[8 * 8];
  static int16_t limits[256];
  for (uint32_t& word : weights) word = std::rand();
  DenseWeights w;
  path.dense_prepare(weights, outputs, reduction, &w);
  path.dense_to_bits(a, 8, w, BitsEnd{limits}, bits, 8);
  return bits[0] == 1;
}
"""


@pytest.fixture(scope="module")
def program(tools_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("program")
    source, binary = folder / "main.cc", folder / "main"
    source.write_text(_PROGRAM)
    root = tools_dir.parent
    kernels = root / "custom_ops" / "kernels"
    names = ["log_mel.cc", "neon_dense.cc", "neon_ends.cc", "neon_fbck_4x16_a53.cc",
             "neon_tree_8x1_a53.cc", "neon_tree_8x2_k128_a53.cc"]  # fmt: skip
    subprocess.run(
        [_COMPILER, "-O2", "-std=c++17", "-ffp-contract=off", "-static", f"-I{root}", source,
         *[kernels / name for name in names], "-o", binary], check=True,
    )  # fmt: skip
    return binary


@needs_emulator
@pytest.mark.parametrize("core", ["cortex-a53", "cortex-a72"])
@pytest.mark.parametrize("kernel", ["tree", "fbck"])
@pytest.mark.parametrize("reduction", [128, 256])
def test_emulated_cores_execute_one_cnt_for_each_pair(program, tmp_path, core, kernel, reduction):
    log = tmp_path / "log"
    subprocess.run(
        [_EMULATOR, "-cpu", core, "-d", "in_asm,exec,nochain", "-D", log, program, kernel,
         str(reduction)], check=True,
    )  # fmt: skip
    executed = _executed(log, "cnt")
    pairs = 8 * 256 * reduction // 128
    # The loops start with the end of an output that is not there.
    assert pairs <= executed <= pairs + 4


def _executed(log, name):
    """How often the emulated program executed an instruction on vectors."""
    blocks, block, executed = {}, None, 0
    with open(log, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if line.startswith("IN:"):
                block = None
            elif match := re.match(r"0x([0-9a-f]+):\s+([0-9a-f]{8})\s+(.*)", line):
                if block is None:
                    block = int(match[1], 16)
                    blocks[block] = 0
                blocks[block] += match[3].split()[0] == name and "v" in match[3]
            elif match := re.match(r"Trace \d+: 0x[0-9a-f]+ \[[0-9a-f]+/([0-9a-f]+)/", line):
                executed += blocks.get(int(match[1], 16), 0)
    return executed
