"""What a converted file holds, and how well it agrees with the Keras model."""

import collections
import dataclasses

import numpy as np

from bifsmn_tf.conversion import tflite_file


@dataclasses.dataclass(frozen=True)
class Parity:
    """Agreement of one switch with Keras over `clips` inputs."""

    clips: int
    max_difference: float
    top1_agreement: float


@dataclasses.dataclass(frozen=True)
class Report:
    """Bytes by kind, operators by signature, and parity with Keras.

    Attributes:
        total_bytes: Size of the file.
        bit_bytes: Packed 1-bit weights.
        float_bytes: Real weights and folded constants (float32, float16, int8).
        threshold_bytes: Integer thresholds (int16).
        graph_bytes: Everything else: operators, tensors, signatures, labels.
        operators: For every signature, a dictionary from operator names to counts; names of
            custom operators are in `custom_operators`.
        custom_operators: Names of the custom operators used.
        parity: For every switch a `Parity`; empty if it was not measured.
        parity_note: Why parity was not measured, or on what it was.
    """

    total_bytes: int
    bit_bytes: int
    float_bytes: int
    threshold_bytes: int
    graph_bytes: int
    operators: dict
    custom_operators: tuple
    parity: dict = dataclasses.field(default_factory=dict)
    parity_note: str = "not measured"

    def to_dict(self):
        """Plain dictionaries and numbers, for JSON."""
        return dataclasses.asdict(self)

    def __str__(self):
        lines = [f"{self.total_bytes:,} bytes"]
        for name, size in (
            ("1-bit weights", self.bit_bytes),
            ("thresholds", self.threshold_bytes),
            ("real numbers", self.float_bytes),
            ("graph", self.graph_bytes),
        ):
            lines.append(f"  {name:<14}{size:>10,}  {100 * size / self.total_bytes:5.1f} %")
        for signature, counts in self.operators.items():
            groups = collections.defaultdict(list)
            for name, count in counts.items():
                groups[name in self.custom_operators].append(f"{count} {name}")
            lines.append(
                f"{signature}: custom: {', '.join(groups[True]) or 'none'}; "
                f"builtin: {', '.join(groups[False]) or 'none'}"
            )
        if self.parity:
            lines.append(f"parity with Keras ({self.parity_note}):")
            for switch, parity in self.parity.items():
                lines.append(
                    f"  thin {switch}: max |difference| {parity.max_difference:.2e}, top-1 "
                    f"agreement {100 * parity.top1_agreement:.2f} % of {parity.clips}"
                )
        else:
            lines.append(f"parity with Keras: {self.parity_note}")
        return "\n".join(lines)


def inspect(content):
    """Bytes by kind and operators of a `.tflite`, without running it.

    Args:
        content: Bytes of the file.

    Returns:
        A `Report` without parity.
    """
    model = tflite_file.read(content)
    constants = tflite_file.constant_bytes(model)
    bits = tflite_file.packed_weight_bytes(model)
    floats = sum(constants.get(kind, 0) for kind in ("float32", "float16", "int8"))
    thresholds = constants.get("int16", 0)
    operators = tflite_file.operators(model)
    return Report(
        total_bytes=len(content),
        bit_bytes=bits,
        float_bytes=floats,
        threshold_bytes=thresholds,
        graph_bytes=len(content) - bits - floats - thresholds,
        operators={
            signature: dict(collections.Counter(name for name, _ in names))
            for signature, names in operators.items()
        },
        custom_operators=tuple(
            sorted({name for names in operators.values() for name, custom in names if custom})
        ),
    )


def measure_parity(content, expected, inputs, switches):
    """Compares the scores of a converted file with those of Keras.

    Args:
        content: Bytes of the file.
        expected: Function `(inputs, switch) -> probabilities (n, classes)`.
        inputs: Inputs of the file's signatures, `(n, ...)`.
        switches: Switches to compare.

    Returns:
        Dictionary from switches to `Parity`.
    """
    from bifsmn_tf.runtime import TFLiteModel

    model = TFLiteModel(content)
    results = {}
    for switch in switches:
        reference = np.asarray(expected(inputs, switch))
        scores = np.stack([model.scores(x, thin=switch) for x in inputs])
        results[switch] = Parity(
            clips=len(inputs),
            max_difference=float(np.abs(scores - reference).max()),
            top1_agreement=float(np.mean(scores.argmax(-1) == reference.argmax(-1))),
        )
    return results
