"""Waits for the variants of clips where Ctrl-C is heard."""

import keras


class AwaitedViews(keras.callbacks.Callback):
    """Waits for the view of an epoch before TensorFlow asks for it.

    Args:
        views: `bifsmn_tf.data.FeatureViews`; epoch e takes view e modulo their number.
    """

    def __init__(self, views):
        super().__init__()
        self._views = views

    def on_epoch_begin(self, epoch, logs=None):
        self._views.wait(epoch % len(self._views))
