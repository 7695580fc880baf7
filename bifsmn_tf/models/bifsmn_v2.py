"""BiFSMNv2: BiFSMN with learnable binarizers and two scales of activations."""

import keras

from bifsmn_tf.models.bifsmn import BiFSMN


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class BiFSMNv2(BiFSMN):
    """BiFSMN whose layers binarize with learnable thresholds and windows, activations twice.

    `BiFSMN` with `bifsmn_tf.binarizers.LPB`: a second bit says in which direction the first one is
    off, and a second scale, found at run time, how far. A layer thus takes two XNOR passes with
    the same 1-bit weights. The paper trains it with `bifsmn_tf.distillation.FID`.

    Args:
        num_classes: Number of classes.
        switches: As for `BiFSMN`.
        binarizer: Name or instance, see `bifsmn_tf.binarizers`.
        weight_scale: "channel", scales that factor out of what one output sums, for weights and
            activations; or "official", the arithmetic of the released code, for parity only.
        **kwargs: Further arguments of `BiFSMN`.

    Input shape, output shape, call arguments: as for `BiFSMN`.

    Reference:
        [BiFSMNv2: Pushing Binary Neural Networks for Keyword Spotting to Real-Network
        Performance](https://arxiv.org/abs/2211.06987)
    """

    def __init__(
        self,
        num_classes,
        switches=(1.0, 0.5, 0.25),
        binarizer="lpb",
        weight_scale="channel",
        **kwargs,
    ):
        super().__init__(
            num_classes, switches=switches, binarizer=binarizer, weight_scale=weight_scale, **kwargs
        )
