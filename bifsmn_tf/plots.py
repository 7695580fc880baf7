"""Pictures of trainings and evaluations, drawn without a display."""

import textwrap

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from bifsmn_tf.files import replacing

# Dark to light with the depth of the network, distinguishable also in grey.
COLOURS = ("#1b3a5c", "#2f7f9e", "#e08a3c", "#a63d40", "#6b8f3a", "#7d5ba6")
_GRID = {"color": "#e3e6ea", "linewidth": 0.8}


def _figure(width, height):
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.08)
    return figure


def _plain(axes):
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(**_GRID)
    axes.set_axisbelow(True)


def _save(figure, path):
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=150, format="png")


def curves(history, path, title=""):
    """Draws loss and validation accuracy per switch over the epochs.

    Args:
        history: List of one dictionary per epoch, as in `bifsmn_tf.recipes.Training.history`.
        path: PNG file to write.
        title: Name of the network.
    """
    from bifsmn_tf.recipes.epoch_line import validation_accuracies

    epochs = [row["epoch"] for row in history]
    figure = _figure(10, 3.8)
    left, right = figure.subplots(1, 2)
    left.plot(epochs, [row["loss"] for row in history], color=COLOURS[0], label="training")
    left.plot(
        epochs, [row["val_loss"] for row in history], color=COLOURS[2], label="validation"
    )
    left.set(xlabel="epoch", ylabel="loss", title=f"{title}: loss".lstrip(": "))
    left.legend(frameon=False)
    accuracies = [validation_accuracies(row) for row in history]
    for name, colour in zip(accuracies[0], COLOURS * len(accuracies[0])):
        values = [100 * row[name] for row in accuracies]
        best = max(range(len(values)), key=values.__getitem__)
        right.plot(epochs, values, color=colour, label=f"{name}: best {values[best]:.1f} %")
        right.plot(epochs[best], values[best], "o", color=colour, markersize=5)
    right.set(
        xlabel="epoch", ylabel="accuracy, %",
        title=f"{title}: validation accuracy".lstrip(": "),
    )  # fmt: skip
    right.legend(frameon=False, loc="lower right")
    for axes in (left, right):
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlim(0.5, epochs[-1] + 0.5)
        _plain(axes)
    _save(figure, path)


