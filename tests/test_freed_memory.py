"""What the allocator does with freed memory, in a process of its own."""

import platform
import subprocess
import sys

import pytest

_COUNT = """
import ctypes, resource
import numpy as np
from bifsmn_tf.recipes.freed_memory import KeepFreedMemory

libc = ctypes.CDLL(None)
libc.mallopt(-3, 128 * 1024)  # mapped from this size on, as by default
libc.mallopt(-1, 128 * 1024)  # as TensorFlow's generator dataset leaves it

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(50):
        np.ones(250_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

counts = [faults()]
for batch in (1, 0):
    KeepFreedMemory().on_train_batch_begin(batch)
    faults()
    counts.append(faults())
print(*counts)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="no glibc")
def test_the_first_batch_of_an_epoch_keeps_what_is_freed():
    output = subprocess.run(
        [sys.executable, "-c", _COUNT], capture_output=True, text=True, check=True
    ).stdout
    before, later_batch, first_batch = map(int, output.split())
    # 2 MB are about 490 pages, each cleared anew for every array.
    assert before > 10_000 and later_batch > 10_000
    assert first_batch < before / 10
