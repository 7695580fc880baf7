"""Starting a student from a teacher's weights."""

import numpy as np
import pytest
from small_distillers import assert_equal_snapshots, snapshot, student, teacher

from bifsmn_tf.training import initialize_student


def test_initialize_student():
    source, target = teacher(), student()
    for variable in source.weights:
        variable.assign_add(np.full(variable.shape, 0.125))
    before = snapshot(target)
    initialize_student(target, source)
    after = snapshot(target)
    copied = snapshot(source)
    for path, value in after.items():
        np.testing.assert_array_equal(value, copied.get(path, before[path]), err_msg=path)
    untouched = set(after) - set(copied)
    assert "block1/output_norm/bn1/gamma" in untouched and "activation1/slope" in untouched


def test_initialize_student_from_another_size_changes_nothing():
    target = student()
    before = snapshot(target)
    for other in (teacher(hidden_size=10), teacher(num_blocks=5), teacher(frontend_kernel=5)):
        with pytest.raises(ValueError, match="same sizes. Received: teacher's"):
            initialize_student(target, other)
    assert_equal_snapshots(snapshot(target), before)