def confusion(matrix, labels, path, title=""):
    """Draws a confusion matrix: shares of each true class as shade, counts as numbers.

    Args:
        matrix: Counts, rows true and columns predicted.
        labels: Names of the classes.
        path: PNG file to write.
        title: Text above.
    """
    count = len(labels)
    side = max(5.0, 0.48 * count + 2.0)
    figure = _figure(side, side)
    axes = figure.subplots()
    totals = matrix.sum(axis=1, keepdims=True)
    shares = matrix / np.maximum(totals, 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row in range(count):
        for column in range(count):
            if matrix[row, column]:
                axes.text(
                    column, row, str(matrix[row, column]), ha="center", va="center",
                    fontsize=8 if count <= 20 else 6,
                    color="white" if shares[row, column] > 0.5 else "#1b3a5c",
                )  # fmt: skip
    names = [label.strip("_") if label.startswith("_") else label for label in labels]
    axes.set_xticks(range(count), names, rotation=45 if count <= 20 else 90, ha="right")
    axes.set_yticks(range(count), names)
    for tick, label in zip([*axes.get_xticklabels(), *axes.get_yticklabels()], [*labels] * 2):
        tick.set_fontstyle("italic" if label.startswith("_") else "normal")
    axes.set(xlabel="predicted", ylabel="true", title=title)
    axes.title.set_fontsize(10)
    axes.set_xticks([x - 0.5 for x in range(1, count)], minor=True)
    axes.set_yticks([x - 0.5 for x in range(1, count)], minor=True)
    axes.grid(which="minor", color="white", linewidth=1.2)
    axes.tick_params(which="both", length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    _save(figure, path)


def detection(result, path, title=""):
    """Draws false rejects over false accepts per hour, a panel per background, a line per switch.

    Where there was no false accept, the line runs in the shaded margin on the left, which no
    rate can be read from.

    Args:
        result: `bifsmn_tf.detection.Detection`.
        path: PNG file to write.
        title: Text above.
    """
    count = len(result.backgrounds)
    figure = _figure(1.2 + 4.9 * count, 4.6)
    panels = figure.subplots(1, count, sharey=True, squeeze=False)[0]
    clips = result.curves[0].clips
    # Where one error would be: what is rarer is drawn at half of it.
    lowest = 100 / clips
    for axes, background in zip(panels, result.backgrounds):
        hours = background.hours(result.detector)
        one = 1 / hours
        # More than one false accept a second concerns nobody.
        highest = max(10 * one, 3600)
        for curve, colour in zip(result.curves, COLOURS * len(result.curves)):
            rates = curve.false_accepts_per_hour(background.name)
            axes.step(
                np.maximum(rates, one / 2), np.maximum(100 * curve.false_reject_rate, lowest / 2),
                where="post", color=colour, linewidth=1.8, label=f"switch {curve.thin:g}",
            )  # fmt: skip
        axes.set(
            xscale="log", yscale="log", xlim=(one / 3, highest), ylim=(lowest / 3, 130),
            xlabel=f"false accepts per hour of {background.name}",
        )  # fmt: skip
        axes.axvspan(one / 3, 0.75 * one, color="#f0f2f4", zorder=0)
        axes.text(
            one / 2, 0.02, "none", transform=axes.get_xaxis_transform(), ha="center",
            fontsize=8.5, color="#444b54",
        )  # fmt: skip
        axes.axhspan(lowest / 3, 0.75 * lowest, color="#f0f2f4", zorder=0)
        axes.set_title(
            f"{hours:.2f} h of {background.name}: with none, below "
            f"{result.upper_bound(background):.2g} per hour (95 %)", **{**_TITLE, "fontsize": 9.5},
        )  # fmt: skip
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda value, position: f"{value:g}")
        _plain(axes)
    panels[0].set_ylabel(f"false rejects of {clips} keyword clips, %")
    panels[-1].legend(frameon=False, loc="upper right")
    figure.suptitle(title, fontsize=12, fontweight="bold")
    _save(figure, path)


def trade_off(points, report, path, title=""):
    """Draws accuracy, time and size side by side, a row per network or switch.

    Args:
        points: `(name, accuracy, interval, microseconds, bytes)`: the float network first, then
            the switches of the binarized one, which share a file. `interval` is `(low, high)`.
        report: `bifsmn_tf.conversion.Report` of the binarized file.
        path: PNG file to write.
        title: What was measured.
    """
    names, accuracies, intervals, times, sizes = zip(*points)
    rows = range(len(points))
    colours = [COLOURS[0], *[COLOURS[2]] * (len(points) - 1)]
    figure = _figure(11.5, 1.75 + 0.72 * len(points))
    accuracy, time, size = figure.subplots(1, 3, sharey=True, width_ratios=(1.1, 1, 1))

    low = min(100 * interval[0] for interval in intervals)
    high = max(100 * interval[1] for interval in intervals)
    margin = max(0.12 * (high - low), 0.5)
    for row, colour in zip(rows, colours):
        ends = [100 * end for end in intervals[row]]
        accuracy.plot(ends, (row, row), color=colour, linewidth=5, alpha=0.3,
                      solid_capstyle="round")  # fmt: skip
        accuracy.plot(100 * accuracies[row], row, "o", color=colour, markersize=11,
                      markeredgecolor="white", markeredgewidth=1.2)  # fmt: skip
        accuracy.annotate(
            f"{100 * accuracies[row]:.1f} %", (100 * accuracies[row], row), xytext=(0, 9),
            textcoords="offset points", ha="center", fontsize=10, color=colour, weight="bold",
        )  # fmt: skip
    accuracy.set_xlim(low - margin, min(high + margin, 100.5))
    accuracy.set_title("accuracy, %", **_TITLE)

    time.barh(rows, times, height=0.5, color=colours)
    for row, colour in zip(rows, colours):
        text = f"{times[row]:.3g} \N{MICRO SIGN}s"
        ratio = times[0] / times[row]
        if row:
            text += f"   {ratio:.1f}x faster" if ratio >= 1 else f"   {1 / ratio:.1f}x slower"
        _bar_label(time, times[row], max(times), row, text, colour)
    time.set_title("time per inference, \N{MICRO SIGN}s", **_TITLE)

    # One file holds all switches: one bar beside all their rows.
    kilo = [value / 1000 for value in sizes]
    middle = (1 + rows[-1]) / 2
    size.barh(0, kilo[0], height=0.5, color=COLOURS[0])
    size.barh(middle, kilo[1], height=rows[-1] - 0.5, color=COLOURS[2])
    _bar_label(size, kilo[0], max(kilo), 0, f"{kilo[0]:,.0f} kB", COLOURS[0])
    _bar_label(
        size, kilo[1], max(kilo), middle,
        f"{kilo[1]:,.0f} kB   {kilo[0] / kilo[1]:.1f}x smaller", COLOURS[2], lift=17,
    )  # fmt: skip
    real = report.float_bytes + report.threshold_bytes
    size.annotate(
        f"one file for all switches:\n{report.bit_bytes / 1000:,.0f} kB 1-bit weights\n"
        f"{real / 1000:,.0f} kB real numbers\n{report.graph_bytes / 1000:,.0f} kB graph",
        (kilo[1], middle), xytext=(7, 9), textcoords="offset points", va="top", fontsize=9,
        color="#444b54", linespacing=1.35,
    )  # fmt: skip
    size.set_title("size of the .tflite, kB", **_TITLE)

    for axes in (accuracy, time, size):
        _plain(axes)
        axes.grid(False, axis="y")
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
    accuracy.set_yticks(list(rows), names, fontsize=11)
    accuracy.set_ylim(rows[-1] + 0.6, -0.6)
    for tick, colour in zip(accuracy.get_yticklabels(), colours):
        tick.set(color=colour, fontweight="bold")
    figure.suptitle(
        "1-bit keyword spotting in the TFLite interpreter" + (f": {title}" if title else ""),
        fontsize=13, fontweight="bold",
    )  # fmt: skip
    _save(figure, path)


def reproduction(report, path):
    """Draws the paper's accuracies beside the measured ones, a row per network and switch.

    Args:
        report: `bifsmn_tf.reproduction.Report`.
        path: PNG file to write.
    """
    lines = report.lines
    height = 2.2 + 0.3 * len(lines)
    figure = _figure(10.5, height)
    axes = figure.subplots()
    start = 0
    for row, line in enumerate(lines):
        for value, marker, colour in (
            (line.paper_v1, "o", COLOURS[1]), (line.paper_v2, "s", COLOURS[4]),
        ):  # fmt: skip
            if value is not None:
                axes.plot(value, row, marker, markersize=7, markerfacecolor="white", color=colour)
        if line.mean is not None:
            axes.errorbar(
                line.mean, row, xerr=line.deviation, fmt="D", markersize=6.5, capsize=3,
                color=COLOURS[2], markeredgecolor="white",
            )  # fmt: skip
        # Beside the axes, where no marker can hide it.
        axes.text(
            1.01, row, line.measured, transform=axes.get_yaxis_transform(), va="center",
            fontsize=8.5, color=COLOURS[2], weight="bold",
        )  # fmt: skip
        # One task's lines stand together and share a baseline.
        last = row + 1 == len(lines) or lines[row + 1].baseline != line.baseline
        if last:
            axes.plot(
                [100 * line.baseline] * 2, [start - 0.5, row + 0.5], "--", color=COLOURS[3],
                linewidth=1.2,
            )  # fmt: skip
            start = row + 1
        if row and line.row != lines[row - 1].row:
            axes.axhline(row - 0.5, color="#e3e6ea", linewidth=0.8)
    for label, style in (
        ("paper, Speech Commands V1", {"marker": "o", "color": COLOURS[1]}),
        ("paper, V2", {"marker": "s", "color": COLOURS[4]}),
        ("measured here" + (", quick trial" if report.quick else ""),
         {"marker": "D", "color": COLOURS[2], "markerfacecolor": COLOURS[2]}),
        ("always the most frequent class", {"linestyle": "--", "color": COLOURS[3]}),
    ):  # fmt: skip
        axes.plot([], [], **{"linestyle": "", "markerfacecolor": "white", **style}, label=label)
    names = []
    several_tasks = len({line.row.classes for line in lines}) > 1
    for row, line in enumerate(lines):
        first = not row or line.row != lines[row - 1].row
        title = f"{line.row.architecture}, {line.row.method}"
        title += f", {line.row.classes} classes" if several_tasks else ""
        thinnable = len(line.row.network.switches) > 1
        names.append(
            (f"{title}   " if first else "") + (f"{line.switch:g}" if thinnable else "")
        )
    axes.set_yticks(range(len(lines)), [name.rstrip() for name in names], fontsize=9)
    axes.set_ylim(len(lines) - 0.3, -0.7)
    axes.set_xlabel("accuracy, %")
    _plain(axes)
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    axes.set_title(
        "\n".join(textwrap.wrap(report.caption, 125)), loc="left", fontsize=8.5, color="#444b54"
    )
    figure.suptitle(
        report.heading, x=0.02, ha="left", fontsize=13, weight="bold",
        color=COLOURS[3] if report.quick else "black",
    )  # fmt: skip
    _save(figure, path)


def search(report, path):
    """Draws the accuracy of a search's trials, in order and against each hyperparameter.

    Args:
        report: `bifsmn_tf.tuning.Report`.
        path: PNG file to write.
    """
    parameters = [p for p in report.search.space if p.searched]
    rows = -(-(len(parameters) + 1) // 4)
    columns = -(-(len(parameters) + 1) // rows)
    figure = _figure(max(7.5, 3.3 * columns), 1.1 + 3.0 * rows)
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).flat
    lengths = sorted({trial.epochs for trial in report.trials}, reverse=True)
    # The longest trainings stand out; a short one's accuracy is another figure.
    colours = dict(zip(lengths, (COLOURS[0], *_PALE * len(lengths))))
    highlights = {report.best.number: ("*", COLOURS[3]), report.default.number: ("D", COLOURS[2])}
    best = report.best is not report.default
    chance = 100 * report.search.subject.chance
    # What diverged stands on the axis: it would press the others together.
    values = [100 * trial.accuracy for trial in report.trials if not trial.diverged]
    values = values or [chance]
    margin = 0.06 * (max(values) - min(values)) + 0.5
    low, high = min(values) - margin, max(values) + margin
    for index, axes in enumerate(panels):
        if index > len(parameters):
            axes.set_visible(False)
            continue
        parameter = parameters[index - 1] if index else None
        place = _placed(axes, parameter, report)
        for trial in sorted(report.trials, key=lambda t: t.epochs):
            x = place(trial)
            if x is None:  # the hyperparameter did nothing in this trial
                continue
            marker, colour = highlights.get(trial.number, ("o", colours[trial.epochs]))
            marker = "x" if trial.diverged else marker
            axes.plot(
                x, low if trial.diverged else 100 * trial.accuracy, marker, color=colour,
                clip_on=False, markersize={"*": 15, "D": 8}.get(marker, 6.5),
                zorder=4 if trial.number in highlights else 3,
                **({} if marker == "x" else {"markeredgecolor": "white"}),
            )  # fmt: skip
        if not report.default.diverged:
            axes.axhline(
                100 * report.default.accuracy, color=COLOURS[2], linewidth=1, linestyle="--"
            )
        if chance > low:
            axes.axhline(chance, color="#9aa1ab", linewidth=1, linestyle=":")
        axes.set_xlabel(parameter.name.replace("_", " ") if parameter else "trial")
        axes.set_ylim(low, high)
        _plain(axes)
    for axes in figure.axes[::columns]:
        axes.set_ylabel("validation accuracy, %")
    legend = figure.axes[0]
    for length in lengths:
        legend.plot([], [], "o", color=colours[length], label=f"{length} epoch{'s' * (length > 1)}")
    legend.plot([], [], "D", color=COLOURS[2], linestyle="--", linewidth=1,
                label=f"trial 0, the recipe: {100 * report.default.accuracy:.2f} %")  # fmt: skip
    if best:
        legend.plot([], [], "*", color=COLOURS[3], markersize=13,
                    label=f"best: {100 * report.best.accuracy:.2f} %")  # fmt: skip
    if any(trial.diverged for trial in report.trials):
        legend.plot([], [], "x", color=COLOURS[0], label="diverged")
    if chance > low:
        legend.plot([], [], ":", color="#9aa1ab", label="always the most frequent class")
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    network = report.search.subject.network
    figure.suptitle(
        f"{report.search.method.capitalize()} search over the recipe of a {network}, "
        f"{len(report.trials)} trials",
        x=0.02, ha="left", fontsize=12, weight="bold",
    )  # fmt: skip
    _save(figure, path)


# Of shorter trainings.
_PALE = ("#7fb2c4", "#c3d9e0", "#dfe9ec")


def _placed(axes, parameter, report):
    """Prepares the x axis for a hyperparameter (None: number of the trial).

    Returns:
        A function of a trial: its place; None if it has none.
    """
    if parameter is None:
        axes.xaxis.get_major_locator().set_params(integer=True)
        return lambda trial: trial.number
    if parameter.choices is None:
        axes.set_xscale("log" if parameter.log else "linear")
        if parameter.log:  # over less than a few decades the labels between would overlap
            axes.xaxis.set_minor_formatter(NullFormatter())
        return lambda trial: _in_scale(parameter, trial)
    # The unchanged recipe may have a value that is no choice.
    extra = report.default.values.get(parameter.name)
    choices = list(parameter.choices)
    if extra is not None and extra not in choices:
        choices.append(extra)
    if not isinstance(choices[0], str):
        choices.sort()
    names = [choice if isinstance(choice, str) else f"{choice:g}" for choice in choices]
    axes.set_xticks(range(len(choices)), names)
    axes.set_xlim(-0.5, len(choices) - 0.5)
    same = {}
    for trial in sorted(report.trials, key=lambda trial: trial.number):
        same.setdefault(trial.values.get(parameter.name), []).append(trial.number)

    def place(trial):
        value = trial.values.get(parameter.name)
        if value is None:
            return None
        # Side by side: two equal accuracies should stay two points.
        others = same[value]
        spread = (others.index(trial.number) - (len(others) - 1) / 2) / max(len(others), 8)
        return choices.index(value) + 0.6 * spread

    return place


def _in_scale(parameter, trial):
    value = trial.values.get(parameter.name)
    return None if value is None or (parameter.log and value <= 0) else value


_TITLE = {"loc": "left", "fontsize": 11, "color": "#444b54"}


def _bar_label(axes, value, largest, row, text, colour, lift=0):
    """Writes beside a short bar, or into a long one."""
    inside = value > 0.6 * largest
    axes.annotate(
        text, (value, row), xytext=(-7 if inside else 7, lift), textcoords="offset points",
        ha="right" if inside else "left", va="center", fontsize=10, weight="bold",
        color="white" if inside else colour,
    )  # fmt: skip


def _activation_curves(binarizer, progress, settings):
    """Binarized activations and their gradients over x, the values of one sample's features."""
    from keras import ops

    x = np.linspace(-2.4, 2.4, 481, dtype=np.float32)
    variables = _variables_for_plot(binarizer, len(x), progress, settings)

    def binarize(inputs):
        terms, shift = binarizer.activation(inputs[None], variables, (-1,))
        y = sum(binary if scale is None else binary * scale for binary, scale in terms)
        return ops.reshape(y if shift is None else y - shift, (-1,))

    return x, *_value_and_slope(binarize, x)


def _weight_curves(binarizer, progress, settings):
    """Binarized weights and their gradients over w, the weights of one output."""
    w = np.linspace(-1.5, 1.5, 301, dtype=np.float32)
    variables = _variables_for_plot(binarizer, len(w), progress, settings)

    def binarize(kernel):
        binary, scale = binarizer.weight(kernel[:, None], 0, variables)
        return (binary * scale)[:, 0]

    return w, *_value_and_slope(binarize, w)


def _variables_for_plot(binarizer, channels, progress, settings):
    import keras

    layer = keras.layers.Layer()
    variables = binarizer.create_variables(layer.add_weight, channels)
    binarizer.schedule(variables, progress)
    for name, value in settings.items():
        variables[name].assign(np.full(variables[name].shape, value))
    return variables


def _value_and_slope(function, values):
    """Function values and, of each one, the derivative by its own argument."""
    import tensorflow as tf

    source = tf.constant(values)
    with tf.GradientTape() as tape:
        tape.watch(source)
        result = function(source)
    return result.numpy(), np.diagonal(tape.jacobian(result, source).numpy())


# Title, name, and what is drawn besides the initial state: progress, variables, label.
_START = (0.0, {}, "")
_BINARIZERS = (
    ("Vanilla (BiFSMN)", "vanilla", (_START,)),
    ("BNN", "bnn", (_START,)),
    ("XNOR-Net", "xnor_net", (_START,)),
    ("DoReFa", "dorefa", (_START,)),
    ("Bi-Real", "bi_real", (_START,)),
    (
        "IR-Net", "ir_net",
        ((0.0, {}, "p = 0"), (0.5, {}, "p = 0.5"), (0.75, {}, "p = 0.75")),
    ),
    ("RAD", "rad", (_START,)),
    (
        "ReActNet", "react_net",
        ((0.0, {}, "\N{GREEK SMALL LETTER BETA} = 0"),
         (0.0, {"beta": 0.6}, "\N{GREEK SMALL LETTER BETA} = 0.6")),
    ),
    (
        "LPB, dual scale (BiFSMNv2)", "lpb",
        ((0.0, {}, "\N{GREEK SMALL LETTER ALPHA} = 1"),
         (0.0, {"window1": 2.0, "window2": 2.0, "window3": 2.0},
          "\N{GREEK SMALL LETTER ALPHA} = 2")),
    ),
    ("LSQ, two bits", "lsq", ((0.0, {}, "s = 1"), (0.0, {"step": 0.5}, "s = 0.5"))),
)  # fmt: skip


def binarizers(path):
    """Draws every binarizer: activations and weights, forward and gradient.

    Args:
        path: PNG file to write.
    """
    from bifsmn_tf import binarizers as package

    columns = 2
    rows = -(-len(_BINARIZERS) // columns)
    figure = _figure(10.5, 4.3 * rows)
    for panel, (title, name, states) in zip(
        figure.subfigures(rows, columns, wspace=0.04, hspace=0.04).flat, _BINARIZERS
    ):
        axes = panel.subplots(2, 2, sharex="col")
        panel.suptitle(title, fontsize=14, fontweight="bold", color=COLOURS[0])
        binarizer = package.get(name)
        for column, curves, variable in (
            (0, _activation_curves, "x"), (1, _weight_curves, "w"),
        ):
            for state, colour in zip(states, (COLOURS[0], COLOURS[2], COLOURS[3])):
                values, forward, slope = curves(binarizer, *state[:2])
                style = {"color": colour, "linewidth": 1.8, "label": state[2]}
                axes[0, column].plot(values, forward, **style)
                axes[1, column].plot(values, slope, **style)
            axes[0, column].set_title(
                "activation" if column == 0 else "weight", fontsize=11, color="#444b54"
            )
            axes[1, column].set_xlabel(variable, fontsize=11)
            axes[0, column].set_ylim(-2.4, 2.4)
            highest = max(2.0, axes[1, column].get_ylim()[1])
            axes[1, column].set_ylim(-0.05 * highest, 1.05 * highest)
        axes[0, 0].set_ylabel("forward", fontsize=11)
        axes[1, 0].set_ylabel("gradient", fontsize=11)
        for one in axes.flat:
            _plain(one)
        if len(states) > 1:
            axes[0, 1].legend(frameon=False, fontsize=9, handlelength=0.9, borderaxespad=0.1,
                              loc="upper left")  # fmt: skip
    _save(figure, path)
