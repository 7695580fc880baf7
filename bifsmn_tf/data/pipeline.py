"""The input pipeline: from decoded clips to shuffled, augmented batches of features."""

from __future__ import annotations

import itertools

import numpy as np
import tensorflow as tf

from bifsmn_tf.data import acoustics, audio_files
from bifsmn_tf.data.features import front_end
from bifsmn_tf.data.replacements import make_all

# Fixed, because `without_autotuning` leaves nobody to choose them: enough to keep a step fed.
PREFETCHED = 2
_PARALLEL_CALLS = 2


def without_autotuning(dataset):
    """The dataset without the thread that tunes buffers and parallel calls.

    The end of every epoch waits for that thread, asleep for up to as long as an epoch takes: of
    42 seconds per epoch of BiFSMNv2 on one core, 15 were spent so.

    Args:
        dataset: A `tf.data.Dataset` that leaves nothing to `tf.data.AUTOTUNE`.

    Returns:
        A dataset of the same elements.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


def batches(
    samples: np.ndarray,
    labels: np.ndarray,
    *,
    batch_size: int = 96,
    augment=None,
    shuffle: bool = False,
    seed: int = 0,
    features=True,
    drop_remainder: bool = False,
    spectrogram_augment=None,
    first_epoch: int = 0,
    replacements=(),
) -> tf.data.Dataset:
    """Makes a dataset of one epoch per iteration.

    Order and augmentation follow from `seed`, the number of the epoch and the number of the batch
    alone; neither TensorFlow's global seed nor the number of threads matters.

    Args:
        samples: int16 array of shape `(n, 16000)`; may be a memory map.
        labels: Integer array of shape `(n,)`.
        batch_size: Clips per batch.
        augment: None, or a callable `(waveforms, seed) -> waveforms` on batches.
        shuffle: Whether to shuffle, differently every epoch.
        seed: Of order and augmentation.
        features: True for log-mel features, False for waveforms, or another front end, see
            `bifsmn_tf.data.features.front_end_of`.
        drop_remainder: Whether to leave a smaller last batch out.
        spectrogram_augment: None, or a callable `(features, seed) -> features` on batches.
        first_epoch: Number of the first iteration of this dataset.
        replacements: Objects that replace some clips before they are augmented, others in every
            epoch: `Distractors`, `DigitalSilence`.

    Returns:
        A dataset of (features `(B, 32, 32, 1)` or waveforms `(B, 16000)`, labels `(B,)`).

    Raises:
        ValueError: If an argument is not valid.
    """
    if isinstance(batch_size, bool) or int(batch_size) != batch_size or batch_size < 1:
        raise ValueError(f"`batch_size` must be a positive integer. Received: {batch_size!r}")
    for name, value in (("augment", augment), ("spectrogram_augment", spectrogram_augment)):
        if value is not None and not callable(value):
            raise ValueError(
                f"`{name}` must be a callable such as WaveformAugmentation or "
                f"SpectrogramAugmentation. Received: {name}={value!r}"
            )
    if spectrogram_augment is not None and not features:
        raise ValueError(
            "`spectrogram_augment` works on features. Received: features=False with it"
        )
    count = samples.shape[0]
    num_batches = count // batch_size if drop_remainder else -(-count // batch_size)
    if not num_batches:
        raise ValueError(
            "`batch_size` must not be above the number of clips with drop_remainder=True. "
            f"Received: batch_size={batch_size} for {count} clips"
        )
    labels = np.asarray(labels, np.int32)
    epochs = itertools.count(first_epoch)
    layer = front_end() if features is True else features or None

    def epoch_of_batches():
        epoch = next(epochs)
        rng = np.random.default_rng([seed % 2**63, epoch])
        order = rng.permutation(count) if shuffle else np.arange(count)
        seeds = rng.integers(2**31, size=(num_batches, 2), dtype=np.int32)
        replaced = make_all(replacements, samples, labels, rng)
        for batch in range(num_batches):
            rows = order[batch * batch_size : (batch + 1) * batch_size]
            clips = samples[rows]
            for place, row in enumerate(rows):
                if row in replaced:
                    clips[place] = acoustics.to_int16(replaced[row])
            yield clips, labels[rows], seeds[batch]

    def prepare(waveforms, label, batch_seed):
        waveforms = tf.cast(waveforms, tf.float32) * (1.0 / 32768.0)
        wave_seed, spectrogram_seed = tf.unstack(tf.random.split(batch_seed, 2))
        if augment is not None:
            waveforms = augment(waveforms, wave_seed)
        outputs = waveforms if layer is None else layer(waveforms)
        if spectrogram_augment is not None:
            outputs = spectrogram_augment(outputs, spectrogram_seed)
        return outputs, label

    rows = batch_size if drop_remainder else None
    dataset = tf.data.Dataset.from_generator(
        epoch_of_batches,
        output_signature=(
            tf.TensorSpec((rows, audio_files.CLIP_SAMPLES), tf.int16),
            tf.TensorSpec((rows,), tf.int32),
            tf.TensorSpec((2,), tf.int32),
        ),
    )
    dataset = dataset.map(prepare, num_parallel_calls=_PARALLEL_CALLS, deterministic=True)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(num_batches))
    return without_autotuning(dataset.prefetch(PREFETCHED))


def view_batches(
    views,
    labels: np.ndarray,
    num_classes: int,
    *,
    batch_size: int = 96,
    seed: int = 0,
    spectrogram_augment=None,
    mixup=None,
    first_epoch: int = 0,
) -> tf.data.Dataset:
    """Makes a dataset of shuffled batches from features made once, one epoch per iteration.

    Every epoch takes its view, `views.of_epoch(epoch)`. A last batch that would be smaller is left
    out.

    Args:
        views: `bifsmn_tf.data.feature_views.FeatureViews`.
        labels: Integer array of shape `(n,)`.
        num_classes: Number of labels.
        batch_size: Clips per batch, at most n.
        seed: Of order, masks and mixing.
        spectrogram_augment: None, or a callable `(features, seed) -> features` on batches.
        mixup: None, or a `bifsmn_tf.data.mixup.Mixup`.
        first_epoch: Number of the first iteration of this dataset.

    Returns:
        A dataset of (features, labels): features float32, labels as shares of the classes,
        float32 `(B, num_classes)`.

    Raises:
        ValueError: If there is no whole batch.
    """
    labels = np.asarray(labels, np.int32)
    count = len(labels)
    if not 1 <= batch_size <= count:
        raise ValueError(
            "`batch_size` must be positive and not above the number of clips. "
            f"Received: batch_size={batch_size} for {count} clips"
        )
    num_batches = count // batch_size
    epochs = itertools.count(first_epoch)

    def epoch_of_batches():
        epoch = next(epochs)
        rng = np.random.default_rng([seed % 2**63, epoch])
        order = rng.permutation(count)
        seeds = rng.integers(2**31, size=(num_batches, 2), dtype=np.int32)
        features = views[views.of_epoch(epoch)]
        views.prepare(views.of_epoch(epoch + 1))
        for batch in range(num_batches):
            rows = order[batch * batch_size : (batch + 1) * batch_size]
            yield features[rows], labels[rows], seeds[batch]

    def prepare(features, label, batch_seed):
        features = tf.cast(features, tf.float32)
        label = tf.one_hot(label, num_classes)
        mask_seed, mix_seed = tf.unstack(tf.random.split(batch_seed, 2))
        if spectrogram_augment is not None:
            features = spectrogram_augment(features, mask_seed)
        if mixup is not None:
            features, label = mixup(features, label, mix_seed)
        return features, label

    dataset = tf.data.Dataset.from_generator(
        epoch_of_batches,
        output_signature=(
            tf.TensorSpec((batch_size, *views.shape), tf.float16),
            tf.TensorSpec((batch_size,), tf.int32),
            tf.TensorSpec((2,), tf.int32),
        ),
    )
    dataset = dataset.map(prepare, num_parallel_calls=_PARALLEL_CALLS, deterministic=True)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(num_batches))
    return without_autotuning(dataset.prefetch(PREFETCHED))
