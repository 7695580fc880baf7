"""Paper figure beside measured figure: Markdown and CSV."""

import csv
import dataclasses
import io
import math
import statistics

from bifsmn_tf import text_table


@dataclasses.dataclass(frozen=True)
class Line:
    """One switch of one row.

    Attributes:
        row: The `Row`.
        switch: The switch.
        flops: Millions of operations by `bifsmn_tf.paper_flops`.
        parameters: Trainable parameters.
        paper_flops, paper_v1, paper_v2: The paper's figures or None.
        accuracies: `{seed: measured accuracy}`, between 0 and 1.
        diverged: Seeds whose training diverged.
        missing: Seeds that are not trained yet.
        baseline: Accuracy of always answering the most frequent class.
    """

    row: object
    switch: float
    flops: float
    parameters: int
    paper_flops: float | None
    paper_v1: float | None
    paper_v2: float | None
    accuracies: dict
    diverged: tuple
    missing: tuple
    baseline: float

    @property
    def mean(self):
        """Mean accuracy over seeds in percent; None without any."""
        return 100 * statistics.fmean(self.accuracies.values()) if self.accuracies else None

    @property
    def deviation(self):
        """Sample standard deviation over seeds in points; None for fewer than two."""
        values = list(self.accuracies.values())
        return 100 * statistics.stdev(values) if len(values) > 1 else None

    @property
    def measured(self):
        """The measured accuracy in words."""
        parts = []
        if self.mean is not None:
            parts.append(f"{self.mean:.2f}")
            if self.deviation is not None:
                parts[-1] += f" ± {self.deviation:.2f}"
        if self.diverged:
            parts.append(f"{len(self.diverged)} diverged")
        if self.missing:
            parts.append(f"{len(self.missing)} to train")
        return ", ".join(parts)


@dataclasses.dataclass(frozen=True)
class Report:
    """A table with its protocol.

    Attributes:
        title: Of the table.
        protocol: Sentences that say how the measured figures came about.
        lines: `Line` of every switch of every row.
        quick: Whether this was a quick trial, which every output says.
    """

    title: str
    protocol: tuple
    lines: tuple
    quick: bool = False

    @property
    def caption(self):
        """The first sentences of the protocol: the data, and what a quick trial is."""
        return " ".join(self.protocol[: 2 if self.quick else 1])

    @property
    def heading(self):
        """Title, marked if quick."""
        return f"{self.title} (QUICK TRIAL)" if self.quick else self.title

    def to_dict(self):
        """Plain numbers and lists, for JSON."""
        return {
            "title": self.title,
            "quick": self.quick,
            "protocol": list(self.protocol),
            "notes": self.notes(),
            "lines": [
                {
                    "row": line.row.name,
                    "switch": line.switch,
                    "parameters": line.parameters,
                    "flops": line.flops,
                    "paper": {
                        "flops": line.paper_flops, "v1": line.paper_v1, "v2": line.paper_v2,
                    },
                    "accuracies": {str(s): value for s, value in line.accuracies.items()},
                    "diverged": list(line.diverged),
                    "mean": line.mean,
                    "deviation": line.deviation,
                    "majority_baseline": line.baseline,
                }
                for line in self.lines
            ],
        }

    def to_markdown(self):
        """The report as Markdown."""
        header = (
            "row", "network", "method", "classes", "switch", "parameters, M: paper", "counted",
            "FLOPs, M: paper", "counted", "V1, %: paper", "V2, %: paper", "measured, %", "seeds",
        )  # fmt: skip
        cells = [header]
        for line in self.lines:
            row = line.row
            cells.append(
                (
                    row.name, row.architecture, row.method, str(row.classes), str(line.switch),
                    _number(row.parameters), f"{line.parameters / 1e6:.2f}",
                    _number(line.paper_flops),
                    f"{line.flops:.2f}", _number(line.paper_v1), _number(line.paper_v2),
                    line.measured, str(len(line.accuracies)),
                )
            )  # fmt: skip
        rows = text_table.markdown(cells)
        notes = [f"* {note}" for note in self.notes()]
        text = [f"# {self.heading}", "", *(f"* {part}" for part in self.protocol), "", *rows]
        return "\n".join([*text, *(["", *notes] if notes else [])]) + "\n"

    def notes(self):
        """What there is to say about single rows."""
        found = {line.row.name: line.row.note for line in self.lines if line.row.note}
        return [f"{name}: {note}" for name, note in found.items()]

    def to_csv(self):
        """The report as CSV: one line per switch, one column per seed."""
        seeds = sorted(
            {s for line in self.lines for s in (*line.accuracies, *line.diverged, *line.missing)}
        )
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(
            [
                "quick", "row", "architecture", "method", "classes", "switch", "parameters",
                "paper_flops", "counted_flops", "paper_v1", "paper_v2", "mean", "deviation",
                "majority_baseline", *(f"seed_{seed}" for seed in seeds),
            ]
        )  # fmt: skip
        for line in self.lines:
            row = line.row
            values = [
                "diverged" if s in line.diverged else _percent(line.accuracies.get(s))
                for s in seeds
            ]
            writer.writerow(
                [
                    "yes" if self.quick else "no", row.name, row.architecture, row.method,
                    row.classes, line.switch, line.parameters, _number(line.paper_flops),
                    f"{line.flops:.4f}", _number(line.paper_v1), _number(line.paper_v2),
                    "" if line.mean is None else f"{line.mean:.4f}",
                    "" if line.deviation is None else f"{line.deviation:.4f}",
                    _percent(line.baseline), *values,
                ]
            )  # fmt: skip
        return text.getvalue()


