"""Scalars for TensorBoard, one curve per metric and subset."""

from pathlib import Path

import keras
import tensorflow as tf

# What makes TensorBoard draw a value as a curve. `tf.summary.scalar` adds the same, but only
# where TensorBoard itself is installed; logs should be written either way.
_METADATA = tf.compat.v1.SummaryMetadata(
    plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars"),
    data_class=1,
)


class EventLog(keras.callbacks.Callback):
    """Writes every epoch's metrics and learning rate under `folder/train` and `.../validation`.

    Args:
        folder: Folder to give to `tensorboard --logdir`.
    """

    def __init__(self, folder):
        super().__init__()
        self._folder = Path(folder)
        self._writers = {}

    def _write(self, subset, name, value, epoch):
        if subset not in self._writers:
            self._writers[subset] = tf.summary.create_file_writer(str(self._folder / subset))
        with self._writers[subset].as_default():
            tf.summary.write(
                name, tf.constant(float(value), tf.float32), step=epoch, metadata=_METADATA
            )

    def on_epoch_end(self, epoch, logs=None):
        for name, value in (logs or {}).items():
            if name.startswith("val_"):
                self._write("validation", name[4:], value, epoch + 1)
            else:
                self._write("train", name, value, epoch + 1)
        self._write("train", "learning_rate", self.model.optimizer.learning_rate, epoch + 1)
        for writer in self._writers.values():
            writer.flush()

    def on_train_end(self, logs=None):
        for writer in self._writers.values():
            writer.close()
        self._writers = {}
