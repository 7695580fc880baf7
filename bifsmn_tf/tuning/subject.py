"""What a search trains: one network on one data set, with any values of its hyperparameters."""

import dataclasses

import keras

from bifsmn_tf import recipes
from bifsmn_tf.recipes.epoch_line import validation_accuracies
from bifsmn_tf.tuning.space import LOSS


class Subject:
    """A network to train with different hyperparameters.

    Args:
        data: `bifsmn_tf.data.SpeechCommands`.
        network: "teacher" or "student".
        teacher: Trained float network, of a student.
        model: Kind of student, one of `bifsmn_tf.recipes.STUDENTS`.
        recipe: What is changed: as for `bifsmn_tf.recipes.get`.
        distillation, logits: Names of a student's distillations; None is that of its kind.
        seed: Of weights, order of clips and augmentation; the same in every training.
        jit_compile: Whether to compile with XLA.
        **kwargs: Further arguments of the network, e.g. `variant` or `switches`.

    Attributes:
        base: `Recipe` that is changed.
        losses: Settings of the student's loss that are changed; empty for a teacher.

    Raises:
        ValueError: If the network or the name of a distillation is not known, or the teacher is
            missing.
    """

    def __init__(
        self,
        data,
        network="teacher",
        teacher=None,
        model="bifsmn",
        recipe="default",
        distillation=None,
        logits=None,
        seed=0,
        jit_compile=True,
        **kwargs,
    ):
        if network not in ("teacher", "student"):
            raise ValueError(
                f"`network` should be teacher or student. Received: network={network!r}"
            )
        if model not in recipes.STUDENTS:
            raise ValueError(
                f"`model` should be one of {', '.join(recipes.STUDENTS)}. "
                f"Received: model={model!r}"
            )
        if network == "student" and teacher is None:
            raise ValueError("A student needs a teacher. Received: teacher=None")
        if network == "teacher" and not teacher is distillation is logits is None:
            raise ValueError(
                "`teacher`, `distillation` and `logits` are a student's. Received: "
                f"distillation={distillation!r}, logits={logits!r}, or a teacher"
            )
        self.data = data
        self.network = network
        self.model = model
        self._recipes = {name: recipes.get("default", name) for name in ("teacher", "student")}
        if isinstance(recipe, recipes.Recipe):
            self._recipes[network] = recipe
        else:
            self._recipes = {name: recipes.get(recipe, name) for name in self._recipes}
        self.base = self._recipes[network]
        self.losses = {}
        if network == "student":
            kind = recipes.STUDENTS[model]
            usual = kind.usual(recipes.is_paper(recipe, "student"))
            kwargs.setdefault("binarizer", usual.binarizer)
            if kind.thinnable:
                kwargs.setdefault("switch_all_bn", usual.switch_all_bn)
            self.losses = {
                "distillation": distillation or usual.distillation, "gamma": 0.01,
                "logits": logits or usual.logits, "temperature": 2.0, "logits_weight": None,
            }  # fmt: skip
            for key, names in (
                ("distillation", recipes.DISTILLATIONS), ("logits", recipes.LOGITS),
            ):  # fmt: skip
                if self.losses[key] not in names:
                    raise ValueError(
                        f"`{key}` should be one of {', '.join(names)}. "
                        f"Received: {key}={self.losses[key]!r}"
                    )
            term = recipes.make_logits(self.losses["logits"])
            self.losses["logits_weight"] = getattr(term, "weight", None)
        self._teacher = teacher
        self._seed = seed
        self._jit_compile = jit_compile
        self._kwargs = kwargs

    def description(self):
        """Everything a training's result depends on besides the values, for JSON."""
        return {
            "network": self.network,
            "model": self.model,
            "arguments": self._kwargs,
            "recipe": dataclasses.asdict(self.base),
            "losses": self.losses,
            "labels": list(self.data.labels),
            "protocol": self.data.protocol,
            "clips": {
                subset: self.data.fingerprint(subset) for subset in ("training", "validation")
            },
            "seed": self._seed,
        }

    def defaults(self, names):
        """The values that a training has without any search.

        Args:
            names: Names of hyperparameters.

        Returns:
            `{name: value}`.
        """
        fields = dataclasses.asdict(self.base)
        return {name: self.losses[name] if name in LOSS else fields[name] for name in names}

    def recipe(self, values):
        """The recipe with some values changed.

        Args:
            values: `{name: value}`; those of the loss are ignored.

        Returns:
            A `Recipe`.
        """
        changes = {name: value for name, value in values.items() if name not in LOSS}
        # Without decay the two are the same optimizer.
        if changes.get("weight_decay") and self.base.optimizer == "adam":
            changes["optimizer"] = "adamw"
        return dataclasses.replace(self.base, **changes)

    def recipe_changes(self, values):
        """What differs from the default recipe, as `bifsmn_tf.recipes.read` takes it.

        Args:
            values: `{name: value}`.

        Returns:
            `{"teacher": {...}, "student": {...}}`; a network without changes is left out.
        """
        chosen = {**self._recipes, self.network: self.recipe(values)}
        result = {}
        for name, recipe in chosen.items():
            usual = dataclasses.asdict(recipes.get("default", name))
            changes = {k: v for k, v in dataclasses.asdict(recipe).items() if v != usual[k]}
            if changes:
                result[name] = changes
        return result

    def loss(self, values):
        """Settings of the student's loss with some values changed; empty for a teacher."""
        changes = {name: value for name, value in values.items() if name in LOSS}
        return {**self.losses, **changes} if self.losses else {}

    @property
    def chance(self):
        """Validation accuracy of always answering the most frequent class."""
        return self.data.baselines("validation")["majority"]

    def train(self, values, epochs, folder, callbacks=()):
        """Trains once, or goes on where an interrupted training in the same folder stopped.

        Args:
            values: `{name: value}` of hyperparameters.
            epochs: Number of epochs; the schedule of the learning rate ends with them.
            folder: Where to write.
            callbacks: Further Keras callbacks.

        Returns:
            `switches`, the validation accuracies of the best epoch by switch; `accuracy`, their
            mean; `best_epoch`; `minutes`.

        Raises:
            TrainingDiverged: If the loss becomes infinite or NaN.
        """
        # A long series of trainings would keep every graph of every network.
        keras.utils.clear_session()
        common = {
            "recipe": self.recipe(values), "epochs": epochs, "seed": self._seed,
            "folder": folder, "jit_compile": self._jit_compile, "verbose": False,
            "callbacks": callbacks,
        }  # fmt: skip
        kwargs = {
            "seed": self._seed, "network": self.model, "recipe": common["recipe"], **self._kwargs,
        }  # fmt: skip
        if self.network == "teacher":
            model = recipes.make_teacher(self.data, **kwargs)
            training = recipes.train_teacher(self.data, model, **common)
        else:
            loss = self.loss(values)
            training = recipes.train_student(
                self.data,
                self._teacher,
                recipes.make_student(self.data, **kwargs),
                distillation=loss["distillation"],
                logits=recipes.make_logits(
                    loss["logits"], loss["temperature"], loss["logits_weight"]
                ),
                gamma=loss["gamma"],
                settings=loss,
                **common,
            )
        switches = validation_accuracies(training.best)
        return {
            # All switches are one network: what helps one at the cost of another is no gain.
            "accuracy": sum(switches.values()) / len(switches),
            "switches": switches,
            "best_epoch": training.best["epoch"],
            "minutes": training.minutes,
        }
