"""What every layer of the package must do, checked from outside."""

import json

import keras
import numpy as np
import tensorflow as tf


def check_layer(make, input_shape, output_shape, count, tmp_path):
    """Checks shapes, dtype, variables, configuration, saving and dynamic batches.

    Args:
        make: Returns a fresh layer.
        input_shape: With a batch size.
        output_shape: With the same batch size.
        count: Expected number of values in all variables.
        tmp_path: Folder for the saved model.
    """
    x = np.random.default_rng(0).normal(size=input_shape).astype(np.float32)
    layer = make()
    expected = layer(x)
    assert tuple(expected.shape) == tuple(output_shape)
    assert keras.backend.standardize_dtype(expected.dtype) == "float32"
    assert np.isfinite(keras.ops.convert_to_numpy(expected)).all()
    assert layer.count_params() == count
    for variable in layer.weights:
        assert keras.backend.standardize_dtype(variable.dtype) == "float32"
    for batch in (input_shape[0], None):
        shape = layer.compute_output_shape((batch, *input_shape[1:]))
        assert tuple(shape) == (batch, *output_shape[1:])

    config = json.loads(json.dumps(layer.get_config()))
    twin = type(layer).from_config(config)
    assert json.loads(json.dumps(twin.get_config())) == config
    assert twin.name == layer.name
    twin(x)
    twin.set_weights(layer.get_weights())
    np.testing.assert_array_equal(twin(x), expected)

    inputs = keras.Input(input_shape[1:])
    outputs = layer(inputs)
    assert tuple(outputs.shape) == (None, *output_shape[1:])
    model = keras.Model(inputs, outputs)
    path = str(tmp_path / f"{layer.name}.keras")
    model.save(path)
    loaded = keras.models.load_model(path)
    np.testing.assert_array_equal(loaded(x), expected)

    dynamic = tf.function(
        lambda batch: layer(batch), input_signature=[tf.TensorSpec((None, *input_shape[1:]))]
    )
    for batch in (1, input_shape[0]):
        result = dynamic(x[:batch])
        assert tuple(result.shape) == (batch, *output_shape[1:])
    np.testing.assert_allclose(dynamic(x), expected, rtol=1e-5, atol=1e-5)


def check_gradients(layer, x):
    """Every trainable variable and the input receive a finite, somewhere non-zero gradient."""
    x = tf.convert_to_tensor(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = layer(x)
        loss = tf.reduce_sum(outputs * tf.random.stateless_normal(outputs.shape, (1, 2)))
    for gradient in tape.gradient(loss, [x, *layer.trainable_variables]):
        assert gradient is not None
        assert np.isfinite(gradient).all()
        assert np.abs(gradient).max() > 0


def randomize(layer, seed=0):
    """Gives every variable a random value; variances and slopes stay positive."""
    rng = np.random.default_rng(seed)
    for variable in layer.weights:
        value = rng.normal(size=variable.shape)
        if any(part in variable.path for part in ("variance", "gamma", "slope")):
            value = np.abs(value) + 0.1
        variable.assign(value.astype(np.float32))


def signs(x):
    """-1/+1, with +1 at both zeros."""
    return np.where(np.asarray(x) >= 0, 1.0, -1.0).astype(np.float32)
