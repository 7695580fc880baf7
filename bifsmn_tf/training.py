"""Binarization-aware training of a thinnable student, with or without a float teacher."""

import numbers

import keras
import tensorflow as tf
from keras import ops

from bifsmn_tf import _keras_registration, optimizers
from bifsmn_tf.binarizers.base import Binarizer
from bifsmn_tf.distillation.ensemble import TeacherEnsemble
from bifsmn_tf.layers.binarized import binarized_layers
from bifsmn_tf.models.variables import variables_by_path


def matching_variables(student, teacher):
    """The variables of a student that a float teacher's weights belong into.

    Args:
        student: Binarized model.
        teacher: Model of the same sizes; of a `TeacherEnsemble` its first member.

    Returns:
        List of pairs of Keras variables, the student's and the teacher's.

    Raises:
        ValueError: If a variable of the teacher has no counterpart of the same shape.
    """
    if isinstance(teacher, TeacherEnsemble):
        teacher = teacher.members[0]
    targets = variables_by_path(student)
    sources = variables_by_path(teacher)
    for path, source in sources.items():
        if path not in targets or targets[path].shape != source.shape:
            found = targets[path].shape if path in targets else "no such variable"
            raise ValueError(
                "Student and teacher should have the same sizes. Received: teacher's "
                f"{path} of shape {tuple(source.shape)}, student: {found}"
            )
    return [(targets[path], source) for path, source in sources.items()]


def initialize_student(student, teacher):
    """Copies a float teacher's weights into a binarized student, by name.

    Everything the teacher has and the student has in the same shape is copied; switches other
    than the first and slopes that the teacher lacks keep their values.

    Args:
        student: Model to change.
        teacher: Model of the same sizes; of a `TeacherEnsemble` its first member.

    Raises:
        ValueError: If a variable of the teacher has no counterpart of the same shape.
    """
    for target, source in matching_variables(student, teacher):
        target.assign(source)


class BinarizerSchedule(keras.callbacks.Callback):
    """Moves binarizers that change over the training, such as `bifsmn_tf.binarizers.IRNet`.

    At the beginning of epoch e of E (counted from 0) the progress is e / (E - 1): the first epoch
    has the initial estimator, the last one the final. Does nothing for other binarizers.

    Args:
        epochs: Number of epochs E of the whole training; None takes that of `fit`.
    """

    def __init__(self, epochs=None):
        super().__init__()
        if epochs is not None and (not isinstance(epochs, int) or epochs < 1):
            raise ValueError(
                f"`epochs` should be a positive integer or None. Received: epochs={epochs!r}"
            )
        self.epochs = epochs

    def progress(self, epoch):
        """Share of the training that lies before an epoch, from 0 to 1."""
        epochs = self.params["epochs"] if self.epochs is None else self.epochs
        return min(epoch / max(epochs - 1, 1), 1.0)

    def on_epoch_begin(self, epoch, logs=None):
        progress = self.progress(epoch)
        for layer in binarized_layers(self.model):
            layer.binarizer.schedule(layer.binarizer_variables, progress)


