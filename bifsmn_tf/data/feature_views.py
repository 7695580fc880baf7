"""Augmented features made once: a fixed number of variants ("views") of every training clip.

Augmenting and transforming waveforms anew in every epoch costs a CPU about as much as training
a small network. Views cost it once, and several trainings can share them through a cache.
"""

from __future__ import annotations

import concurrent.futures
import hashlib
import os
import threading
from pathlib import Path

import numpy as np
import tensorflow as tf

from bifsmn_tf.data import audio_files
from bifsmn_tf.data.replacements import make_all

_FORMAT = 2  # raise when views are made in another way
_BATCH = 256


class FeatureViews:
    """Augmented features of a training set, made when first asked for.

    Args:
        samples: int16 array of shape `(n, 16000)`.
        labels: Integer array of shape `(n,)`.
        augment: `RobustAugmentation`, or another callable with a `fingerprint`.
        layer: Front end, from `bifsmn_tf.data.features.front_end_of`.
        views: Number of variants of every clip.
        seed: Of the variants.
        replacements: Objects that replace some clips before they are augmented: `Distractors`,
            `SpokenWords`, `DigitalSilence`.
        cache_dir: Folder for views as `float16` files, 2 kB per clip and view; None keeps
            them in memory.

    Example:
        views = FeatureViews(samples, labels, RobustAugmentation(data.noise), layer, 40)
        features = views[3]
    """

    def __init__(
        self, samples, labels, augment, layer, views, seed=0, replacements=(), cache_dir=None
    ):
        if not isinstance(views, int) or views < 1:
            raise ValueError(f"`views` must be a positive integer. Received: views={views!r}")
        self._samples = samples
        self._labels = np.asarray(labels)
        self._augment = augment
        self._layer = layer
        self._count = views
        self._seed = int(seed)
        self._replacements = tuple(replacements)
        self._folder = None
        if cache_dir is not None:
            self._folder = Path(cache_dir) / f"views-{self._fingerprint()}"
        self._worker = concurrent.futures.ThreadPoolExecutor(1)
        self._futures = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()

        @tf.function(input_signature=[
            tf.TensorSpec((None, audio_files.CLIP_SAMPLES), tf.float32),
            tf.TensorSpec((2,), tf.int32),
        ])  # fmt: skip
        def compute(waveforms, batch_seed):
            return tf.cast(layer(augment(waveforms, batch_seed)), tf.float16)

        self._compute = compute

    def __len__(self):
        return self._count

    @property
    def shape(self):
        """Shape of the features of one clip."""
        shape = self._layer.compute_output_shape((None, audio_files.CLIP_SAMPLES))
        return tuple(shape[1:])

    def _fingerprint(self):
        digest = hashlib.sha256(np.ascontiguousarray(self._samples))
        digest.update(self._labels.astype(np.int32))
        parts = (
            _FORMAT, self._seed, self._augment.fingerprint, self._replacements,
            self._layer.get_config(),
        )  # fmt: skip
        digest.update(repr(parts).encode())
        return digest.hexdigest()[:32]

    def __getitem__(self, view):
        """Features of a view.

        Args:
            view: Its number, 0 to `len(self) - 1`.

        Returns:
            A float16 array, one row per clip.

        Raises:
            IndexError: If there is no such view.
        """
        if not 0 <= view < self._count:
            raise IndexError(f"There are {self._count} views. Received: {view}")
        return self._future(view).result()

    def of_epoch(self, epoch):
        """Number of the view that an epoch of a training takes: one after the other, in turn."""
        return epoch % self._count

    def prepare(self, view):
        """Starts making a view in the background."""
        self._future(view)

    def wait(self, view):
        """Waits until a view is made: Ctrl-C ends it at once.

        The next `views[view]` is then immediate. What a `tf.data` generator waits for holds the
        main thread in TensorFlow, where nothing interrupts it.
        """
        self._future(view).result()

    def close(self):
        """Gives up what is being made in the background, so that a program can end.

        Views that are made remain; others raise `concurrent.futures.CancelledError`.
        """
        with self._lock:
            self._closed.set()
        self._worker.shutdown(cancel_futures=True)

    def _future(self, view):
        # One for all that want the view, from whatever thread: it is made once.
        with self._lock:
            if view not in self._futures:
                if self._closed.is_set():
                    self._futures[view] = concurrent.futures.Future()
                    self._futures[view].cancel()
                else:
                    self._futures[view] = self._worker.submit(self._get, view)
            return self._futures[view]

    def _get(self, view):
        if self._folder is None:
            return self._make(view)
        path = self._folder / f"{view:04}.npy"
        try:
            return np.load(path, mmap_mode="r")
        except (OSError, ValueError, EOFError):  # missing or damaged
            features = self._make(view)
        self._folder.mkdir(parents=True, exist_ok=True)
        # Several trainings may share the folder, and in one process several of these objects:
        # each writes a file of its own, then renames it.
        writer = f"{os.getpid()}-{threading.get_ident()}"
        temporary = path.with_name(f".{writer}-{path.name}")
        try:
            np.save(temporary, features)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        return np.load(path, mmap_mode="r")  # gives the memory back

    def _make(self, view):
        self._check_open(view)
        rng = np.random.default_rng([self._seed % 2**63, view])
        replaced = make_all(self._replacements, self._samples, self._labels, rng)
        parts = []
        for start in range(0, len(self._samples), _BATCH):
            self._check_open(view)
            rows = range(start, min(start + _BATCH, len(self._samples)))
            waveforms = audio_files.to_float(np.asarray(self._samples[rows.start : rows.stop]))
            for row in rows:
                if row in replaced:
                    waveforms[row - start] = replaced[row]
            seed = rng.integers(2**31, size=2, dtype=np.int32)
            parts.append(self._compute(waveforms, seed).numpy())
        return np.concatenate(parts)

    def _check_open(self, view):
        if self._closed.is_set():
            raise concurrent.futures.CancelledError(f"View {view} was given up")
