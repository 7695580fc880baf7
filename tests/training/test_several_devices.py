"""`ThinnableDistiller` on several devices."""

import os
import pathlib
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_distillers import assert_equal_snapshots, data, distiller, snapshot


@pytest.mark.slow
def test_mirrored_strategy_on_one_device():
    x, y = data(8)
    # A graph, too: sums of another order put activations on the other side of a threshold.
    expected = distiller(compiled=False)
    expected.compile(keras.optimizers.SGD(0.01, momentum=0.9))
    expected_history = expected.fit(x, y, batch_size=4, shuffle=False, verbose=0).history
    with tf.distribute.MirroredStrategy(["/cpu:0"]).scope():
        model = distiller(compiled=False)
        model.compile(keras.optimizers.SGD(0.01, momentum=0.9))
    history = model.fit(x, y, batch_size=4, shuffle=False, verbose=0).history
    assert set(history) == set(expected_history)
    for name, values in expected_history.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-4, err_msg=name)
    assert_equal_snapshots(snapshot(model.student), snapshot(expected.student),
                           rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_two_replicas_take_the_same_step_as_one_device():
    """Both replicas see the same samples, so that batch statistics agree with one device's."""
    code = """
        import numpy as np, tensorflow as tf
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration() for _ in range(2)])
        import small_distillers as t
        x, y = t.data(4)
        x, y = np.concatenate([x, x]), np.concatenate([y, y])
        one = t.distiller()
        expected = one.fit(x, y, batch_size=8, shuffle=False, verbose=0).history
        strategy = tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])
        assert strategy.num_replicas_in_sync == 2
        with strategy.scope():
            two = t.distiller(compiled=False)
            two.compile(t.keras.optimizers.SGD(0.01, momentum=0.9))
        history = two.fit(x, y, batch_size=8, shuffle=False, verbose=0).history
        for name, values in expected.items():
            np.testing.assert_allclose(history[name], values, rtol=1e-4, err_msg=name)
        t.assert_equal_snapshots(t.snapshot(two.student), t.snapshot(one.student),
                                 rtol=1e-3, atol=1e-5)
        print("same step")
    """
    folder = pathlib.Path(__file__).resolve().parent
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": f"{folder.parents[1]}:{folder}"},
    )
    assert result.returncode == 0, result.stderr[-3000:]
    assert "same step" in result.stdout
