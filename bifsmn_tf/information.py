r"""How much the bits of a 1-bit network say: the entropy of every layer's binarized inputs.

A layer whose input is the same sign for nearly every clip and frame learns nothing from it. With
$p_c(k)$ the share of the inputs of channel c whose bits are k,

$$H = \frac1C \sum_{c=1}^C \sum_k -p_c(k) \log_2 p_c(k)$$

is at most the number of bits, one per term of `bifsmn_tf.binarizers.Activation`.
"""

import dataclasses

import numpy as np
from keras import ops

from bifsmn_tf.layers.binarized import watched_inputs


@dataclasses.dataclass(frozen=True)
class LayerInformation:
    """What the binarized inputs of one layer say in one switch.

    Attributes:
        path: The layer, without the model's name.
        switch: The switch.
        bits: Bits per input value.
        entropy: H, in bits per input value.
        positive: Share of the first bits that are +1.
    """

    path: str
    switch: float
    bits: int
    entropy: float
    positive: float


def activation_information(model, features):
    """Entropy of the binarized inputs of every layer, in inference mode.

    Args:
        model: Network with binarized layers.
        features: Inputs of some hundred clips, `(clips, ...)`.

    Returns:
        A list of `LayerInformation`: by switch, then in order of execution.

    Raises:
        ValueError: If the model has no binarized layer.
    """
    features = ops.convert_to_tensor(features)
    result = []
    for switch in model.switches:

        def observe(layer, inputs):
            terms, _ = layer.binarizer.activation(
                inputs, layer.binarizer_variables, layer._scale_axes
            )
            signs = [ops.convert_to_numpy(bits) > 0 for bits, _ in terms]
            path = layer.path.split("/", 1)[-1]
            result.append(
                LayerInformation(
                    path, switch, len(signs), _entropy(signs), float(np.mean(signs[0]))
                )
            )

        with watched_inputs(model, observe):
            model(features, thin=switch, training=False)
    if not result:
        raise ValueError(
            f"The model should have binarized layers. Received: {type(model).__name__}"
        )
    return result


def _entropy(signs):
    channels = signs[0].shape[-1]
    codes = sum(sign.reshape(-1, channels).astype(int) << i for i, sign in enumerate(signs))
    shares = np.stack([(codes == code).mean(0) for code in range(1 << len(signs))])
    logarithms = np.log2(np.where(shares > 0, shares, 1.0))
    return float(-(shares * logarithms).sum(0).mean())


def table(rows):
    """Text: a row per layer, a column per switch, "entropy of bits"."""
    switches = list(dict.fromkeys(row.switch for row in rows))
    paths = list(dict.fromkeys(row.path for row in rows))
    found = {(row.path, row.switch): row for row in rows}
    width = max(map(len, paths))
    bits = max(row.bits for row in rows)
    lines = [
        f"entropy of the bits of each input value, of at most {bits}:",
        f"{'layer':<{width}}" + "".join(f"{f'thin {switch}':>12}" for switch in switches),
    ]
    for path in paths:
        cells = [found.get((path, switch)) for switch in switches]
        texts = ("" if cell is None else f"{cell.entropy:.2f}" for cell in cells)
        lines.append(f"{path:<{width}}" + "".join(f"{text:>12}" for text in texts))
    means = [
        np.mean([row.entropy for row in rows if row.switch == switch]) for switch in switches
    ]
    lines.append(f"{'mean':<{width}}" + "".join(f"{mean:>12.2f}" for mean in means))
    return "\n".join(lines)
