"""BiFSMN: the binarized, thinnable D-FSMN."""

import keras

from bifsmn_tf import binarizers
from bifsmn_tf.models.skeleton import DFSMNSkeleton


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class BiFSMN(DFSMNSkeleton):
    """Binarized D-FSMN whose depth can be chosen at every call.

    All convolutions and dense layers but the first and the last have 1-bit weights and 1-bit
    input activations; the residual stream stays real. A switch 1/n executes every n-th block
    (n, 2n, ...) and passes the stream through the others unchanged. All weights are shared by all
    switches; the last batch normalization and PReLU of a block exist once per switch (BiFSMN,
    section 3.3).

    Args:
        num_classes: Number of classes.
        switches: Fractions of the blocks that can be executed, e.g. `(1.0, 0.5, 0.25)`; `(1.0,)`
            is the non-thinnable network.
        binarizer: Name or instance, see `bifsmn_tf.binarizers`.
        weight_scale: "channel", truly 1-bit weights with one scaling factor per output (Eq. (2)),
            or "official", the arithmetic of the released code (real pointwise weights), for
            parity only.
        switch_all_bn: Give every batch normalization of the blocks statistics and parameters per
            switch, not only the last.
        dropout: Rate after the hidden layer of each block and before the classifier.
        variant, memory_size, hidden_size, num_blocks, frontend_kernel, frontend_filters,
        look_back, look_ahead, stride_back, stride_ahead, num_mels, num_frames, labels: As for
            `DFSMN`.

    Input shape: `(batch, num_mels, num_frames, 1)` in dB. Output shape: `(batch, num_classes)`,
    logits.

    Call arguments:
        inputs: Features.
        thin: The switch, one of `switches`.
        training: Whether to use batch statistics.
        return_blocks: Also return the list of the executed blocks' outputs, each
            `(batch, frames, memory_size)`.

    Reference:
        [BiFSMN: Binary Neural Network for Keyword Spotting](https://arxiv.org/abs/2202.06483)
    """

    def __init__(
        self,
        num_classes,
        switches=(1.0, 0.5, 0.25),
        binarizer="vanilla",
        weight_scale="channel",
        switch_all_bn=False,
        dropout=0.0,
        **kwargs,
    ):
        if binarizer is None:
            raise ValueError(
                "`BiFSMN` needs a binarizer; the float network is `DFSMN`. Received: "
                "binarizer=None"
            )
        super().__init__(
            num_classes,
            frontend_activation="prelu",
            memory_activation="prelu",
            hidden_activation="prelu",
            output_activation="prelu",
            hidden_dropout=dropout,
            classifier_dropout=dropout,
            switches=switches,
            switch_all_bn=switch_all_bn,
            binarizer=binarizer,
            weight_scale=weight_scale,
            **kwargs,
        )
        self.dropout = dropout

    def get_config(self):
        return {
            **super().get_config(),
            "switches": list(self.switches),
            "binarizer": binarizers.serialize(self.binarizer),
            "weight_scale": self.weight_scale,
            "switch_all_bn": self.switch_all_bn,
            "dropout": self.dropout,
        }
