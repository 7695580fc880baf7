"""Google Speech Commands, and any folder of recordings laid out like it."""

from __future__ import annotations

import collections
import dataclasses
import math
import warnings
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from bifsmn_tf.data import audio_files, clip_cache, noise, splits, tasks

_BAD_FILE_POLICIES = ("error", "skip")


@dataclasses.dataclass(frozen=True)
class Example:
    """One clip with its label.

    Attributes:
        path: The recording; None for a silence clip of exact zeros.
        label: Index into `SpeechCommands.labels`.
        word: The word spoken, or `"_silence_"`.
        speaker: Who spoke, or `""`.
        offset: First sample of a silence clip within the background noise in `path`.
        volume: Factor on the samples of a silence clip.
    """

    path: Path | None
    label: int
    word: str
    speaker: str = ""
    offset: int = 0
    volume: float = 1.0

    @property
    def is_silence(self) -> bool:
        """Whether this is an artificial silence clip."""
        return self.word == tasks.SILENCE


class SpeechCommands:
    """A keyword-spotting data set in the folder layout of Google Speech Commands.

    Expects `<root>/<word>/<speaker>_nohash_<take>.wav` (or flac, ogg, mp3; 16,000 Hz; several
    channels are averaged), with or without `_background_noise_/`, `validation_list.txt` and
    `testing_list.txt`. Folders of one's own recordings work too: a name without `_nohash_`
    counts as one speaker. Without list files the SHA-1 speaker-hash rule splits the data.

    Two protocols decide what becomes of other words and of silence:

    *   `"warden"`: the standard benchmark (Warden, 2018). The unknown and silence classes each
        have 10 % as many clips as the keywords of the subset, rounded up; unknown clips are
        drawn at random, silence is cut from the background noise at a random volume.
        Labels: `_silence_`, `_unknown_`, words.
    *   `"paper"`: what the BiFSMN papers' figures were made with. Every other word is unknown,
        and silence is 10 % of the files of the subset, rounded down, of exact zeros.
        Labels: `_unknown_`, `_silence_`, words. More than half of the clips are unknown: see
        `baselines` before reading an accuracy.

    The tasks 20 and 35 have neither class under either protocol: other words are dropped.

    Clips are decoded once, at first use, and kept as 16-bit integers (32 kB each).
    """

    def __init__(
        self,
        root,
        task: int | Iterable[str] = 12,
        protocol: str = "warden",
        seed: int = 0,
        validation_percentage: float = 10,
        testing_percentage: float = 10,
        unknown_percentage: float | str | Mapping[str, float | str] | None = None,
        silence_percentage: float | Mapping[str, float] | None = None,
        on_bad_file: str | None = None,
        cache_dir=None,
    ):
        """Scans the folder; no recording is read yet.

        Args:
            root: The folder.
            task: 10 (yes no up down left right stop go), 12 (with on and off), 20, 35, or the
                keywords themselves. 10, 12 and keywords of one's own get the unknown and
                silence classes in addition.
            protocol: `"warden"` or `"paper"`.
            seed: Decides which unknown clips are drawn and where silence is cut.
            validation_percentage: Share of the speakers, without list files only.
            testing_percentage: Share of the speakers, without list files only.
            unknown_percentage: Unknown clips in percent of the keyword clips of a subset, or
                `"all"`; 0 leaves the class out. None follows the protocol. A mapping such as
                `{"training": 40}` sets single subsets, the protocol the others.
            silence_percentage: Silence clips, in percent of the keyword clips (`"warden"`) or of
                all files (`"paper"`) of a subset; otherwise as `unknown_percentage`.
            on_bad_file: `"skip"` drops unusable files with one warning, `"error"` raises. None
                skips in training and raises in validation and testing.
            cache_dir: Folder for decoded clips, so that a later run maps them from disk instead
                of decoding. None keeps them in memory only.

        Raises:
            FileNotFoundError: If `root` does not exist.
            ValueError: If an argument is not valid, a keyword has no recordings, or the unknown
                class would have none.
        """
        self.root = Path(root)
        self.protocol = tasks.check_protocol(protocol)
        self.words = tasks.task_words(task)
        self.seed = int(seed)
        if on_bad_file is not None and on_bad_file not in _BAD_FILE_POLICIES:
            raise ValueError(
                f"`on_bad_file` must be one of {', '.join(_BAD_FILE_POLICIES)} or None. "
                f"Received: on_bad_file={on_bad_file!r}"
            )
        self._on_bad_file = on_bad_file
        self.cache_dir = None if cache_dir is None else Path(cache_dir)
        splits.check_percentages(validation_percentage, testing_percentage)

        extra = tasks.has_extra_classes(task)
        every = "all" if protocol == "paper" else 10
        self._unknown = _percentages("unknown_percentage", unknown_percentage, every, extra)
        self._silence = _percentages("silence_percentage", silence_percentage, 10, extra)

        recordings = splits.scan(self.root)
        self._check_words(task, recordings)
        self._subsets = splits.split(
            recordings, splits.read_lists(self.root), validation_percentage, testing_percentage
        )
        self.labels = tasks.task_labels(
            self.words, protocol, any(self._unknown.values()), any(self._silence.values())
        )
        if tasks.UNKNOWN in self.labels and set(recordings) <= set(self.words):
            raise ValueError(
                "The `_unknown_` class needs recordings of other words than the keywords; pass "
                "`unknown_percentage=0` to leave the class out. "
                f"Received: only {', '.join(recordings)} in {str(self.root)!r}"
            )
        self._noise: dict[Path, np.ndarray] | None = None
        self._examples: dict[str, list[Example]] = {}
        self._clips: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def _check_words(self, task, recordings) -> None:
        # The 35-word task is also used on version 0.01 of the archive, which has 30 of them.
        optional = tasks.WORDS_NEW_IN_V2 if task == 35 else ()
        missing = [w for w in self.words if w not in recordings and w not in optional]
        if missing:
            raise ValueError(
                f"No recordings of {', '.join(missing)}. Expected a folder of each word of the "
                f"task in {str(self.root)!r}. Received: folders {', '.join(recordings)}"
            )

    @property
    def num_classes(self) -> int:
        """Number of labels."""
        return len(self.labels)

    @property
    def noise(self) -> list[np.ndarray]:
        """The background noise recordings: float32 arrays in [-1, 1), sorted by file name."""
        return [audio_files.to_float(samples) for samples in self._read_noise().values()]

    def files(self, subset: str) -> list[Path]:
        """The recordings used in a subset, without artificial silence.

        Args:
            subset: `"training"`, `"validation"` or `"testing"`.

        Returns:
            Paths, in the order of `examples`.
        """
        return [e.path for e in self.examples(subset) if not e.is_silence]

    def examples(self, subset: str) -> list[Example]:
        """The clips of a subset: keywords and unknown words by name, then silence.

        Args:
            subset: `"training"`, `"validation"` or `"testing"`.

        Returns:
            The examples, always the same for the same folder, arguments and seed.

        Raises:
            ValueError: If the subset is not known or has no clip of a keyword.
        """
        if splits.check_subset(subset) not in self._examples:
            self._examples[subset] = self._make_examples(subset)
        return list(self._examples[subset])

    def fingerprint(self, subset: str) -> str:
        """Number of the clips of a subset, and a hash of which they are.

        Args:
            subset: `"training"`, `"validation"` or `"testing"`.

        Returns:
            A short string that two data sets share if they have the same clips: the same files
            below the folder, labels, and places and volumes of silence.
        """
        examples = self.examples(subset)
        text = "\n".join(
            f"{e.path and e.path.relative_to(self.root).as_posix()} {e.label} {e.offset} {e.volume}"
            for e in examples
        )
        return f"{len(examples)}-{zlib.crc32(text.encode()):08x}"

    def _make_examples(self, subset: str) -> list[Example]:
        index = {label: i for i, label in enumerate(self.labels)}
        recordings = self._subsets[subset]
        known = [r for r in recordings if r.word in index]
        if not known:
            raise ValueError(
                f"The {subset} subset has no recording of any keyword ({', '.join(self.words)}). "
                f"Received: {len(recordings)} recording(s) of other words there; "
                + ", ".join(f"{name} {len(items)}" for name, items in self._subsets.items())
                + " recordings in all. With few speakers the speaker-hash rule can leave a "
                "subset empty: raise its percentage or give list files"
            )
        if subset == "training":
            there = {r.word for r in known} | set(tasks.WORDS_NEW_IN_V2)
            empty = [word for word in self.words if word not in there]
            if empty:
                warnings.warn(f"No training clips of {', '.join(empty)}.", stacklevel=4)

        unknown = []
        if self._unknown[subset]:
            others = [r for r in recordings if r.word not in index]
            unknown = self._draw_unknown(subset, others, len(known))
        chosen = sorted(known + unknown, key=lambda r: (r.word, r.path.name))
        examples = [
            Example(r.path, index.get(r.word, index.get(tasks.UNKNOWN, -1)), r.word, r.speaker)
            for r in chosen
        ]
        silence = self._silence[subset]
        if not silence:
            return examples
        label = index[tasks.SILENCE]
        if self.protocol == "paper":
            count = int(math.floor(round(len(recordings) * silence / 100, 9)))
            return examples + [Example(None, label, tasks.SILENCE)] * count
        count = _round_up(len(known) * silence / 100)
        available = self._read_noise()
        if not available:
            warnings.warn(
                f"No background noise in {str(self.root / splits.NOISE_FOLDER)!r}: the silence "
                "clips are exact zeros, and a network trained on them will not know a quiet room.",
                stacklevel=4,
            )
            return examples + [Example(None, label, tasks.SILENCE)] * count
        cuts = noise.random_cuts(available, count, self._rng(subset, "silence"))
        return examples + [
            Example(path, label, tasks.SILENCE, offset=offset, volume=volume)
            for path, offset, volume in cuts
        ]

    def _draw_unknown(self, subset, others, num_known):
        percentage = self._unknown[subset]
        if percentage == "all":
            return others
        count = _round_up(num_known * percentage / 100)
        if count > len(others):
            warnings.warn(
                f"The {subset} subset has {len(others)} clips of other words where "
                f"{percentage} % of {num_known} keyword clips would be {count}; all are taken.",
                stacklevel=5,
            )
            return others
        order = self._rng(subset, "unknown").permutation(len(others))[:count]
        return [others[i] for i in sorted(order)]

    def _rng(self, subset: str, purpose: str) -> np.random.Generator:
        return np.random.default_rng(
            [self.seed % 2**63, zlib.crc32(f"{subset}/{purpose}".encode())]
        )

    def class_counts(self, subset: str) -> dict[str, int]:
        """Number of clips per label.

        Args:
            subset: `"training"`, `"validation"` or `"testing"`.

        Returns:
            `{label: count}` in label order.
        """
        counts = collections.Counter(example.label for example in self.examples(subset))
        return {label: counts[i] for i, label in enumerate(self.labels)}

    def baselines(self, subset: str) -> dict[str, float]:
        """What two trivial classifiers reach; an accuracy means nothing beside these alone.

        Args:
            subset: `"training"`, `"validation"` or `"testing"`.

        Returns:
            `"majority"`: accuracy of always answering the most frequent label.
            `"unknown_and_silence"`: accuracy of being right on every unknown and silence clip
            and wrong on every keyword.
        """
        counts = self.class_counts(subset)
        total = sum(counts.values())
        extra = counts.get(tasks.UNKNOWN, 0) + counts.get(tasks.SILENCE, 0)
        return {"majority": max(counts.values()) / total, "unknown_and_silence": extra / total}

    def waveforms(self, subset: str, dtype="float32") -> tuple[np.ndarray, np.ndarray]:
        """All clips of a subset, decoded.

        Args:
            subset: `"training"`, `"validation"` or `"testing"`.
            dtype: `"float32"` for samples in [-1, 1), or `"int16"` for the cached samples
                themselves (not to be written to).

        Returns:
            Samples of shape `(n, 16000)` and int32 labels of shape `(n,)`. Unusable training
            files are left out.

        Raises:
            ValueError: If a file of an evaluation subset is unusable (see `on_bad_file`), or
                none is usable.
        """
        if np.dtype(dtype) not in (np.dtype("float32"), np.dtype("int16")):
            raise ValueError(f"`dtype` must be float32 or int16. Received: dtype={dtype!r}")
        if splits.check_subset(subset) not in self._clips:
            self._clips[subset] = self._read_clips(subset)
        samples, labels = self._clips[subset]
        if np.dtype(dtype) == np.float32:
            samples = audio_files.to_float(samples)
        return samples, labels.copy()

    def _read_clips(self, subset: str) -> tuple[np.ndarray, np.ndarray]:
        examples = self.examples(subset)
        key = None
        if self.cache_dir is not None:
            key = clip_cache.key(examples)
            cached = clip_cache.load(self.cache_dir, key)
            if cached is not None:
                return cached
        samples = np.zeros((len(examples), audio_files.CLIP_SAMPLES), np.int16)
        faults = audio_files.read_clips(
            [None if e.is_silence else e.path for e in examples], samples, f"Reading {subset}"
        )
        policy = self._on_bad_file or ("skip" if subset == "training" else "error")
        audio_files.report_faults(faults, policy, f"the {subset} subset of {self.root}")
        for row, example in enumerate(examples):
            if example.is_silence and example.path is not None:
                samples[row] = noise.cut_clip(
                    self._read_noise()[example.path], example.offset, example.volume
                )
        labels = np.array([e.label for e in examples], np.int32)
        if faults:
            bad = {fault.path for fault in faults}
            good = np.array([e.is_silence or e.path not in bad for e in examples])
            samples, labels = samples[good], labels[good]
            if all(e.is_silence for e, keep in zip(examples, good, strict=True) if keep):
                raise ValueError(
                    f"No usable recording in the {subset} subset. "
                    f"Received: {audio_files.describe_faults(faults)}"
                )
        samples.flags.writeable = False
        if key is not None:
            clip_cache.store(self.cache_dir, key, samples, labels)
        return samples, labels

    def _read_noise(self) -> dict[Path, np.ndarray]:
        if self._noise is None:
            self._noise = noise.read_noise(self.root, self._on_bad_file or "skip")
        return self._noise

    def dataset(
        self,
        subset: str,
        batch_size: int = 96,
        augment=None,
        shuffle: bool | None = None,
        seed: int | None = None,
        features=True,
        drop_remainder: bool = False,
        spectrogram_augment=None,
        first_epoch: int = 0,
        replacements=(),
    ):
        """A `tf.data.Dataset` of batches for `model.fit` and `model.evaluate`.

        One iteration is one epoch. Two datasets made with the same arguments give the same
        batches, epoch by epoch, to the last bit; the epochs of one dataset differ in order and
        augmentation.

        Args:
            subset: `"training"`, `"validation"` or `"testing"`.
            batch_size: Clips per batch; the last batch may be smaller.
            augment: True, False, or a `WaveformAugmentation` of one's own. None augments the
                training subset only.
            shuffle: Whether to shuffle anew every epoch. None shuffles the training subset only.
            seed: Of order and augmentation; None takes the data set's.
            features: True for log-mel features, False for waveforms, or another front end, see
                `bifsmn_tf.data.features.front_end_of`.
            drop_remainder: Whether to leave a smaller last batch out.
            spectrogram_augment: A `SpectrogramAugmentation` to apply to the features.
            first_epoch: Number of the first iteration, to go on with an earlier training.
            replacements: Objects that replace some clips before they are augmented, others in
                every epoch: `Distractors`, `DigitalSilence`.

        Returns:
            A dataset of (features `(B, 32, 32, 1)` in dB or waveforms `(B, 16000)` in [-1, 1),
            both float32; labels `(B,)`, int32).

        Raises:
            ValueError: If an argument is not valid.
        """
        from bifsmn_tf.data import pipeline

        training = splits.check_subset(subset) == "training"
        augment = training if augment is None else augment
        if augment is True:
            from bifsmn_tf.data.augment import WaveformAugmentation

            augment = WaveformAugmentation(noise=self.noise)
        samples, labels = self.waveforms(subset, dtype="int16")
        return pipeline.batches(
            samples,
            labels,
            batch_size=batch_size,
            augment=augment or None,
            shuffle=training if shuffle is None else shuffle,
            seed=self.seed if seed is None else seed,
            features=features,
            drop_remainder=drop_remainder,
            spectrogram_augment=spectrogram_augment,
            first_epoch=first_epoch,
            replacements=replacements,
        )

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name}={len(items)}" for name, items in self._subsets.items())
        return (
            f"SpeechCommands({str(self.root)!r}, protocol={self.protocol!r}, "
            f"labels={list(self.labels)}, recordings: {sizes})"
        )


def _round_up(value: float) -> int:
    # Rounding first keeps 10 % of 30 at 3 where the product is 3.0000000000000004.
    return math.ceil(round(value, 9))


def _percentages(name: str, given, default, extra: bool) -> dict:
    """The percentage of every subset, checked."""
    if not extra:
        if given not in (None, 0):
            raise ValueError(
                f"The tasks 20 and 35 have no unknown and silence classes; give the words "
                f"themselves as `task` to add them. Received: {name}={given!r}"
            )
        return dict.fromkeys(splits.SUBSETS, 0)
    values = dict.fromkeys(splits.SUBSETS, default)
    if isinstance(given, Mapping):
        for subset in given:
            splits.check_subset(subset)
        values.update(given)
    elif given is not None:
        values = dict.fromkeys(splits.SUBSETS, given)
    for value in values.values():
        if value == "all" and name == "unknown_percentage":
            continue
        if isinstance(value, (str, bool)) or not (0 <= value < math.inf):
            wanted = " or 'all'" if name == "unknown_percentage" else ""
            raise ValueError(
                f"`{name}` must be a number that is not negative{wanted}. Received: {given!r}"
            )
    return values
