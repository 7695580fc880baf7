"""Which recording belongs to which subset, so that no speaker is in two of them.

The archive's own `validation_list.txt` and `testing_list.txt` are used where present.
Otherwise the rule those lists were made with applies (P. Warden, "Speech Commands: A Dataset
for Limited-Vocabulary Speech Recognition", 2018): the SHA-1 hash of the speaker decides.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import warnings
from pathlib import Path

from bifsmn_tf.data import audio_files

SUBSETS = ("training", "validation", "testing")
NOISE_FOLDER = "_background_noise_"
VALIDATION_LIST = "validation_list.txt"
TESTING_LIST = "testing_list.txt"
_SPEAKER_END = "_nohash_"
_MAX_FILES_PER_CLASS = 2**27 - 1


@dataclasses.dataclass(frozen=True)
class Recording:
    """One recording of one word.

    Attributes:
        path: The audio file.
        word: Name of the folder it lies in.
        speaker: Part of the file's name before `_nohash_`, or the whole stem.
    """

    path: Path
    word: str
    speaker: str

    @property
    def key(self) -> str:
        """`<word>/<stem>`: how list files are matched, whatever the file's extension."""
        return f"{self.word}/{self.path.stem}"


def speaker_of(name: str) -> str:
    """The speaker a file's name tells.

    Args:
        name: A file's name, with or without its folder and extension, for example
            `"yes/0a7c2a8d_nohash_0.wav"`.

    Returns:
        The part before `_nohash_`; without one, the whole stem (each file its own speaker).
    """
    return os.path.splitext(os.path.basename(name))[0].split(_SPEAKER_END)[0]


def which_subset(
    name: str, validation_percentage: float = 10, testing_percentage: float = 10
) -> str:
    """Warden's speaker-hash rule.

    The SHA-1 hash of the speaker, modulo 2^27 and scaled to 0..100, is below
    `validation_percentage` for validation and below the sum of both for testing.

    Args:
        name: A file's name, with or without its folder and extension.
        validation_percentage: Share of the speakers kept for validation, in percent.
        testing_percentage: Share of the speakers kept for testing, in percent.

    Returns:
        `"training"`, `"validation"` or `"testing"`.
    """
    digest = int(hashlib.sha1(speaker_of(name).encode("utf-8")).hexdigest(), 16)
    percentage = digest % (_MAX_FILES_PER_CLASS + 1) * 100.0 / _MAX_FILES_PER_CLASS
    if percentage < validation_percentage:
        return "validation"
    if percentage < validation_percentage + testing_percentage:
        return "testing"
    return "training"


def check_percentages(validation_percentage: float, testing_percentage: float) -> None:
    """Checks the shares of the speaker-hash rule.

    Args:
        validation_percentage: In percent.
        testing_percentage: In percent.

    Raises:
        ValueError: If one is negative, or nothing would be left for training.
    """
    if min(validation_percentage, testing_percentage) < 0 or (
        validation_percentage + testing_percentage >= 100
    ):
        raise ValueError(
            "`validation_percentage` and `testing_percentage` must not be negative and must "
            "leave something for training (sum below 100). Received: "
            f"validation_percentage={validation_percentage}, "
            f"testing_percentage={testing_percentage}"
        )


def check_subset(subset: str) -> str:
    """Checks a subset's name.

    Args:
        subset: The name.

    Returns:
        The name.

    Raises:
        ValueError: If it is not one of `SUBSETS`.
    """
    if subset not in SUBSETS:
        raise ValueError(f"`subset` must be one of {', '.join(SUBSETS)}. Received: {subset!r}")
    return subset


