"""Batches of one shape: XLA compiles a training step anew for every other one."""

import contextlib

import numpy as np
import tensorflow as tf

from bifsmn_tf.data import espeak, pipeline, tasks
from bifsmn_tf.data.digital_silence import DigitalSilence
from bifsmn_tf.data.distractors import Distractors
from bifsmn_tf.data.feature_views import FeatureViews
from bifsmn_tf.data.features import apply_front_end, front_end_of
from bifsmn_tf.data.mixup import Mixup
from bifsmn_tf.data.robust_augment import RobustAugmentation
from bifsmn_tf.data.spectrogram_augment import SpectrogramAugmentation
from bifsmn_tf.data.spoken_words import SpokenWords


@contextlib.contextmanager
def training_views(data, recipe, network=None):
    """The variants of training clips that a recipe computes once, for the time of a training.

    Args:
        data: `bifsmn_tf.data.SpeechCommands`.
        recipe: `Recipe`.
        network: Network whose inputs are wanted; None for the papers' features.

    Yields:
        `bifsmn_tf.data.FeatureViews`, which are closed at the end; None if the recipe has none.
    """
    views = _make_views(data, recipe, network)
    try:
        yield views
    finally:
        if views is not None:
            views.close()


def _make_views(data, recipe, network):
    if recipe.augmentation != "robust":
        return None
    samples, labels = data.waveforms("training", dtype="int16")
    return FeatureViews(
        samples, labels, RobustAugmentation(data.noise), front_end_of(network), recipe.views,
        replacements=_replacements(data.labels, recipe), cache_dir=data.cache_dir,
    )  # fmt: skip


def training_batches(data, recipe, seed, first_epoch=0, network=None, views=None):
    """Shuffled and augmented batches of equal size.

    A smaller last batch would cost a second XLA compilation; the clips left out differ from
    epoch to epoch.

    Args:
        data: `bifsmn_tf.data.SpeechCommands`.
        recipe: `Recipe`: size of the batches and augmentation.
        seed: Of order and augmentation; views do not depend on it, so that trainings of several
            seeds can share them.
        first_epoch: The dataset's first iteration is this epoch.
        network: Network whose inputs are wanted; None for the papers' features.
        views: What `training_views` gives with the same arguments; None makes them here, for
            batches that are all used.

    Returns:
        `(dataset, steps)`: a `tf.data.Dataset`, one epoch per iteration, and its length. Labels
        are class numbers, or shares of the classes with `recipe.soft_labels`.
    """
    if views is None:
        views = _make_views(data, recipe, network)
    _, labels = data.waveforms("training", dtype="int16")
    batch_size = min(recipe.batch_size, len(labels))
    if views is None:
        dataset = data.dataset(
            "training", batch_size=batch_size, seed=seed, drop_remainder=True,
            features=front_end_of(network), first_epoch=first_epoch,
            replacements=_replacements(data.labels, recipe),
        )  # fmt: skip
    else:
        masks = None
        if recipe.masks and len(views.shape) == 3:
            masks = SpectrogramAugmentation(
                probability=recipe.masks, value=None, shape=views.shape[:2]
            )
        dataset = pipeline.view_batches(
            views, labels, data.num_classes, batch_size=batch_size, seed=seed,
            spectrogram_augment=masks, mixup=Mixup(recipe.mixup) if recipe.mixup else None,
            first_epoch=first_epoch,
        )  # fmt: skip
    return dataset, len(labels) // batch_size


def _replacements(labels, recipe):
    extra = (tasks.UNKNOWN, tasks.SILENCE)
    keywords = tuple((i, word) for i, word in enumerate(labels) if word not in extra)
    result = []
    if tasks.UNKNOWN in labels:
        unknown = labels.index(tasks.UNKNOWN)
        if recipe.distractors:
            result.append(Distractors(unknown, tuple(i for i, _ in keywords), recipe.distractors))
        if recipe.spoken:
            # Now, not in the middle of an epoch.
            espeak.check_installed("; or train with spoken=0")
            result.append(SpokenWords(unknown, keywords, recipe.spoken, recipe.spoken / 10))
    if recipe.digital_silence and tasks.SILENCE in labels:
        result.append(DigitalSilence(labels.index(tasks.SILENCE), recipe.digital_silence))
    return result


def validation_batches(
    data, subset="validation", most=None, network=None, soft_labels=False
):
    """Features of an evaluation subset, computed once, in batches of equal size if possible.

    Args:
        data: `bifsmn_tf.data.SpeechCommands`.
        subset: Name of the subset.
        most: Use this many clips at most, evenly spread over the classes.
        network: Network whose inputs are wanted; None for the papers' features.
        soft_labels: Whether labels are shares of the classes instead of class numbers.

    Returns:
        A `tf.data.Dataset` of (features, labels).
    """
    samples, labels = data.waveforms(subset, dtype="int16")
    if most is not None:
        chosen = evenly_spread(len(labels), most)
        samples, labels = samples[chosen], labels[chosen]
    features = apply_front_end(front_end_of(network), samples)
    if soft_labels:
        labels = np.eye(data.num_classes, dtype=np.float32)[labels]
    dataset = tf.data.Dataset.from_tensor_slices((features, labels))
    dataset = dataset.batch(even_batch_size(len(labels))).prefetch(pipeline.PREFETCHED)
    return pipeline.without_autotuning(dataset)


def evenly_spread(count, most):
    """Places of at most `most` of `count` clips, evenly over the classes they are sorted by."""
    return np.linspace(0, count - 1, min(most, count)).astype(int)


def even_batch_size(count, target=256, largest=2048):
    """A batch size near `target` that divides `count`, so that XLA compiles one shape only.

    Args:
        count: Number of clips.
        target: Wanted size.
        largest: Sizes above are not considered.

    Returns:
        The divisor of `count` between `target / 2` and `largest` that is nearest to `target`
        in ratio; `count` itself if it is small; `target` where there is no such divisor.
    """
    if count <= target:
        return count
    sizes = [n for n in range(target // 2, min(largest, count) + 1) if count % n == 0]
    return min(sizes, key=lambda n: abs(np.log(n / target)), default=target)
