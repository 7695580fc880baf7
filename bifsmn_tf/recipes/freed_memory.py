"""Keeps the memory that a training step frees for the next step."""

import ctypes
import platform

import keras

# Of glibc's malloc.h: where the heap's end is given back, and from which size blocks are mapped.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_LARGEST_TRIM = 2**31 - 1
_LARGEST_MMAP = 32 * 2**20  # glibc takes no larger one


class KeepFreedMemory(keras.callbacks.Callback):
    """Asks glibc not to give freed memory back to the system, from the first batch on.

    A step allocates and frees about a hundred megabytes. TensorFlow's generator dataset makes glibc
    return all but 128 kB of what is free, so that the system clears the same pages anew in every
    step. Elsewhere than on glibc this does nothing.
    """

    def on_train_batch_begin(self, batch, logs=None):
        # Not earlier: the dataset sets its limit when an epoch's iterator is made.
        if batch == 0 and platform.libc_ver()[0] == "glibc":
            libc = ctypes.CDLL(None)
            libc.mallopt(_M_MMAP_THRESHOLD, _LARGEST_MMAP)
            libc.mallopt(_M_TRIM_THRESHOLD, _LARGEST_TRIM)
