"""The tables of BiFSMN as data: what every row trains, and what the paper prints for it.

Figures are those of Tables 1 to 3 of [BiFSMN](https://arxiv.org/abs/2202.06483): accuracies in
percent on Speech Commands V1 (0.01) and V2 (0.02), FLOPs in the papers' millions. Rows of a
thinnable network have one figure per switch. Two tables are this project's own: "ablation" adds
the parts of [BiFSMNv2](https://arxiv.org/abs/2211.06987) and other choices to Table 1, "3-sound"
has the comparison networks of Table 3 as they should be binarized.
"""

import dataclasses
import fnmatch

SWITCHES = (1.0, 0.5, 0.25)
# Arguments that a float network does not have.
_OF_BINARY_NETWORKS = ("binarizer", "switches", "weight_scale", "switch_all_bn")


@dataclasses.dataclass(frozen=True)
class Network:
    """A network by name, so that it can be written down and compared.

    Attributes:
        model: Name of a class of `bifsmn_tf.models`.
        arguments: Its arguments, apart from classes and labels.
    """

    model: str
    arguments: dict = dataclasses.field(default_factory=dict)

    @property
    def binarizer(self):
        """Name of its binarizer; None for a float network."""
        return self.arguments.get("binarizer")

    @property
    def switches(self):
        """Its switches."""
        return tuple(self.arguments.get("switches", (1.0,)))

    @property
    def float_network(self):
        """The float network that teaches it and whose weights it starts from."""
        arguments = {k: v for k, v in self.arguments.items() if k not in _OF_BINARY_NETWORKS}
        thinnable = self.model in ("BiFSMN", "BiFSMNv2")
        return Network("DFSMN" if thinnable else self.model, arguments)

    def make(self, num_classes, labels=None):
        """A new Keras model.

        Args:
            num_classes: Number of classes.
            labels: Their names, or None.
        """
        from bifsmn_tf import models

        return getattr(models, self.model)(num_classes, labels=labels, **self.arguments)


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        name: For `--rows`; unique within a table.
        architecture, method: As printed.
        network: What is trained.
        classes: Number of classes of the paper's task.
        distillation: Of hidden states, see `bifsmn_tf.recipes.train_student`.
        logits: Of logits, see `bifsmn_tf.recipes.train_student`.
        flops: The paper's millions of FLOPs, one per switch; empty where it has no such row.
        v1, v2: The paper's accuracies, one per switch.
        parameters: The paper's millions of parameters.
        note: What there is to say about it.
    """

    name: str
    architecture: str
    method: str
    network: Network
    classes: int = 12
    distillation: str = "none"
    logits: str = "none"
    flops: tuple = ()
    v1: tuple = ()
    v2: tuple = ()
    parameters: float | None = None
    note: str = ""


_DFSMN = Network("DFSMN")


def _bifsmn(binarizer="vanilla", switches=SWITCHES, **arguments):
    return Network("BiFSMN", {"binarizer": binarizer, "switches": switches, **arguments})


def _v2(binarizer="lpb", **arguments):
    return Network("BiFSMNv2", {"binarizer": binarizer, "switches": SWITCHES, **arguments})


# LPB without the second scale.
_LPB_SINGLE = {
    "module": "bifsmn_tf.binarizers.lpb", "class_name": "LPB", "config": {"dual": False},
    "registered_name": "bifsmn_tf>LPB",
}  # fmt: skip
# LPB for weights alone.
_LPB_REAL_ACTIVATIONS = {
    "module": "bifsmn_tf.binarizers.real_activations", "class_name": "RealActivations",
    "config": {"binarizer": "lpb"}, "registered_name": "bifsmn_tf>RealActivations",
}  # fmt: skip
_FLOPS = {
    12: (40.46, 29.90, 24.62),
    20: (41.50, 30.95, 25.67),
    35: (43.47, 32.91, 27.63),
}
_SMALL_FLOPS = (11.94, 10.08, 9.16)
_HED = {
    "network": _bifsmn(), "distillation": "hed", "flops": _FLOPS[12], "v1": (95.03, 94.87, 94.48),
}  # fmt: skip


TABLE_1 = (
    Row("dfsmn-fp", "D-FSMN", "float", _DFSMN, flops=(710.15,), v1=(97.51,), v2=(96.01,)),
    Row("dfsmn-vanilla", "D-FSMN", "Vanilla", _bifsmn(switches=(1.0,)),
        flops=(40.46,), v1=(87.71,), v2=(89.53,)),
    Row("dfsmn-distill", "D-FSMN", "Distill", _bifsmn(switches=(1.0,)), distillation="attention",
        flops=(40.46,), v1=(90.02,), v2=(90.95,)),
    Row("dfsmn-hed", "D-FSMN", "HED", _bifsmn(switches=(1.0,)), distillation="hed",
        flops=(40.46,), v1=(93.47,), v2=(93.54,)),
    Row("tba-vanilla", "TBA", "Vanilla", _bifsmn(),
        flops=_FLOPS[12], v1=(87.72, 86.95, 84.19), v2=(89.96, 88.85, 87.09)),
    Row("tba-distill", "TBA", "Distill", _bifsmn(), distillation="attention",
        flops=_FLOPS[12], v1=(92.31, 91.89, 91.83), v2=(93.00, 92.84, 92.70)),
    Row("tba-hed", "TBA", "HED", **_HED, v2=(94.86, 94.74, 94.63)),
)  # fmt: skip


def _float(classes, flops, v1, v2):
    return Row(f"{classes}-fp", "D-FSMN", "float", _DFSMN, classes, flops=(flops,), v1=(v1,),
               v2=(v2,))  # fmt: skip


def _binarizer(classes, name, method, flops, v1, v2, note=""):
    network = _bifsmn(name, switches=(1.0,))
    row = f"{classes}-{name.replace('_', '-')}"
    return Row(row, "D-FSMN", method, network, classes, flops=(flops,), v1=(v1,), v2=(v2,),
               note=note)  # fmt: skip


def _thinnable(classes, v1, v2):
    return Row(f"{classes}-bifsmn", "BiFSMN", "HED", _bifsmn(), classes, "hed",
               flops=_FLOPS[classes], v1=v1, v2=v2)  # fmt: skip


TABLE_2 = (
    _float(12, 710.15, 97.93, 98.05),
    _binarizer(12, "dorefa", "DoReFa", 40.46, 66.42, 66.59),
    _binarizer(12, "bnn", "BNN", 35.87, 68.84, 70.87),
    _binarizer(12, "rad", "RAD", 35.87, 71.51, 69.80),
    _binarizer(12, "xnor_net", "XNOR-Net", 45.04, 82.74, 87.34),
    _binarizer(12, "bi_real", "Bi-Real", 40.46, 85.87, 87.93),
    _binarizer(12, "ir_net", "IR-Net", 40.46, 86.81, 85.10),
    _thinnable(12, (95.03, 94.87, 94.48), (94.86, 94.73, 94.63)),
    _float(20, 711.20, 96.57, 97.00),
    _binarizer(20, "xnor_net", "XNOR-Net", 45.04, 80.69, 85.05,
               note="The paper prints the FLOPs of 12 classes; its own formula gives 46.09."),
    _binarizer(20, "bi_real", "Bi-Real", 41.50, 80.84, 84.39),
    _binarizer(20, "ir_net", "IR-Net", 41.50, 83.78, 83.32),
    _thinnable(20, (92.88, 92.67, 92.65), (92.98, 92.81, 92.72)),
    _float(35, 713.16, 96.63, 95.96),
    _binarizer(35, "ir_net", "IR-Net", 43.47, 74.09, 74.93),
    _binarizer(35, "bi_real", "Bi-Real", 43.47, 80.86, 81.86),
    _binarizer(35, "xnor_net", "XNOR-Net", 48.06, 81.25, 84.05),
    _thinnable(35, (92.10, 91.93, 91.85), (90.67, 90.54, 90.42)),
)  # fmt: skip


def _comparison(name, architecture, model, parameters, *figures, **arguments):
    """Rows of a network of Table 3: `figures` are (method, FLOPs, accuracy)."""
    methods = {
        "float": ("fp", {}, {}),
        "XNOR-Net": ("xnor-net", {"binarizer": "xnor_net"}, {}),
        "IR-Net": ("ir-net", {"binarizer": "ir_net"}, {}),
        "HED": ("hed", {"binarizer": "vanilla"}, {"distillation": "hed"}),
    }
    rows = []
    for method, *printed in figures:
        suffix, binary, losses = methods[method]
        flops, v1 = ((value,) for value in printed) if printed else ((), ())
        rows.append(
            Row(f"{name}-{suffix}", architecture, method, Network(model, {**binary, **arguments}),
                flops=flops, v1=v1, parameters=parameters, **losses)
        )  # fmt: skip
    return tuple(rows)


TABLE_3 = (
    *_comparison("vgg19bn", "VGG19bn", "VGG19BN", 38.97, ("float", 53348.40, 97.74),
                 ("IR-Net", 1030.18, 63.86), ("XNOR-Net", 1061.63, 66.10)),
    *_comparison("bcresnet", "BC-ResNet", "BCResNet", 0.35, ("float", 3749.71, 97.84),
                 ("XNOR-Net", 619.03, 65.94), ("IR-Net", 541.70, 66.51)),
    *_comparison("audiomer", "Audiomer", "Audiomer", 0.80, ("float", 18577.49, 98.95),
                 ("IR-Net", 1449.41, 62.44), ("XNOR-Net", 2567.19, 62.44)),
    *_comparison("fsmn", "FSMN", "FSMN", 0.45, ("float", 1625.29, 97.52),
                 ("XNOR-Net", 80.61, 55.89), ("IR-Net", 64.36, 88.35), ("HED", 64.36, 89.90)),
    Row("dfsmn-fp", "D-FSMN", "float", _DFSMN, flops=(710.15,), v1=(97.93,), parameters=0.60),
    Row("dfsmn-xnor-net", "D-FSMN", "XNOR-Net", _bifsmn("xnor_net", (1.0,)),
        flops=(45.04,), v1=(82.74,), parameters=0.60),
    Row("dfsmn-ir-net", "D-FSMN", "IR-Net", _bifsmn("ir_net", (1.0,)),
        flops=(40.46,), v1=(86.81,), parameters=0.60),
    Row("dfsmn-hed", "D-FSMN", "HED", _bifsmn(switches=(1.0,)), distillation="hed",
        flops=(40.46,), v1=(93.47,), parameters=0.60),
    Row("bifsmn-fp", "BiFSMN", "float", _DFSMN, flops=(710.15,), v1=(97.93,), parameters=0.60),
    Row("bifsmn-ir-net", "BiFSMN", "IR-Net", _bifsmn("ir_net"),
        flops=_FLOPS[12], v1=(88.37, 87.11, 86.08), parameters=0.61),
    Row("bifsmn-hed", "BiFSMN", "HED", **_HED, parameters=0.61),
    Row("bifsmn-s-fp", "BiFSMN_S", "float", Network("DFSMN", {"variant": "S"}),
        flops=(91.62,), v1=(97.51,), parameters=0.05),
    Row("bifsmn-s-ir-net", "BiFSMN_S", "IR-Net", _bifsmn("ir_net", variant="S"),
        flops=_SMALL_FLOPS, v1=(72.21, 71.70, 71.66), parameters=0.05),
    Row("bifsmn-s-hed", "BiFSMN_S", "HED", _bifsmn(variant="S"), distillation="hed",
        flops=_SMALL_FLOPS, v1=(90.65, 90.33, 90.31), parameters=0.05),
)  # fmt: skip


def _shipped(name, method, distillation="fid", logits="soft", note="", **arguments):
    """The shipped BiFSMNv2 with the paper's binarizer, or what `arguments` make of it."""
    network = _v2(**{"switch_all_bn": True, **arguments})
    return Row(name, "BiFSMNv2", method, network, distillation=distillation, logits=logits,
               note=note)  # fmt: skip


