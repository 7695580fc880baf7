"""A made-up command set in the layout of Speech Commands, spoken by espeak-ng.

For a first training run without any download: several thousand clips in about a minute. Real
speech is harder; accuracies on this set say that the software works, not how good a network is.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import tempfile
import zlib
from collections.abc import Sequence
from concurrent import futures
from pathlib import Path

import numpy as np

from bifsmn_tf.data import acoustics, espeak, progress, splits, tasks
from bifsmn_tf.data.audio_files import CLIP_SAMPLES, SAMPLE_RATE

MANIFEST = "synthetic.json"
OTHER_WORDS = (
    "bed", "bird", "cat", "dog", "eight", "five", "four", "happy", "house", "marvin", "nine",
    "one", "seven", "sheila", "six", "three", "tree", "two", "wow", "zero",
)  # fmt: skip

_FORMAT = 1  # raise when the same settings give other recordings
_NOISE_SECONDS = 20
_BABBLE_VOICES = 5


@dataclasses.dataclass(frozen=True)
class _Speaker:
    """A voice with habits of its own."""

    name: str
    subset: str
    accent: str
    variant: str
    pitch: int
    speed: int
    formants: float  # factor on all frequencies, by resampling


@dataclasses.dataclass(frozen=True)
class _Clip:
    speaker: _Speaker
    word: str
    take: int

    @property
    def key(self) -> str:
        return f"{self.word}/{self.speaker.name}_nohash_{self.take}.wav"


def make_synthetic(
    root,
    words: Sequence[str] | None = None,
    other_words: Sequence[str] | None = None,
    clips_per_word: int = 250,
    other_clips_per_word: int | None = None,
    seed: int = 0,
    workers: int | None = None,
    overwrite: bool = False,
) -> Path:
    """Makes a command set.

    Every speaker is a voice of espeak-ng (accent and variant) with a pitch, speed and formant
    shift of its own; every clip varies them a little, passes a random room and microphone,
    lies at a random place within its second and is mixed with noise at 5 to 40 dB. A tenth of
    the speakers each is kept for validation and testing; the list files say so, and the
    speaker-hash rule agrees with them.

    Args:
        root: Folder to make. It appears under this name when it is complete.
        words: The keywords; by default yes no up down left right stop go.
        other_words: Words for the unknown class; by default 20 others of Speech Commands.
        clips_per_word: Clips of each keyword, at least 5.
        other_clips_per_word: Clips of each other word; by default a sixth of `clips_per_word`.
        seed: Same seed, same recordings (with the same espeak-ng).
        workers: Number of threads; by default one per processor.
        overwrite: Whether to replace a set that was made with other settings.

    Returns:
        The folder. If it is there already with the same settings, nothing is done.

    Raises:
        FileNotFoundError: If espeak-ng is not installed.
        FileExistsError: If the folder holds something else, or a set with other settings while
            `overwrite` is False.
        ValueError: If an argument is not valid.
    """
    root = Path(root)
    words = tasks.task_words(tasks.KEYWORDS_8 if words is None else words)
    if other_words is None:
        other_words = [word for word in OTHER_WORDS if word not in words]
    other_words = tasks.task_words(other_words) if len(other_words) else ()
    both = sorted(set(words) & set(other_words))
    unsafe = [w for w in words + other_words if Path(w).name != w or w.startswith(".")]
    if both or unsafe:
        raise ValueError(
            "`words` and `other_words` must be different and usable as folder names. "
            f"Received: {', '.join(both or unsafe)}"
        )
    if other_clips_per_word is None:
        other_clips_per_word = max(5, clips_per_word // 6)
    for name, value in (
        ("clips_per_word", clips_per_word),
        ("other_clips_per_word", other_clips_per_word),
    ):
        if isinstance(value, bool) or int(value) != value or value < 5:
            raise ValueError(f"`{name}` must be an integer of at least 5. Received: {value!r}")
    settings = {
        "format": _FORMAT,
        "words": list(words),
        "other_words": list(other_words),
        "clips_per_word": int(clips_per_word),
        "other_clips_per_word": int(other_clips_per_word),
        "seed": int(seed),
    }
    if _is_made(root, settings, overwrite):
        return root

    voices = espeak.voices()
    speakers = _make_speakers(max(5, -(-clips_per_word // 2)), voices, seed)
    plan = [clip for word in words for clip in _plan_word(word, clips_per_word, speakers, seed)]
    for word in other_words:
        plan += _plan_word(word, other_clips_per_word, speakers, seed)

    root.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{root.name}.", dir=root.parent))
    try:
        with futures.ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
            _build(temporary, plan, words + other_words, voices, seed, pool)
        (temporary / MANIFEST).write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
        temporary.chmod(0o755)
        if root.exists():  # checked above: empty, or an older set that may be replaced
            shutil.rmtree(root)
        os.replace(temporary, root)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return root


def _is_made(root: Path, settings: dict, overwrite: bool) -> bool:
    """Whether the set is there; raises if something else is in the way."""
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    try:
        found = json.loads((root / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise FileExistsError(
            "`root` must be a new folder, or one made by `make_synthetic`. "
            f"Received: {str(root)!r}, which holds something else"
        ) from None
    if found == settings:
        return True
    if not overwrite:
        different = [name for name in settings if found.get(name) != settings[name]]
        raise FileExistsError(
            f"{str(root)!r} was made with other settings; choose another folder or pass "
            "overwrite=True. Received: different " + ", ".join(different)
        )
    return False


def _rng(seed: int, purpose: str) -> np.random.Generator:
    return np.random.default_rng([int(seed) % 2**63, zlib.crc32(purpose.encode())])


def _make_speakers(count: int, voices, seed: int) -> list[_Speaker]:
    """Speakers with evenly spread subsets; the speaker-hash rule agrees with each."""
    held_out = max(1, round(count / 10))
    subsets = ["training"] * count
    for i in range(held_out):
        subsets[int((i + 0.25) * count / held_out)] = "validation"
        subsets[int((i + 0.75) * count / held_out)] = "testing"
    rng = _rng(seed, "speakers")
    order = rng.permutation(len(voices))
    speakers = []
    for i, subset in enumerate(subsets):
        accent, variant = voices[order[i % len(voices)]]
        tries = 0
        while True:  # a name whose hash falls into the wanted subset
            digest = hashlib.sha1(f"{seed} {i} {tries}".encode()).hexdigest()[:8]
            if splits.which_subset(digest) == subset:
                break
            tries += 1
        speakers.append(
            _Speaker(
                name=digest,
                subset=subset,
                accent=accent,
                variant=variant,
                pitch=int(rng.integers(25, 76)),
                speed=int(rng.integers(125, 200)),
                formants=float(rng.uniform(0.9, 1.12)),
            )
        )
    return speakers


def _plan_word(word: str, count: int, speakers: list[_Speaker], seed: int) -> list[_Clip]:
    """Spreads the clips of a word evenly over the speakers."""
    rotation = int(_rng(seed, f"plan/{word}").integers(len(speakers)))
    turns: dict[str, int] = {}
    clips = []
    for k in range(count):
        # Up to one clip per speaker: spread over all; above: every speaker in turn.
        place = k * len(speakers) // count if count < len(speakers) else k
        speaker = speakers[(rotation + place) % len(speakers)]
        clips.append(_Clip(speaker, word, turns.get(speaker.name, 0)))
        turns[speaker.name] = turns.get(speaker.name, 0) + 1
    return clips


def _build(folder: Path, plan: list[_Clip], words, voices, seed: int, pool) -> None:
    noise = _make_noise(words, voices, seed, pool)
    (folder / splits.NOISE_FOLDER).mkdir()
    for name, samples in noise.items():
        _write(folder / splits.NOISE_FOLDER / f"{name}.wav", 0.1 * samples)
    for word in words:
        (folder / word).mkdir()

    def make(clip: _Clip) -> None:
        _write(folder / clip.key, _make_clip(clip, noise, _rng(seed, clip.key)))

    for _ in progress.track(pool.map(make, plan), len(plan), "Speaking"):
        pass
    for subset, name in (
        ("validation", splits.VALIDATION_LIST),
        ("testing", splits.TESTING_LIST),
    ):
        keys = sorted(clip.key for clip in plan if clip.speaker.subset == subset)
        (folder / name).write_text("\n".join(keys) + "\n", encoding="utf-8")


def _make_clip(clip: _Clip, noise: dict[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """One second with the word somewhere in it."""
    speaker = clip.speaker
    speech, rate = espeak.speak(
        clip.word,
        speaker.accent,
        speaker.variant,
        pitch=int(np.clip(speaker.pitch + rng.integers(-10, 11), 0, 99)),
        speed=int(speaker.speed + rng.integers(-15, 16)),
    )
    factor = SAMPLE_RATE / rate / (speaker.formants * rng.uniform(0.97, 1.03))
    speech = acoustics.middle(acoustics.trim(acoustics.resample(speech, factor)), CLIP_SAMPLES)
    clean = np.zeros(CLIP_SAMPLES)
    start = int(rng.integers(CLIP_SAMPLES - speech.shape[0] + 1))
    clean[start : start + speech.shape[0]] = acoustics.unit_power(speech)
    clean = acoustics.microphone(acoustics.room(clean, rng), rng)

    sound = noise[sorted(noise)[int(rng.integers(len(noise)))]]
    offset = int(rng.integers(sound.shape[0] - CLIP_SAMPLES))
    level = 10 ** (-rng.uniform(5, 40) / 20)
    mixed = clean + level * sound[offset : offset + CLIP_SAMPLES]
    return mixed * (rng.uniform(0.1, 0.9) / np.abs(mixed).max())


def _make_noise(words, voices, seed: int, pool) -> dict[str, np.ndarray]:
    """The background noises, each of unit power."""
    count = _NOISE_SECONDS * SAMPLE_RATE
    noise = {
        name: acoustics.coloured_noise(count, exponent, _rng(seed, name))
        for name, exponent in acoustics.NOISE_COLOURS.items()
    }
    noise["mains_hum"] = acoustics.hum(count, _rng(seed, "mains_hum"))
    talkers = [_rng(seed, f"babble/{i}") for i in range(_BABBLE_VOICES)]
    noise["babble"] = acoustics.unit_power(
        sum(pool.map(lambda rng: _talk(words, voices, count, rng), talkers))
    )
    return noise


def _talk(words, voices, count: int, rng: np.random.Generator) -> np.ndarray:
    """One voice of the babble: the words in random order, without end."""
    accent, variant = voices[int(rng.integers(len(voices)))]
    parts, length = [], 0
    while length < count:
        text = " ".join(words[i] for i in rng.integers(len(words), size=30))
        speech, rate = espeak.speak(
            text,
            accent,
            variant,
            pitch=int(rng.integers(25, 76)),
            speed=int(rng.integers(130, 200)),
            word_gap=int(rng.integers(0, 20)),
        )
        parts.append(acoustics.resample(speech, SAMPLE_RATE / rate))
        length += parts[-1].shape[0]
    return acoustics.unit_power(np.concatenate(parts)[:count])


def _write(path: Path, samples: np.ndarray) -> None:
    import soundfile

    soundfile.write(path, acoustics.to_int16(samples), SAMPLE_RATE, subtype="PCM_16")
