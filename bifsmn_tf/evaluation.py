"""Accuracy of a network or of a converted file, switch by switch."""

import csv
import dataclasses
import math

import numpy as np

from bifsmn_tf.files import replacing
from bifsmn_tf.data import progress

# 97.5 % quantile of the normal distribution.
_Z95 = 1.959963984540054


def wilson_interval(correct, count, z=_Z95):
    r"""Confidence interval of a proportion (Wilson, 1927).

    $$\frac{1}{1 + z^2/n} \Big(\hat p + \frac{z^2}{2n}
      \pm z \sqrt{\frac{\hat p (1 - \hat p)}{n} + \frac{z^2}{4n^2}}\Big)$$

    Args:
        correct: Number of successes.
        count: Number of trials n.
        z: Quantile of the normal distribution; the default gives 95 %.

    Returns:
        `(low, high)`, within 0 and 1; `(0.0, 1.0)` without any trial.

    Raises:
        ValueError: If the numbers do not make a proportion.
    """
    if not 0 <= correct <= count:
        raise ValueError(
            f"Expected 0 <= correct <= count. Received: correct={correct!r}, count={count!r}"
        )
    if count == 0:
        return 0.0, 1.0
    p, square = correct / count, z * z
    centre = p + square / (2 * count)
    margin = z * math.sqrt(p * (1 - p) / count + square / (4 * count * count))
    scale = 1 + square / count
    # At 0 or `count` successes one end is 0 or 1 exactly, which rounding would miss.
    low = 0.0 if correct == 0 else (centre - margin) / scale
    high = 1.0 if correct == count else (centre + margin) / scale
    return low, high


def confusion_matrix(truth, predicted, num_classes):
    """Counts how often each class was taken for each.

    Args:
        truth: Indices of the true classes, `(n,)`.
        predicted: Indices of the predicted classes, `(n,)`.
        num_classes: Number of classes.

    Returns:
        int64 array `(num_classes, num_classes)`: rows are true, columns predicted.

    Raises:
        ValueError: If lengths differ or an index is out of range.
    """
    truth, predicted = np.asarray(truth, np.int64), np.asarray(predicted, np.int64)
    if truth.shape != predicted.shape or truth.ndim != 1:
        raise ValueError(
            "`truth` and `predicted` should be vectors of the same length. Received: shapes "
            f"{truth.shape} and {predicted.shape}"
        )
    both = np.concatenate([truth, predicted])
    if both.size and not (0 <= both.min() and both.max() < num_classes):
        raise ValueError(
            f"Class indices should be within 0 and {num_classes - 1}. Received: "
            f"{both.min()} to {both.max()}"
        )
    matrix = np.zeros((num_classes, num_classes), np.int64)
    np.add.at(matrix, (truth, predicted), 1)
    return matrix