_OWN_ROWS = (
    Row("tba-hed-official", "TBA", "HED, real pointwise weights",
        _bifsmn(weight_scale="official"), distillation="hed",
        note="The released code's weight scales, which keep the pointwise weights real."),
    Row("tba-hed-bn", "TBA", "HED, normalization per switch",
        _bifsmn(switch_all_bn=True), distillation="hed"),
    Row("tba-soft", "TBA", "soft targets", _bifsmn(), logits="soft"),
    Row("tba-hed-soft", "TBA", "HED, soft targets", _bifsmn(), distillation="hed", logits="soft"),
    Row("tba-fid", "TBA", "FID", _bifsmn(), distillation="fid"),
    Row("tba-fid-mse", "TBA", "FID, logit MSE", _bifsmn(), distillation="fid", logits="mse"),
    Row("tba-hed-lpb", "TBA", "HED, LPB with one scale", _bifsmn(_LPB_SINGLE), distillation="hed"),
    Row("tba-hed-dual", "TBA", "HED, LPB with dual scale", _bifsmn("lpb"), distillation="hed",
        note="Less tba-hed-lpb: what the second scale buys."),
    Row("v2", "BiFSMNv2", "FID, logit MSE", _v2(), distillation="fid", logits="mse",
        note="BiFSMNv2's abstract: 1.51 points below its float network on 12 classes of V1."),
    Row("v2-official", "BiFSMNv2", "FID, logit MSE, real pointwise weights",
        _v2(weight_scale="official"), distillation="fid", logits="mse",
        note="The released code's scales, which keep the pointwise weights real."),
    _shipped("v2-bn-soft", "FID, soft targets, normalization per switch",
             note="The shipped network, but for LSQ. Rows 'as v2-bn-soft' change one part of it."),
    _shipped("v2-bn-soft-official", "as v2-bn-soft, but real pointwise weights",
             weight_scale="official"),
    _shipped("v2-bn-soft-lsq", "as v2-bn-soft, but LSQ instead of LPB", binarizer="lsq",
             note="The shipped network: two bits of activation at a learned step."),
    _shipped("v2-bn-soft-weights", "as v2-bn-soft, but real activations",
             binarizer=_LPB_REAL_ACTIVATIONS, note="FLOPs are counted as those of v2-bn-soft."),
    _shipped("v2-bn-soft-single", "as v2-bn-soft, but LPB with one scale", binarizer=_LPB_SINGLE),
    _shipped("v2-bn-soft-vanilla", "as v2-bn-soft, but no LPB", binarizer="vanilla",
             note="Below v2-bn-soft-single by what thresholds and gradient of LPB buy."),
    _shipped("v2-soft", "as v2-bn-soft, but one normalization for all switches",
             switch_all_bn=False),
    _shipped("v2-bn", "as v2-bn-soft, but logit MSE", logits="mse"),
    _shipped("v2-bn-fid", "as v2-bn-soft, but FID alone", logits="none"),
    _shipped("v2-bn-soft-only", "as v2-bn-soft, but soft targets alone", distillation="none"),
    _shipped("v2-bn-soft-hed", "as v2-bn-soft, but HED instead of FID", distillation="hed"),
)  # fmt: skip

