"""Several float networks as one teacher."""

import keras

# What says which features or samples a network reads, where it has it.
_INPUT = ("num_mels", "num_frames", "num_samples")


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class TeacherEnsemble(keras.Model):
    r"""Float networks that teach together: the mean of their logits.

    $$z = \frac 1 M \sum_{m=1}^M z_m$$

    Softened at whatever temperature, that is the geometric mean of the members' distributions,
    normalized. Hidden states are those of the first member: those of networks that were trained
    apart have no common basis, so that their mean would mean nothing. A student starts from the
    first member's weights, too (`bifsmn_tf.training.initialize_student`).

    Args:
        members: List of float networks with the same input, number of classes and, where they
            tell them, labels. The first may have blocks to be compared with a student's.

    Raises:
        ValueError: If there is no member, or if one is binarized or does not fit the others.

    Input shape: that of the members. Output shape: `(batch, num_classes)`, logits.

    Call arguments:
        inputs: Features.
        thin: Only 1.0; present so that networks and ensembles are called alike.
        training: Whether members run in training mode.
        return_blocks: Also return the list of the first member's block outputs.

    References:
        Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015: the
        student learns from the mean answer of an ensemble.
    """

    switches = (1.0,)

    def __init__(self, members, **kwargs):
        super().__init__(**kwargs)
        members = list(members)
        if not members:
            raise ValueError("An ensemble should have one member at least. Received: members=[]")
        first = members[0]
        for number, member in enumerate(members, 1):
            if getattr(member, "binarizer", None) is not None:
                raise ValueError(
                    "The members of an ensemble should be float networks. Received: "
                    f"{type(member).__name__} with binarizer={member.binarizer.name!r} "
                    f"(number {number})"
                )
        for name in ("num_classes", *_INPUT):
            _check_equal(name, [getattr(member, name, None) for member in members])
        labels = [getattr(member, "labels", None) for member in members]
        labels = [None if names is None else list(names) for names in labels]
        told = next((names for names in labels if names is not None), None)
        # Who tells no labels may know any.
        _check_equal("labels", [told if names is None else names for names in labels])
        self.members = members
        self.num_classes = first.num_classes
        self.labels = told
        for name in _INPUT:
            if hasattr(first, name):
                setattr(self, name, getattr(first, name))
        self.built = True

    @property
    def num_blocks(self):
        """Number of blocks of the first member; None if it has none."""
        return getattr(self.members[0], "num_blocks", None)

    @property
    def memory_size(self):
        """Width of the first member's blocks; None if it has none."""
        return getattr(self.members[0], "memory_size", None)

    def build(self, input_shape=None):
        """Nothing to build: the members are complete models."""
        self.built = True

    def call(self, inputs, thin=1.0, training=None, return_blocks=False):
        first, *others = self.members
        blocks = None
        if return_blocks:
            logits, blocks = first(inputs, thin=thin, training=training, return_blocks=True)
        else:
            logits = first(inputs, thin=thin, training=training)
        for member in others:
            logits = logits + member(inputs, thin=thin, training=training)
        logits = logits / len(self.members)
        return (logits, blocks) if return_blocks else logits

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.num_classes)

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {"name": self.name, "members": [serialize(member) for member in self.members]}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        config["members"] = [
            keras.saving.deserialize_keras_object(member, custom_objects=custom_objects)
            for member in config["members"]
        ]
        return cls(**config)


def _check_equal(name, values):
    for number, value in enumerate(values, 1):
        if value != values[0]:
            raise ValueError(
                f"The members of an ensemble should have the same {name}. Received: {values[0]} "
                f"(the first) and {value} (number {number})"
            )
