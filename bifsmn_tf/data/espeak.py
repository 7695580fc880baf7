"""Speech from the espeak-ng program: which voices there are, and one call."""

from __future__ import annotations

import shutil
import struct
import subprocess

import numpy as np

PROGRAM = "espeak-ng"

# Variants that sound like people; espeak-ng also has whispers, robots and jokes.
_VARIANTS = (
    "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "f1", "f2", "f3", "f4", "f5", "Alex",
    "Alicia", "Andrea", "Andy", "Annie", "Denis", "Diogo", "Gene", "Henrique", "Hugo", "Jacky",
    "Lee", "Marco", "Mario", "Michael", "Mike", "Nguyen", "adam", "anika", "antonio", "aunty",
    "belinda", "benjamin", "boris", "david", "ed", "edward", "iven", "john", "linda", "marcelo",
    "max", "michel", "miguel", "norbert", "pablo", "paul", "pedro", "quincy", "rob", "robert",
    "sandro", "shelby", "steph", "travis", "victor",
)  # fmt: skip


def check_installed(remedy: str = "") -> None:
    """Checks that espeak-ng can be run.

    Args:
        remedy: What else the caller can do, for the message.

    Raises:
        FileNotFoundError: If it is not installed.
    """
    if shutil.which(PROGRAM) is None:
        raise FileNotFoundError(
            f"Synthetic speech needs the program {PROGRAM}. Expected: installed and on the PATH, "
            f"on Debian by `apt install {PROGRAM}`{remedy}. Received: not found"
        )


def voices() -> list[tuple[str, str]]:
    """The English accents and human-sounding variants that are installed.

    Returns:
        Pairs `(accent, variant)`, sorted.

    Raises:
        FileNotFoundError: If espeak-ng is not installed.
        RuntimeError: If it has no English voice.
    """
    check_installed()
    accents = set()
    for fields in _list_voices("en"):
        # MBROLA voices need data of their own, which the list does not tell to be there.
        if fields[4].startswith("gmw/"):
            accents.add(fields[1])
    installed = {fields[4].rpartition("/")[2] for fields in _list_voices("variant")}
    variants = sorted(installed.intersection(_VARIANTS))
    if not accents or not variants:
        raise RuntimeError(
            f"{PROGRAM} lists no English accents or no variants. Expected: its standard data "
            f"(Debian package espeak-ng-data). Received: accents {sorted(accents)}, "
            f"{len(variants)} variants"
        )
    return [(accent, variant) for accent in sorted(accents) for variant in variants]


def _list_voices(language: str) -> list[list[str]]:
    output = _run([PROGRAM, f"--voices={language}"], text=True, check=True).stdout
    rows = [line.split() for line in output.splitlines()[1:]]
    return [fields for fields in rows if len(fields) >= 5]


def _run(command, **options):
    # In a session of its own: Ctrl-C is for this program, which else would report that espeak-ng
    # failed.
    return subprocess.run(
        command, capture_output=True, timeout=60, start_new_session=True, **options
    )


def phonemes(words, accent: str = "en-us") -> list[str]:
    """How words are pronounced.

    Args:
        words: What to pronounce, without punctuation.
        accent: For example `"en-us"`.

    Returns:
        espeak-ng's names of the sounds, one string per word.

    Raises:
        FileNotFoundError: If espeak-ng is not installed.
        RuntimeError: If it fails.
    """
    check_installed()
    command = [PROGRAM, "-q", "-x", "-v", accent, "--stdin"]
    result = _run(command, input="\n\n".join(words), text=True)
    lines = [line.strip() for line in result.stdout.splitlines() if line.strip()]
    if result.returncode or len(lines) != len(words):
        raise RuntimeError(
            f"{' '.join(command)} failed. Expected: {len(words)} pronunciations. Received: "
            f"exit status {result.returncode}, {len(lines)} of them, {result.stderr.strip()!r}"
        )
    return lines


def speak(
    text: str, accent: str, variant: str, pitch: int, speed: int, word_gap: int = 0
) -> tuple[np.ndarray, int]:
    """Speaks a text.

    Args:
        text: What to say.
        accent: For example `"en-us"`.
        variant: For example `"f2"`.
        pitch: 0 to 99; 50 is the voice's own.
        speed: Words per minute.
        word_gap: Pause between words, in units of 10 ms.

    Returns:
        float32 samples in [-1, 1) and the sample rate in Hz.

    Raises:
        RuntimeError: If espeak-ng fails or says nothing.
    """
    command = [
        PROGRAM, "--stdout", "-v", f"{accent}+{variant}", "-p", str(pitch), "-s", str(speed),
        "-g", str(word_gap), "--", text,
    ]  # fmt: skip
    result = _run(command)
    data = result.stdout
    start = data.find(b"data")
    if result.returncode or data[:4] != b"RIFF" or start < 0:
        raise RuntimeError(
            f"{' '.join(command)} failed. Expected: wav data. Received: exit status "
            f"{result.returncode}, {result.stderr.decode(errors='replace').strip()!r}"
        )
    (rate,) = struct.unpack_from("<I", data, 24)
    # Written to a pipe, the header's length is a placeholder: everything after it is samples.
    payload = data[start + 8 :]
    samples = np.frombuffer(payload[: len(payload) // 2 * 2], "<i2")
    if not np.any(samples):
        raise RuntimeError(
            f"{' '.join(command)} said nothing. Expected: speech. Received: {len(samples)} zeros"
        )
    return samples.astype(np.float32) / 32768.0, rate
