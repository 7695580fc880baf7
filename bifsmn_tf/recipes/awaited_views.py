"""Waits for the variants of clips where Ctrl-C is heard."""

import keras


class AwaitedViews(keras.callbacks.Callback):
    """Waits for the view of an epoch before TensorFlow asks for it.

    Args:
        views: `bifsmn_tf.data.FeatureViews`.
        steps: Batches of a view. What Keras calls an epoch may be shorter.
        first_epoch: Epoch that the training begins with.
    """

    def __init__(self, views, steps, first_epoch=0):
        super().__init__()
        self._views = views
        self._steps = steps
        self._step = first_epoch * steps

    def on_train_batch_begin(self, batch, logs=None):
        epoch, step = divmod(self._step, self._steps)
        if step == 0:
            self._views.wait(self._views.of_epoch(epoch))
        self._step += 1
