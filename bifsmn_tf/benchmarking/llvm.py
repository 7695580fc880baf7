"""What LLVM knows of ARM cores: machine words to text, and cycles of blocks."""

import re
import shutil
import subprocess

_TRIPLE = "aarch64-linux-gnu"
_FEATURES = "+neon,+dotprod,+lse,+fullfp16,+i8mm,+sha3"
# Their targets are relative to an address that the model does not know.
_RELATIVE = re.compile(r"^(b|bl|b\.\w+|cbn?z|tbn?z|adrp?)\b|^ldr(sw)? \w+, #")
_TARGET = re.compile(r"#-?(0x)?[0-9a-f]+$")
_SIMD = re.compile(r"\bv\d+\.")
_ITERATIONS = 100


class LLVMError(RuntimeError):
    """A tool of LLVM is missing or failed."""


class LLVM:
    """The tools of one version of LLVM.

    Args:
        version: Major version, e.g. 19; the tools are `llvm-mc-19`, `llvm-mca-19`, `llvm-nm-19`.

    Attributes:
        nm: Name of the tool that lists symbols.

    Raises:
        LLVMError: If they are not installed.
    """

    def __init__(self, version):
        self.version = int(version)
        self._mc, self._mca = f"llvm-mc-{version}", f"llvm-mca-{version}"
        self.nm = f"llvm-nm-{version}"
        for tool in (self._mc, self._mca, self.nm):
            if shutil.which(tool) is None:
                raise LLVMError(f"{tool} is needed (Debian: llvm-{version}). Received: none")

    def disassemble(self, words):
        """Machine words to assembly.

        Branch targets and addresses relative to the program counter become 0, so that the text
        assembles anywhere.

        Args:
            words: Iterable of 8 hexadecimal digits each.

        Returns:
            Dictionary from words to text.

        Raises:
            LLVMError: If a word is no instruction.
        """
        words = sorted(set(words))
        source = "\n".join(
            " ".join(f"0x{word[i:i + 2]}" for i in (6, 4, 2, 0)) for word in words
        )
        result = subprocess.run(
            [self._mc, "-disassemble", f"-triple={_TRIPLE}", f"-mattr={_FEATURES}"],
            input=source, capture_output=True, text=True, check=False,
        )  # fmt: skip
        lines = [line.strip() for line in result.stdout.splitlines()]
        lines = [" ".join(line.split()) for line in lines if line and not line.startswith(".")]
        if result.returncode or len(lines) != len(words):
            raise LLVMError(
                f"{self._mc} should decode {len(words)} instructions. Received: {len(lines)}; "
                f"{result.stderr.strip()[:300]}"
            )
        return {
            word: _TARGET.sub("#0", text) if _RELATIVE.match(text) else text
            for word, text in zip(words, lines)
        }

    def cycles(self, cpu, blocks):
        """Modelled cycles of one pass through each block, in a long repetition of it.

        The model knows how many instructions a core issues and how long each takes, but no
        caches, no memory and no mispredicted branch.

        Args:
            cpu: LLVM's name of a core, e.g. "cortex-a53".
            blocks: Dictionary from anything to lists of assembly lines.

        Returns:
            Dictionary from the same keys to cycles.

        Raises:
            LLVMError: If the core or an instruction is unknown.
        """
        if not blocks:
            return {}
        keys = list(blocks)
        source = "".join(
            f"# LLVM-MCA-BEGIN b{i}\n" + "\n".join(blocks[key]) + "\n# LLVM-MCA-END\n"
            for i, key in enumerate(keys)
        )
        result = subprocess.run(
            [
                self._mca, f"-mtriple={_TRIPLE}", f"-mcpu={cpu}", f"-mattr={_FEATURES}",
                f"-iterations={_ITERATIONS}", "-instruction-info=0", "-resource-pressure=0",
            ],
            input=source, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if f"'{cpu}' is not a recognized processor" in result.stderr:
            raise LLVMError(f"LLVM {self.version} has no model of the core. Received: {cpu!r}")
        if result.returncode:
            raise LLVMError(f"{self._mca} failed: {result.stderr.strip()[:600]}")
        found, region = {}, None
        for line in result.stdout.splitlines():
            if match := re.match(r"\[\d+\] Code Region - b(\d+)$", line.strip()):
                region = int(match[1])
            elif match := re.match(r"Total Cycles:\s+(\d+)", line):
                found[region] = int(match[1]) / _ITERATIONS
        if len(found) != len(keys):
            raise LLVMError(
                f"{self._mca} should report {len(keys)} blocks. Received: {len(found)}"
            )
        return {key: found[i] for i, key in enumerate(keys)}


def is_simd(text):
    """Whether an instruction works on lanes of vector registers."""
    return _SIMD.search(text) is not None
