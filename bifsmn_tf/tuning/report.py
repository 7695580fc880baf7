"""What a search found: table, best recipe and the command that trains with it."""

import csv
import io

from bifsmn_tf import text_table
from bifsmn_tf.evaluation import wilson_interval


class Report:
    """Trials of a search, best first.

    Args:
        search: `Search`.
        trials: List of its finished `Trial`s, trial 0 among them.
    """

    def __init__(self, search, trials):
        self.search = search
        self.trials = sorted(trials, key=lambda t: (-t.epochs, -t.accuracy, t.number))
        self.default = next(trial for trial in trials if trial.number == 0)

    @property
    def best(self):
        """The most accurate `Trial` of those trained for all epochs."""
        # Trial 0 is one of them, and the first of equals is the one with the lowest number.
        return self.trials[0]

    @property
    def gain(self):
        """Accuracy of the best trial minus that of the unchanged recipe."""
        return self.best.accuracy - self.default.accuracy

    def recipe(self):
        """The best recipe, in the form that `bifsmn_tf.recipes.read` reads."""
        return self.search.subject.recipe_changes(self.best.values)

    def loss(self):
        """Settings of the student's loss of the best trial; empty for a teacher."""
        return self.search.subject.loss(self.best.values)

    def notes(self):
        """What to know about the figures, in sentences."""
        subject, best = self.search.subject, self.best
        clips = len(subject.data.examples("validation"))
        low, high = wilson_interval(round(best.accuracy * clips), clips)
        minutes = sum(trial.minutes for trial in self.trials)
        longest = max(trial.epochs for trial in self.trials)
        switches = len(best.switches) > 1
        return [
            f"{subject.network}, {subject.model}, {subject.data.num_classes} classes, "
            f"{len(subject.data.examples('training'))} training clips; {self.search.method} "
            f"search, {len(self.trials)} of {len(self.search.plan)} trials, "
            f"{sum(trial.epochs for trial in self.trials)} epochs, {minutes:.1f} minutes.",
            "Searched: " + ", ".join(str(parameter) for parameter in self.search.space) + ".",
            f"Accuracy is that of the best epoch on {clips} validation clips"
            f"{', the mean over the switches' if switches else ''}; always the most frequent "
            f"class: {100 * subject.chance:.2f} %.",
            f"Trial 0 is the recipe as it was: {100 * self.default.accuracy:.2f} % in "
            f"{self.default.epochs} epochs.",
            f"Best of {longest} epochs is trial {best.number}: {100 * best.accuracy:.2f} % "
            f"({100 * self.gain:+.2f} points)."
            if best is not self.default
            else f"No trial of {longest} epochs was better than trial 0.",
            f"The 95 % interval of that figure is {100 * low:.2f} to {100 * high:.2f} %; being "
            "the best of several on the same clips, it promises too much.",
            f"A training of many more than {longest} epochs may want other values.",
        ]

    def to_markdown(self, command):
        """The report as Markdown.

        Args:
            command: Command that trains with the best values.
        """
        cells = [self._header(), *(self._cells(trial) for trial in self.trials)]
        rows = text_table.markdown(cells)
        notes = [f"* {note}" for note in self.notes()]
        return "\n".join(
            ["# Search over the recipe", "", *notes, "", *rows, "", "Train with the best values:",
             "", f"    {command}", ""]
        )  # fmt: skip

    def to_csv(self):
        """The report as CSV: accuracies between 0 and 1, all digits."""
        names, switches = self.search.names, list(self._switches())
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(
            ["trial", *names, "accuracy", *(f"accuracy_{switch}" for switch in switches),
             "epochs", "best_epoch", "minutes", "diverged"]
        )  # fmt: skip
        for trial in self.trials:
            writer.writerow(
                [trial.number, *(trial.values.get(name) for name in names), trial.accuracy,
                 *(trial.switches.get(switch) for switch in switches), trial.epochs,
                 trial.best_epoch, f"{trial.minutes:.3f}", trial.diverged]
            )  # fmt: skip
        return text.getvalue()

    def _switches(self):
        """Names of the switches, if there are several."""
        names = next((trial.switches for trial in self.trials if trial.switches), {})
        return names if len(names) > 1 else {}

    def _header(self):
        return [
            "trial", *self.search.names, "accuracy, %", *(f"{s}, %" for s in self._switches()),
            "epochs", "best epoch", "minutes",
        ]  # fmt: skip

    def _cells(self, trial):
        values = (trial.values.get(name, "") for name in self.search.names)
        accuracy = "diverged" if trial.diverged else f"{100 * trial.accuracy:.2f}"
        return [
            "0 (recipe)" if trial is self.default else str(trial.number),
            *(f"{value:.3g}" if isinstance(value, float) else str(value) for value in values),
            accuracy,
            *(f"{100 * trial.switches[s]:.2f}" if s in trial.switches else ""
              for s in self._switches()),
            str(trial.epochs),
            str(trial.best_epoch or ""),
            f"{trial.minutes:.1f}",
        ]  # fmt: skip