def scan(root) -> dict[str, list[Recording]]:
    """Lists the recordings below a folder.

    Args:
        root: A folder with one folder per word. Names beginning with `_` or `.` are no words.

    Returns:
        `{word: recordings}`, both sorted by name. Words without recordings are left out.

    Raises:
        FileNotFoundError: If `root` is no folder.
        ValueError: If there is no recording in it.
    """
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(
            "`root` must be a folder with one folder of recordings per word, for example from "
            f"`python -m bifsmn_tf.data download` or `... synthetic`. Received: {str(root)!r}, "
            f"which {'is a file' if root.exists() else 'does not exist'}"
        )
    words, ignored = {}, []
    for folder in sorted(root.iterdir()):
        if not folder.is_dir() or folder.name.startswith(("_", ".")):
            continue
        recordings = []
        with os.scandir(folder) as entries:  # tells files from folders without a look at each
            names = sorted(entry.name for entry in entries if not entry.is_dir())
        for name in names:
            if name.startswith("."):
                continue
            path = folder / name
            if path.suffix.lower() in audio_files.AUDIO_EXTENSIONS:
                recordings.append(Recording(path, folder.name, speaker_of(name)))
            else:
                ignored.append(path)
        if recordings:
            words[folder.name] = recordings
    if ignored:
        warnings.warn(
            f"{len(ignored)} file(s) without an audio extension "
            f"({', '.join(audio_files.AUDIO_EXTENSIONS)}) ignored, for example {ignored[0]}.",
            stacklevel=3,
        )
    if not words:
        raise ValueError(
            f"No recordings found: expected files such as <word>/<speaker>_nohash_0.wav below "
            f"`root`. Received: {str(root)!r}"
        )
    return words


def read_lists(root) -> dict[str, set[str]] | None:
    """Reads the archive's list files.

    Args:
        root: The folder of the recordings.

    Returns:
        `{"validation": keys, "testing": keys}` with keys `<word>/<stem>`, or None if there are
        no list files.

    Raises:
        ValueError: If only one of the two is there.
    """
    files = {"validation": Path(root) / VALIDATION_LIST, "testing": Path(root) / TESTING_LIST}
    missing = [path.name for path in files.values() if not path.is_file()]
    if len(missing) == len(files):
        return None
    if missing:
        raise ValueError(
            f"{VALIDATION_LIST} and {TESTING_LIST} go together: give both, or neither to split "
            f"by the speaker-hash rule. Received: {str(root)!r} without {missing[0]}"
        )
    return {subset: _read_list(path) for subset, path in files.items()}


def _read_list(path: Path) -> set[str]:
    keys = set()
    for line in path.read_text(encoding="utf-8").splitlines():
        line = line.strip().replace("\\", "/")
        if line:
            word, _, name = line.rpartition("/")
            keys.add(f"{word.rpartition('/')[2]}/{Path(name).stem}")
    return keys


def split(
    words: dict[str, list[Recording]],
    lists: dict[str, set[str]] | None,
    validation_percentage: float = 10,
    testing_percentage: float = 10,
) -> dict[str, list[Recording]]:
    """Divides recordings into the three subsets.

    Args:
        words: From `scan`.
        lists: From `read_lists`; None to apply the speaker-hash rule.
        validation_percentage: For the speaker-hash rule.
        testing_percentage: For the speaker-hash rule.

    Returns:
        `{subset: recordings}` in the order of `words`.

    Raises:
        ValueError: If the list files name recordings, but none of those that are there.
    """
    check_percentages(validation_percentage, testing_percentage)
    subsets = {subset: [] for subset in SUBSETS}
    matched = 0
    for recordings in words.values():
        for recording in recordings:
            subset = "training"
            if lists is None:
                subset = which_subset(
                    recording.path.name, validation_percentage, testing_percentage
                )
            elif recording.key in lists["validation"]:
                subset = "validation"
            elif recording.key in lists["testing"]:
                subset = "testing"
            matched += subset != "training"
            subsets[subset].append(recording)
    if lists is not None and not matched and any(lists.values()):
        example = sorted(lists["validation"] | lists["testing"])[0]
        raise ValueError(
            f"{VALIDATION_LIST} and {TESTING_LIST} name none of the recordings that are there. "
            "Expected lines such as yes/0a7c2a8d_nohash_0.wav. "
            f"Received: for example {example!r}"
        )
    return subsets
