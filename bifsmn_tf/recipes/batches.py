"""Batches of one shape: XLA compiles a training step anew for every other one."""

import numpy as np
import tensorflow as tf

from bifsmn_tf.data.features import apply_front_end, front_end_of


def training_batches(data, batch_size, seed, first_epoch=0, network=None):
    """Shuffled and augmented batches of equal size.

    A smaller last batch would cost a second XLA compilation; the clips left out differ from
    epoch to epoch.

    Args:
        data: `bifsmn_tf.data.SpeechCommands`.
        batch_size: Clips per batch, fewer if there are fewer clips.
        seed: Of order and augmentation.
        first_epoch: The dataset's first iteration is this epoch.
        network: Network whose inputs are wanted; None for the papers' features.

    Returns:
        `(dataset, steps)`: a `tf.data.Dataset`, one epoch per iteration, and its length.
    """
    count = len(data.waveforms("training", dtype="int16")[1])
    batch_size = min(batch_size, count)
    dataset = data.dataset(
        "training", batch_size=batch_size, seed=seed, drop_remainder=True,
        features=front_end_of(network),
    )  # fmt: skip
    # A dataset's epochs are numbered by its iterations: starting one is enough to skip it.
    for _ in range(first_epoch):
        next(iter(dataset))
    return dataset, count // batch_size


def validation_batches(data, subset="validation", most=None, network=None):
    """Features of an evaluation subset, computed once, in batches of equal size if possible.

    Args:
        data: `bifsmn_tf.data.SpeechCommands`.
        subset: Name of the subset.
        most: Use this many clips at most, evenly spread over the classes.
        network: Network whose inputs are wanted; None for the papers' features.

    Returns:
        A `tf.data.Dataset` of (features, labels).
    """
    samples, labels = data.waveforms(subset, dtype="int16")
    if most is not None and len(labels) > most:
        # Clips come sorted by class.
        chosen = np.linspace(0, len(labels) - 1, most).round().astype(int)
        samples, labels = samples[chosen], labels[chosen]
    features = apply_front_end(front_end_of(network), samples)
    dataset = tf.data.Dataset.from_tensor_slices((features, labels))
    return dataset.batch(even_batch_size(len(labels))).prefetch(tf.data.AUTOTUNE)


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
