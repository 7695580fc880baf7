"""Modelled cycles against what is known of the cores."""

import shutil
import sys

import pytest

from bifsmn_tf.benchmarking.cycles import profile
from bifsmn_tf.benchmarking.emulator import Library
from bifsmn_tf.benchmarking.llvm import LLVM, LLVMError, is_simd
from bifsmn_tf.benchmarking.trace import Block

VERSION = next((v for v in (19, 16, 14) if shutil.which(f"llvm-mca-{v}")), None)

needs_llvm = pytest.mark.skipif(
    VERSION is None, reason="llvm-mc, llvm-mca and llvm-nm are needed (Debian: llvm-19)"
)

# Machine words by hand, from the architecture's encoding tables.
EOR = "6e221c20"  # eor v0.16b, v1.16b, v2.16b
CNT = "4e205800"  # cnt v0.16b, v0.16b
ADD = "8b020020"  # add x0, x1, x2
UDOT = "6e829420"  # udot v0.4s, v1.16b, v2.16b
BRANCH = "54ffffe1"  # b.ne -4
LOAD = "3cc10420"  # ldr q0, [x1], #16
LITERAL = "58000040"  # ldr x0, <pc + 8>


@pytest.fixture(scope="module")
def llvm():
    return LLVM(VERSION)


@needs_llvm
def test_words_become_assembly_without_targets(llvm):
    text = llvm.disassemble([EOR, CNT, ADD, UDOT, BRANCH, LOAD, LITERAL, EOR])
    assert text == {
        EOR: "eor v0.16b, v1.16b, v2.16b",
        CNT: "cnt v0.16b, v0.16b",
        ADD: "add x0, x1, x2",
        UDOT: "udot v0.4s, v1.16b, v2.16b",
        BRANCH: "b.ne #0",
        LOAD: "ldr q0, [x1], #16",
        LITERAL: "ldr x0, #0",
    }
    assert is_simd(text[EOR]) and is_simd(text[UDOT])
    assert not is_simd(text[ADD]) and not is_simd(text[BRANCH])


@needs_llvm
def test_cycles_follow_issue_width(llvm):
    independent = [f"eor v{i}.16b, v{i}.16b, v31.16b" for i in range(8)]
    cycles = llvm.cycles("cortex-a53", {"eor": independent, "twice": independent * 2})
    # One vector operation in a cycle; a hundred passes share one start and end.
    assert cycles["eor"] == pytest.approx(8, rel=0.1)
    assert cycles["twice"] == pytest.approx(2 * cycles["eor"], rel=0.05)
    wide = llvm.cycles("cortex-a72", {"eor": independent})
    assert wide["eor"] == pytest.approx(4, rel=0.1)
    assert llvm.cycles("cortex-a53", {}) == {}


@needs_llvm
def test_unknown_cores_and_words_are_refused(llvm):
    with pytest.raises(LLVMError, match="no model of the core.*'cortex-z80'"):
        llvm.cycles("cortex-z80", {"a": ["nop"]})
    with pytest.raises(LLVMError, match="should decode 1 instructions"):
        llvm.disassemble(["ffffffff"])
    with pytest.raises(LLVMError, match="llvm-mc-3 is needed"):
        LLVM(3)


@needs_llvm
def test_a_profile_adds_up(llvm):
    # Any file of this machine will do: the profile only looks up names in it.
    library = Library(sys.executable, 0x1000, 0x9000, 0, "ops")
    interpreter = Library(sys.executable, 0x20000, 0x30000, 0, "interpreter")
    loop, other = Block(0x1000, (EOR, CNT)), Block(0x20000, (ADD, BRANCH))
    result = profile({loop: 10.0, other: 3.0}, [library, interpreter], llvm, "cortex-a53")
    assert result.instructions == 26
    assert result.simd == 20
    assert result.cycles == pytest.approx(sum(result.libraries.values()))
    assert result.cycles == pytest.approx(sum(c for c, _ in result.functions.values()))
    assert result.cycles == pytest.approx(sum(b.executions * b.cycles for b in result.blocks))
    costs = [b.executions * b.cycles for b in result.blocks]
    assert costs == sorted(costs, reverse=True)
    assert result.libraries["ops"] > 0 and result.libraries["interpreter"] > 0