def default_switch_weights(num_switches):
    """Weights of the switches' losses, 1, 1/2, 1/4, ... (the released code's Eq. (15))."""
    return tuple(0.5**i for i in range(num_switches))


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class ThinnableDistiller(keras.Model):
    r"""Trains all switches of a student at once, distilling a frozen float teacher.

    $$\mathcal L = \sum_o w_o \big(\mathrm{CE}_o + \gamma\, \mathcal L_{\mathrm{dist},o}
      + \mathcal L_{\mathrm{logit},o}\big), \qquad w = (1, 1/2, 1/4)$$

    (BiFSMN, Eq. (15)). One step runs the teacher once in inference mode, the student's front end
    once and its blocks once per switch, and takes one gradient and one optimizer step. Block k of
    a switch is compared with the teacher's block at the same depth (Eq. (14)).

    Losses that the student's layers add, such as those of `bifsmn_tf.binarizers.RAD`, are part of
    the loss of each switch. `fit` adds a `BinarizerSchedule` if there is none among its callbacks.

    `history` and callbacks see, per switch s, `accuracy_s`, `cross_entropy_s`, `distillation_s`
    and `loss_s` (for example `val_accuracy_0.5`), and the weighted sum as `loss`.

    Args:
        student: A thinnable model: has `switches`, `active_blocks(thin)` and is called as
            `student(x, thin=..., training=..., return_blocks=True)`.
        teacher: Float model with as many blocks, a `bifsmn_tf.distillation.TeacherEnsemble` of
            several, or None. It is frozen (`trainable = False`).
        distillation: How block outputs are compared, e.g. `bifsmn_tf.distillation.HED()`; None
            for no distillation of hidden states.
        gamma: Weight of `distillation` in a switch's loss.
        logits: How logits are compared, e.g. `bifsmn_tf.distillation.SoftTargets()`, or None.
        switch_weights: One weight per switch; default 1, 1/2, 1/4, ...

    Example:
        distiller = ThinnableDistiller(student, teacher, distillation=HED())
        distiller.compile(keras.optimizers.Adam(1e-3), jit_compile=True)
        distiller.fit(train, validation_data=validation, epochs=30)
        student.save("student.keras")
    """

    def __init__(
        self,
        student,
        teacher=None,
        distillation=None,
        gamma=0.01,
        logits=None,
        switch_weights=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if teacher is None and not (distillation is None and logits is None):
            raise ValueError(
                "Distillation needs a teacher. Received: teacher=None, "
                f"distillation={distillation!r}, logits={logits!r}"
            )
        if isinstance(gamma, bool) or not isinstance(gamma, numbers.Real) or not gamma >= 0:
            raise ValueError(
                f"`gamma` should be a number, zero or above. Received: gamma={gamma!r}"
            )
        for name, value in (("distillation", distillation), ("logits", logits)):
            if value is not None and not callable(value):
                raise ValueError(
                    f"`{name}` should be an object of bifsmn_tf.distillation or None. "
                    f"Received: {name}={value!r}"
                )
        if not hasattr(student, "switches"):
            raise ValueError(
                "`student` should be a thinnable model such as `bifsmn_tf.models.BiFSMN`. "
                f"Received: {type(student).__name__}"
            )
        if teacher is not None and distillation is not None:
            for size in ("num_blocks", "memory_size"):
                if getattr(teacher, size, None) != getattr(student, size):
                    raise ValueError(
                        f"Student and teacher should have the same {size}. Received: "
                        f"{getattr(student, size)} (student) and "
                        f"{getattr(teacher, size, None)} (teacher)"
                    )
        if teacher is not None and logits is not None:
            if getattr(teacher, "num_classes", None) != student.num_classes:
                raise ValueError(
                    "Student and teacher should have the same classes. Received: "
                    f"{student.num_classes} (student) and "
                    f"{getattr(teacher, 'num_classes', None)} (teacher)"
                )
        self.student = student
        self.teacher = teacher
        self.distillation = distillation
        self.gamma = gamma
        self.logits = logits
        if switch_weights is None:
            switch_weights = default_switch_weights(len(student.switches))
        self.switch_weights = (
            tuple(switch_weights) if isinstance(switch_weights, (list, tuple)) else ()
        )
        if len(self.switch_weights) != len(student.switches) or not all(
            isinstance(weight, numbers.Real) for weight in self.switch_weights
        ):
            raise ValueError(
                f"`switch_weights` should hold {len(student.switches)} numbers, one per switch. "
                f"Received: switch_weights={switch_weights!r}"
            )
        if teacher is not None:
            teacher.trainable = False
        self._trackers = {}
        self._switch_metrics = {}
        self.built = True

    def compile(self, optimizer="adam", loss=None, metrics=("accuracy",), **kwargs):
        """Configures training.

        Args:
            optimizer: Keras optimizer or its name. Those of `bifsmn_tf.optimizers`, and the names
                "adam", "adamw" and "sgd", honour the learning rates and weight decays of a
                learnable binarizer's variables.
            loss: Classification loss on logits; default sparse categorical cross-entropy.
            metrics: Names or instances; each is kept once per switch.
            **kwargs: As for `keras.Model.compile`, e.g. `jit_compile=True` (about three times
                faster on a CPU).
        """
        if loss is None:
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        loss = keras.losses.get(loss)
        super().compile(optimizer=optimizers.get(optimizer), loss=loss, **kwargs)
        self._requested_metrics = [
            _resolve_metric(metric, loss) for metric in (metrics or ())
        ]
        if isinstance(loss, keras.losses.Loss):
            self._classification_loss = loss
        else:
            self._classification_loss = _FunctionLoss(loss)
        self._trackers = {"loss": keras.metrics.Mean(name="loss")}
        self._switch_metrics = {}
        for switch in self.student.switches:
            for part in ("loss", "cross_entropy", "distillation"):
                name = f"{part}_{switch}"
                self._trackers[name] = keras.metrics.Mean(name=name)
            self._switch_metrics[switch] = [
                type(metric).from_config(
                    {**metric.get_config(), "name": f"{metric.name}_{switch}"}
                )
                for metric in self._requested_metrics
            ]

    def get_compile_config(self):
        config = super().get_compile_config()
        if config is not None:
            config["metrics"] = [
                keras.saving.serialize_keras_object(m) for m in self._requested_metrics
            ]
        return config

    def compile_from_config(self, config):
        config = keras.saving.deserialize_keras_object(config)
        self.compile(**{key: value for key, value in config.items() if value is not None})
        self.optimizer.build(self.student.trainable_variables)

    @property
    def metrics(self):
        """Trackers and per-switch metrics, reset by Keras at the start of every epoch."""
        per_switch = [m for metrics in self._switch_metrics.values() for m in metrics]
        return [*self._trackers.values(), *per_switch]

    def build(self, input_shape=None):
        """Nothing to build: student and teacher are complete models."""
        self.built = True

    def call(self, inputs, thin=1.0, training=None):
        return self.student(inputs, thin=thin, training=training)

    def fit(
        self, x=None, y=None, batch_size=None, epochs=1, verbose="auto", callbacks=None, **kwargs
    ):
        """As `keras.Model.fit`, with a `BinarizerSchedule`."""
        if not isinstance(callbacks, keras.callbacks.CallbackList):
            callbacks = list(callbacks or ())
            if not any(isinstance(callback, BinarizerSchedule) for callback in callbacks):
                callbacks.insert(0, BinarizerSchedule())
        return super().fit(x, y, batch_size, epochs, verbose, callbacks, **kwargs)

    def switch_losses(self, x, y, sample_weight=None, training=False):
        """Loss parts of every switch, for tests and for logging.

        Args:
            x: Features.
            y: Labels.
            sample_weight: Optional weights of the cross-entropy.
            training: Whether the student runs in training mode.

        Returns:
            List over switches of dictionaries with `cross_entropy`, `distillation` (both
            unweighted), `loss` and `logits`.
        """
        uses_teacher = self.distillation is not None or self.logits is not None
        if uses_teacher:
            teacher_logits, teacher_blocks = self.teacher(x, training=False, return_blocks=True)
            teacher_logits = ops.stop_gradient(teacher_logits)
            teacher_blocks = [ops.stop_gradient(block) for block in teacher_blocks]
        results = []
        for switch, (logits, blocks) in self._run_switches(x, training):
            # Keras divides a loss by the number of replicas; that is done once, for the total.
            cross_entropy = self._classification_loss(y, logits, sample_weight) * _replicas()
            # Every call of the student clears what its layers added in the one before.
            loss = cross_entropy + sum(self.student.losses)
            distillation = ops.zeros(())
            if self.distillation is not None:
                active = self.student.active_blocks(switch)
                distillation = self.distillation(blocks, [teacher_blocks[i] for i in active])
                loss = loss + self.gamma * distillation
            if self.logits is not None:
                loss = loss + self.logits(logits, teacher_logits)
            results.append(
                {
                    "cross_entropy": cross_entropy,
                    "distillation": distillation,
                    "loss": loss,
                    "logits": logits,
                }
            )
        return results

    def _run_switches(self, x, training):
        """Yields every switch with its logits and block outputs."""
        student = self.student
        adds_losses = any(
            type(layer.binarizer).activation_loss is not Binarizer.activation_loss
            for layer in binarized_layers(student)
        )
        if hasattr(student, "call_switches") and not adds_losses:
            yield from zip(student.switches, student.call_switches(x, training=training))
            return
        # A switch's own added losses are told apart by calling the student once for each.
        for switch in student.switches:
            yield switch, student(x, thin=switch, training=training, return_blocks=True)

    def total_loss(self, switch_losses):
        """Weighted sum of the switches' losses, Eq. (15)."""
        return sum(
            weight * parts["loss"] for weight, parts in zip(self.switch_weights, switch_losses)
        )

    def train_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            parts = self.switch_losses(x, y, sample_weight, training=True)
            total = self.total_loss(parts)
            # Gradients of replicas are summed, so each contributes its share of the mean.
            scaled = self.optimizer.scale_loss(total / _replicas())
        variables = self.student.trainable_variables
        if not self.optimizer.built:
            self.optimizer.build(variables)
        gradients = tape.gradient(scaled, variables)
        # A block that a switch skips has no use for that switch's normalization.
        used = [(g, v) for g, v in zip(gradients, variables) if g is not None]
        self.optimizer.apply_gradients(used)
        return self._update(total, parts, x, y, sample_weight)

    def test_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        parts = self.switch_losses(x, y, sample_weight, training=False)
        return self._update(self.total_loss(parts), parts, x, y, sample_weight)

    def _update(self, total, switch_losses, x, y, sample_weight):
        # Batches may differ in size: averages are per sample, not per batch.
        count = ops.shape(x)[0]
        self._trackers["loss"].update_state(total, sample_weight=count)
        for switch, parts in zip(self.student.switches, switch_losses):
            for part in ("loss", "cross_entropy", "distillation"):
                self._trackers[f"{part}_{switch}"].update_state(parts[part], sample_weight=count)
            for metric in self._switch_metrics[switch]:
                metric.update_state(y, parts["logits"], sample_weight=sample_weight)
        return {metric.name: metric.result() for metric in self.metrics}

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            "name": self.name,
            "student": serialize(self.student),
            "teacher": None if self.teacher is None else serialize(self.teacher),
            "distillation": None if self.distillation is None else serialize(self.distillation),
            "gamma": self.gamma,
            "logits": None if self.logits is None else serialize(self.logits),
            "switch_weights": list(self.switch_weights),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        for key in ("student", "teacher", "distillation", "logits"):
            if config.get(key) is not None:
                config[key] = keras.saving.deserialize_keras_object(
                    config[key], custom_objects=custom_objects
                )
        return cls(**config)


def _replicas():
    return tf.distribute.get_strategy().num_replicas_in_sync


class _FunctionLoss(keras.losses.Loss):
    """A plain function `(y_true, y_pred) -> per-sample losses`, averaged as Keras does."""

    def __init__(self, function):
        super().__init__(name=getattr(function, "__name__", "loss"))
        self._function = function

    def call(self, y_true, y_pred):
        return self._function(y_true, y_pred)


def _resolve_metric(metric, loss):
    """Metric instance from a name or an instance; "accuracy" fits the kind of labels."""
    if metric in ("accuracy", "acc"):
        if isinstance(loss, keras.losses.CategoricalCrossentropy):
            return keras.metrics.CategoricalAccuracy(name="accuracy")
        return keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    metric = keras.metrics.get(metric)
    if isinstance(metric, keras.metrics.Metric):
        return metric
    return keras.metrics.MeanMetricWrapper(metric, name=metric.__name__)


_keras_registration.register(__name__)
