"""Freezes 1-bit weights that keep changing their sign."""

import keras
import numpy as np

from bifsmn_tf.layers.binarized import binarized_layers

# Of an epoch: what is watched, before signs are frozen and batch statistics follow them.
_WATCHED = 0.75
# Frozen weights are this many times as large as the largest that gets a gradient: what momentum
# there is should not bring them back.
_MARGIN = 1.5
# Of a training: epochs after which the threshold is at its lowest.
_FALLING = 0.8


def freezable_layers(model):
    """The layers of a model whose signs can be frozen.

    Args:
        model: Keras model.

    Returns:
        List of layers.

    Raises:
        ValueError: If the model has no binarized layer or a binarizer that gives weights of
            all sizes a gradient.
    """
    layers = binarized_layers(model)
    if not layers:
        raise ValueError(
            "`SignFreezing` needs a model with binarized layers. "
            f"Received: {type(model).__name__}"
        )
    for layer in layers:
        if _window(layer) is None:
            raise ValueError(
                "`SignFreezing` needs a binarizer whose surrogate has no gradient for large "
                f"weights. Received: {layer.binarizer.name}"
            )
    return layers


class SignFreezing(keras.callbacks.Callback):
    r"""Freezes 1-bit weights that keep changing their sign, each at the sign it had most often.

    A real-valued weight near zero crosses it at every other step: the loss asks for a value
    between $-\alpha_w$ and $+\alpha_w$ that one bit does not have. The sign it happens to end with
    is noise that all other weights have to live with. Frozen early, they adapt to it.

    Over the first three quarters of an epoch every kernel is looked at every few steps. A weight
    whose sign has changed in more than a share f of the looks is then moved to where its
    surrogate has no gradient, $|w| = 1.5$ for most binarizers, on the side where it was in
    most of them; in the last quarter the batch statistics follow. In epoch e of E, counted from 0,

    $$f = h + (l - h) \min\big(1, \tfrac{e}{0.8\,E}\big).$$

    Nothing is carried from epoch to epoch but the weights, so that a training that is taken up
    again at the end of an epoch goes on as if it had not been interrupted.

    Args:
        highest: h, the share in the first epoch.
        lowest: l, the share in the last fifth of the training.
        every: Steps from one look to the next.

    Raises:
        ValueError: If an argument is not valid, or, at the beginning of the training, if the model
            has no binarized layer or a binarizer that gives weights of all sizes a gradient.

    Reference:
        [Overcoming Oscillations in Quantization-Aware
        Training](https://arxiv.org/abs/2203.11086), section 4.3, for weights of one bit.
    """

    def __init__(self, highest=0.3, lowest=0.02, every=4):
        super().__init__()
        for name, value in (("highest", highest), ("lowest", lowest)):
            if not 0 < value <= 1:
                raise ValueError(
                    f"`{name}` should be above 0 and at most 1. Received: {name}={value!r}"
                )
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise ValueError(f"`every` should be a positive integer. Received: every={every!r}")
        self.highest = highest
        self.lowest = lowest
        self.every = every
        self._layers = []
        self._watchers = []
        self._epoch = self._step = 0
        self._steps = None

    def threshold(self, epoch):
        """Share of looks with a change of sign above which a weight is frozen in an epoch."""
        progress = min(1.0, epoch / (_FALLING * self.params["epochs"]))
        return self.highest + (self.lowest - self.highest) * progress

    def on_train_begin(self, logs=None):
        self._layers = freezable_layers(self.model)
        self._steps = self.params.get("steps")

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch
        self._step = 0
        self._watchers = [_Watcher(layer.kernel) for layer in self._layers]

    def on_train_batch_end(self, batch, logs=None):
        self._step += 1
        if not self._watchers:
            return
        if self._step % self.every == 0:
            for watcher in self._watchers:
                watcher.look()
        if self._steps and self._step >= _WATCHED * self._steps:
            self._freeze()
            self._watchers = []

    def on_epoch_end(self, epoch, logs=None):
        # A dataset that does not tell its length shows it in the first epoch.
        self._steps = self._steps or self._step

    def _freeze(self):
        threshold = self.threshold(self._epoch)
        for layer, watcher in zip(self._layers, self._watchers):
            restless = watcher.restless(threshold)
            if restless.any():
                kernel = np.array(layer.kernel)
                kernel[restless] = _MARGIN * _window(layer) * watcher.majority()[restless]
                layer.kernel.assign(kernel)


def _window(layer):
    return layer.binarizer.weight_window(layer.binarizer_variables)


class _Watcher:
    """Counts the signs of one kernel and their changes."""

    def __init__(self, kernel):
        self._kernel = kernel
        self._last = self._signs()
        self._changes = np.zeros(self._last.shape, np.int32)
        self._positive = np.zeros(self._last.shape, np.int32)
        self._looks = 0

    def _signs(self):
        return np.asarray(self._kernel) >= 0

    def look(self):
        signs = self._signs()
        self._changes += signs != self._last
        self._positive += signs
        self._last = signs
        self._looks += 1

    def restless(self, threshold):
        return self._changes > threshold * self._looks

    def majority(self):
        return np.where(2 * self._positive >= self._looks, 1.0, -1.0).astype(np.float32)
