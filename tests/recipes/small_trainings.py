"""Trainings of a few seconds, and what interrupts them."""

import dataclasses

import keras
import numpy as np

from bifsmn_tf import recipes

SMALL = {"variant": "S", "num_blocks": 2}
RECIPE = recipes.Recipe("adam", 5e-3, epochs=3, batch_size=16, warmup_epochs=1)
ROBUST = dataclasses.replace(
    RECIPE, augmentation="robust", views=2, distractors=0.5, masks=0.5, mixup=0.5
)


def train_teacher(data, folder, recipe=RECIPE, **kwargs):
    model = recipes.make_teacher(data, **SMALL)
    return recipes.train_teacher(
        data, model, recipe, folder=folder, jit_compile=False, verbose=False, **kwargs
    )


class Interrupt(keras.callbacks.Callback):
    """Ctrl-C in the middle of an epoch."""

    def __init__(self, epoch):
        super().__init__()
        self.at = epoch

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == (self.at, 1):
            raise KeyboardInterrupt


def assert_same_weights(*files):
    ours, theirs = (keras.saving.load_model(file, compile=False).get_weights() for file in files)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