def _number(value):
    return "" if value is None else f"{value:.2f}"


def _percent(value):
    return "" if value is None else f"{100 * value:.4f}"


def make_lines(experiment, rows, seeds):
    """Collects what is stored of rows.

    Args:
        experiment: `Experiment`.
        rows: Sequence of `Row`.
        seeds: Sequence of integers.

    Returns:
        Tuple of `Line`.
    """
    from bifsmn_tf.accounting import paper_flops

    lines = []
    for row in rows:
        model = row.network.make(row.classes)
        parameters = sum(math.prod(v.shape) for v in model.trainable_variables)
        records = {s: experiment.stored(experiment.run_of(row, s)) for s in seeds}
        baselines = experiment.data[row.classes].baselines(experiment.subset)
        for index, switch in enumerate(row.network.switches):
            accuracies, diverged, missing = {}, [], []
            for seed, record in records.items():
                if record is None:
                    missing.append(seed)
                elif record["diverged"]:
                    diverged.append(seed)
                else:
                    switches = record["evaluations"][experiment.subset]["switches"]
                    accuracies[seed] = switches[str(switch)]["accuracy"]
            printed = (
                figures[index] if figures else None for figures in (row.flops, row.v1, row.v2)
            )
            lines.append(
                Line(
                    row, switch, paper_flops(model, switch), parameters, *printed, accuracies,
                    tuple(diverged), tuple(missing), baselines["majority"],
                )
            )  # fmt: skip
    return tuple(lines)


def protocol_of(experiment, rows, seeds, limits=None):
    """How the figures of an experiment came about, in sentences.

    Args:
        experiment: `Experiment`.
        rows: Sequence of `Row`.
        seeds: Sequence of integers.
        limits: `{subset: number of clips}` of a quick trial; None for all clips.

    Returns:
        Tuple of strings.
    """
    sentences = []
    if limits:
        sentences.append(
            f"QUICK TRIAL: few clips, {experiment.teacher_epochs} epochs of the float networks and "
            f"{experiment.epochs} of the binarized ones, {_count(seeds, 'seed')}. It shows that "
            "everything runs; its accuracies are far from what full training gives, and "
            "differences between rows mean little."
        )
    for classes in dict.fromkeys(row.classes for row in rows):
        data = experiment.data[classes]
        counts = {s: len(data.examples(s)) for s in ("training", "validation", experiment.subset)}
        parts = ", ".join(
            f"{count:,} {subset}" + (f" (of {data.available(subset):,})" if limits else "")
            for subset, count in counts.items()
        )
        base = data.baselines(experiment.subset)
        sentences.append(
            f"Rows of {classes} classes in the paper: folder {data.root.resolve().name}, "
            f"{data.num_classes} classes ({' '.join(data.labels)}), {data.protocol} protocol, "
            f"clips: {parts}. Always the most frequent class: {100 * base['majority']:.2f} %; right "
            f"on every unknown and silence, on no keyword: "
            f"{100 * base['unknown_and_silence']:.2f} %."
        )
    sentences += [
        f"Accuracy on {experiment.subset}; the epoch is the best by the mean of the switches on "
        f"{'the same clips' if experiment.subset == 'validation' else 'validation'}. "
        f"Recipe {experiment.title}: {_epochs(experiment)} "
        f"{_count(seeds, 'seed')}: "
        + ("mean ± standard deviation." if len(seeds) > 1 else "no spread is known."),
        "The paper's figures are on the test sets of Speech Commands V1 and V2 after 300 epochs, "
        "with its released code's protocol (paper); measured figures compare with them only "
        "where data and protocol are the same.",
    ]  # fmt: skip
    return tuple(sentences)


def _epochs(experiment):
    binarized = "binarized ones, which start from the float network's weights."
    if experiment.teacher is None:
        return (
            f"{experiment.teacher_epochs} epochs for float networks, {experiment.epochs} for "
            f"{binarized}"
        )
    return (
        f"{experiment.epochs} epochs for binarized networks, which all start from the weights of "
        f"one float network, {experiment.teacher.path.name} "
        f"(SHA-256 {experiment.teacher.digest[:16]})."
    )


def _count(seeds, noun):
    return f"{len(seeds)} {noun}" + ("s" if len(seeds) != 1 else "")