_SOUND = tuple(
    row
    for name, architecture, model in (
        ("fsmn", "FSMN", "FSMN"),
        ("vgg19bn", "VGG19bn", "VGG19BN"),
        ("bcresnet", "BC-ResNet", "BCResNet"),
        ("audiomer", "Audiomer", "Audiomer"),
    )
    for row in _comparison(
        name, architecture, model, None, ("float",), ("XNOR-Net",), ("IR-Net",), mode="sound"
    )
)

TABLES = {
    "1": TABLE_1,
    "2": TABLE_2,
    "3": TABLE_3,
    "3-sound": _SOUND,
    "ablation": TABLE_1 + _OWN_ROWS,
}
TITLES = {
    "1": "Table 1: ablation of thinning and distillation",
    "2": "Table 2: binarizers on D-FSMN",
    "3": "Table 3: architectures",
    "3-sound": "Networks of Table 3 in their sound mode",
    "ablation": "Table 1 with this project's own rows",
}


def select(table, names=None):
    """Rows of a table.

    Args:
        table: Name of the table, one of `TABLES`.
        names: Names of rows, or patterns with `*` and `?`; None for all.

    Returns:
        Tuple of `Row`, in the table's order.

    Raises:
        ValueError: If there is no such table or row.
    """
    if table not in TABLES:
        raise ValueError(
            f"`table` should be one of {', '.join(TABLES)}. Received: table={table!r}"
        )
    rows = TABLES[table]
    if names is None:
        return rows
    unknown = [n for n in names if not any(fnmatch.fnmatchcase(r.name, n) for r in rows)]
    if unknown or not names:
        raise ValueError(
            f"Rows of table {table} should be among {', '.join(row.name for row in rows)}. "
            f"Received: {', '.join(unknown) or 'none'}"
        )
    return tuple(r for r in rows if any(fnmatch.fnmatchcase(r.name, n) for n in names))