@dataclasses.dataclass(frozen=True)
class SwitchResult:
    """Accuracy of one switch.

    Attributes:
        thin: The switch.
        labels: Names of the classes.
        confusion: Counts, rows true and columns predicted.
        variants: How often each clip is counted, as it is or augmented.
    """

    thin: float
    labels: tuple
    confusion: np.ndarray
    variants: int = 1

    @property
    def count(self):
        """Number of answers: of clips, or of their variants."""
        return int(self.confusion.sum())

    @property
    def correct(self):
        """Number of right answers."""
        return int(np.trace(self.confusion))

    @property
    def accuracy(self):
        """Share of right answers."""
        return self.correct / self.count

    @property
    def interval(self):
        """95 % Wilson interval of the accuracy, for as many clips as there are.

        Variants of a clip are right or wrong together: more of them are no more clips.
        """
        return wilson_interval(self.correct / self.variants, self.count / self.variants)

    @property
    def keyword_count(self):
        """Number of clips of keywords, neither unknown nor silence."""
        return int(self.confusion[self._keywords].sum())

    @property
    def keyword_accuracy(self):
        """Share of clips of keywords that were recognized; None without such clips."""
        correct = np.diag(self.confusion)[self._keywords].sum()
        return float(correct / self.keyword_count) if self.keyword_count else None

    @property
    def _keywords(self):
        return np.array([not label.startswith("_") for label in self.labels])

    def to_dict(self):
        """Plain numbers, for JSON."""
        return {
            "thin": self.thin,
            "accuracy": self.accuracy,
            "correct": self.correct,
            "n": self.count,
            "variants": self.variants,
            "interval_95": list(self.interval),
            "keyword_accuracy": self.keyword_accuracy,
            "keyword_n": self.keyword_count,
            "confusion": self.confusion.tolist(),
        }

    def write_csv(self, path):
        """Writes the confusion matrix: a row per true class, a column per predicted one.

        Args:
            path: File to write.
        """
        with replacing(path) as temporary:
            with open(temporary, "w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(["true \\ predicted", *self.labels])
                for label, row in zip(self.labels, self.confusion.tolist()):
                    writer.writerow([label, *row])


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Accuracies of all switches on one subset.

    Attributes:
        subset: Name of the subset.
        labels: Names of the classes, in the order of the model.
        switches: `SwitchResult` per switch, the largest first.
        baselines: What trivial classifiers reach, see `SpeechCommands.baselines`.
        augmented: Whether the clips were augmented.
    """

    subset: str
    labels: tuple
    switches: tuple
    baselines: dict
    augmented: bool = False

    def to_dict(self):
        """Plain numbers, for JSON."""
        return {
            "subset": self.subset,
            "augmented": self.augmented,
            "labels": list(self.labels),
            "baselines": dict(self.baselines),
            "switches": {str(result.thin): result.to_dict() for result in self.switches},
        }

    def __str__(self):
        first = self.switches[0]
        lines = [f"{self.subset}: {first.count // first.variants} clips"]
        if self.augmented:
            lines[0] += f", {first.variants} augmented variant{'s' * (first.variants > 1)} of each"
        lines.append(f"{'switch':<8}{'accuracy':>10}  {'95 % interval':<18}{'keywords only':>14}")
        for result in self.switches:
            low, high = (100 * end for end in result.interval)
            keywords = result.keyword_accuracy
            lines.append(
                f"{result.thin!s:<8}{100 * result.accuracy:>8.2f} %  "
                f"{f'{low:.2f} to {high:.2f} %':<18}"
                + ("" if keywords is None else f"{100 * keywords:>12.2f} %")
            )
        majority, extra = (self.baselines[k] for k in ("majority", "unknown_and_silence"))
        lines.append(f"always the most frequent class: {100 * majority:.2f} %")
        lines.append(f"unknown and silence right, no keyword ever: {100 * extra:.2f} %")
        return "\n".join(lines)


def match_labels(model_labels, data_labels):
    """Where the model has each of the data's labels.

    Args:
        model_labels: Names of the model's classes; None if it has no names.
        data_labels: Names of the data's classes.

    Returns:
        int array: the data's class i is the model's class `result[i]`.

    Raises:
        ValueError: If the model does not have exactly the data's labels.
    """
    if model_labels is None:
        raise ValueError(
            "The model should carry the names of its classes, to be matched with the data's. "
            "Received: a model without labels"
        )
    if sorted(model_labels) != sorted(data_labels):
        missing = [label for label in data_labels if label not in model_labels]
        extra = [label for label in model_labels if label not in data_labels]
        parts = [f"{', '.join(missing)} only in the data"] if missing else []
        parts += [f"{', '.join(extra)} only in the model"] if extra else []
        raise ValueError(
            "Model and data should have the same labels. Received: " + "; ".join(parts)
        )
    return np.array([list(model_labels).index(label) for label in data_labels])


def task_of(labels):
    """The arguments of `SpeechCommands` that give a model's labels.

    Args:
        labels: Names of the classes.

    Returns:
        Dictionary with `task`, `protocol`, `unknown_percentage` and `silence_percentage`.

    Raises:
        ValueError: If there is no keyword among the labels.
    """
    words = [label for label in labels if not label.startswith("_")]
    if not words:
        raise ValueError(f"Labels should include a keyword. Received: {list(labels)}")
    paper = "_unknown_" in labels and "_silence_" in labels and (
        list(labels).index("_unknown_") < list(labels).index("_silence_")
    )
    return {
        "task": words,
        "protocol": "paper" if paper else "warden",
        "unknown_percentage": None if "_unknown_" in labels else 0,
        "silence_percentage": None if "_silence_" in labels else 0,
    }


def check_switches(model, thin):
    """The switches of a model to look at.

    Args:
        model: Anything with `switches`.
        thin: Wanted switches; None for all.

    Returns:
        Tuple of floats, the largest first.

    Raises:
        ValueError: If the model lacks one.
    """
    if thin is None:
        return tuple(sorted(model.switches, reverse=True))
    missing = [s for s in thin if not any(abs(s - t) < 1e-6 for t in model.switches)]
    if missing or not thin:
        raise ValueError(
            f"`thin` should be among the model's switches {tuple(model.switches)}. "
            f"Received: thin={thin!r}"
        )
    return tuple(sorted(thin, reverse=True))


def inputs_of(model, samples):
    """What a model wants as its inputs, from waveforms.

    Args:
        model: Keras network, or `bifsmn_tf.runtime.TFLiteModel`, which gets the numpy front end,
            as on a device.
        samples: int16 waveforms `(n, 16000)`.

    Returns:
        float32 array, one row per clip.
    """
    if hasattr(model, "input_kind"):
        from bifsmn_tf.runtime import log_mel

        inputs = samples / np.float32(32768)
        return log_mel(inputs, model.input_shape[0]) if model.input_kind == "features" else inputs

    from bifsmn_tf.data.features import apply_front_end, front_end_of

    return apply_front_end(front_end_of(model), samples)


def scores_of(model, inputs, thin=1.0):
    """Scores of a batch of inputs.

    Args:
        model: As for `inputs_of`.
        inputs: From `inputs_of`.
        thin: The switch.

    Returns:
        float32 array `(n, num_classes)`: logits of a Keras network, probabilities of a file.
    """
    if hasattr(model, "input_kind"):
        return np.stack([model.scores(x, thin=thin) for x in inputs])
    return np.asarray(model(inputs, thin=thin, training=False))


def answers(model, samples, switches, batch_size=256):
    """What the switches of a model take many clips for. Features are made once for all of them.

    Args:
        model: As for `inputs_of`.
        samples: int16 waveforms `(n, 16000)`.
        switches: The switches to ask.
        batch_size: Clips at once.

    Returns:
        int64 array `(len(switches), n)` of indices of classes.
    """
    starts = range(0, len(samples), batch_size)
    result = []
    for start in progress.track(starts, len(starts), "Clips"):
        inputs = inputs_of(model, samples[start : start + batch_size])
        result.append([scores_of(model, inputs, switch).argmax(axis=-1) for switch in switches])
    return np.concatenate(result, axis=1)


def evaluate(model, data, subset="testing", thin=None, augmented=0, seed=0):
    """Evaluates all switches on a subset.

    Args:
        model: Keras network or `bifsmn_tf.runtime.TFLiteModel`; its labels may be in another
            order than the data's.
        data: `bifsmn_tf.data.SpeechCommands`.
        subset: "testing", "validation" or "training".
        thin: Switches; None for all of the model's.
        augmented: Number of augmented variants of every clip, see
            `bifsmn_tf.data.variants`; 0 for the clips as recorded.
        seed: Of the variants.

    Returns:
        An `Evaluation`, with classes in the model's order.

    Raises:
        ValueError: If labels or switches do not match, or `augmented` is no number of variants.
    """
    if not isinstance(augmented, int) or augmented < 0:
        raise ValueError(
            f"`augmented` should be a whole number, 0 or more. Received: augmented={augmented!r}"
        )
    order = match_labels(model.labels, data.labels)
    switches = check_switches(model, thin)
    samples, labels = data.waveforms(subset, dtype="int16")
    truth = order[labels]
    variants = [samples]
    if augmented:
        from bifsmn_tf.data.variants import augmented_variants

        variants = augmented_variants(samples, data.noise, augmented, seed)
    size = len(model.labels)
    matrices = {switch: np.zeros((size, size), np.int64) for switch in switches}
    for waveforms in variants:
        predicted = answers(model, waveforms, switches)
        for matrix, of_switch in zip(matrices.values(), predicted):
            matrix += confusion_matrix(truth, of_switch, size)
    results = tuple(
        SwitchResult(switch, tuple(model.labels), matrix, variants=max(augmented, 1))
        for switch, matrix in matrices.items()
    )
    return Evaluation(
        subset, tuple(model.labels), results, data.baselines(subset), augmented=augmented > 0
    )
