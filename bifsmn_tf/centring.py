"""Where the thresholds of a 1-bit network begin: in the middle of what they divide."""

from keras import ops

from bifsmn_tf.layers.binarized import watched_inputs


def centre_thresholds(student, features):
    r"""Moves the learned thresholds of every layer to the mean of its inputs.

    A student that starts from a float network's weights sees activations that are far from
    centred: behind a ReLU-like function hardly any is below a threshold near zero, and a sign that
    is always the same says nothing. With $\mu_c$ the mean of channel c over clips and frames,

    $$\operatorname{sign}(x_c - \mu_c)$$

    divides them evenly. Layers are centred in the order in which they execute, each with what
    those before it, already centred, give it; batch normalizations use the statistics of
    `features` meanwhile, and keep their own. Layers whose binarizer learns no threshold (see
    `bifsmn_tf.binarizers.Binarizer.centre`) stay as they are.

    Args:
        student: Thinnable network, such as `bifsmn_tf.models.BiFSMNv2`.
        features: Inputs of some hundred clips, `(clips, ...)`.

    Raises:
        ValueError: If there is no clip.
    """
    features = ops.convert_to_tensor(features)
    if not features.shape[0]:
        raise ValueError(
            "`features` should hold at least one clip. "
            f"Received: shape {tuple(features.shape)}"
        )
    seen = set()

    def centre(layer, inputs):
        if id(layer) not in seen:  # once: layers are shared by the switches
            seen.add(id(layer))
            middle = ops.mean(inputs, axis=tuple(range(len(inputs.shape) - 1)))
            deviation = ops.sqrt(ops.mean(ops.square(inputs - middle)))
            layer.binarizer.centre(layer.binarizer_variables, middle, deviation)

    statistics = [ops.convert_to_numpy(v).copy() for v in student.non_trainable_variables]
    with watched_inputs(student, centre):
        # The largest first: it has all blocks, or most.
        for switch in sorted(student.switches, reverse=True):
            student(features, thin=switch, training=True)
    for variable, value in zip(student.non_trainable_variables, statistics):
        variable.assign(value)
