"""The TensorFlow functions against the contract, written out with numpy."""

import numpy as np
import pytest
from ops_testing import EPILOGUES, Operands, same_bits

from bifsmn_tf.conversion import ops

tf = pytest.importorskip("tensorflow")


def signs_of(x, channels):
    if x.dtype == np.int32:
        return ops.unpack_bits(x, channels).astype(np.int64)
    return np.where(x >= 0, 1, -1).astype(np.int64)


def finish(dot, multiplier=None, bias=None, residual=None, threshold=None, slope=1.0,
           residual_first=False):
    if threshold is not None:
        return ops.pack_bits(dot >= threshold)
    v = dot.astype(np.float32) * multiplier
    v = v + bias
    if residual is not None and residual_first:
        v = v + residual
    v = np.where(v >= 0, v, v * np.float32(slope))
    if residual is not None and not residual_first:
        v = v + residual
    return v


def test_pack_bits_puts_channel_c_at_bit_c():
    for channel in range(70):
        signs = -np.ones(70)
        signs[channel] = 1
        words = ops.pack_bits(signs).view(np.uint32)
        expected = np.zeros(3, np.uint32)
        expected[channel // 32] = np.uint32(1) << np.uint32(channel % 32)
        assert (words == expected).all()


def test_pack_bits_of_special_values():
    x = np.array([0.0, -0.0, np.nan, np.inf, -np.inf, -1e-45], np.float32)
    assert ops.pack_bits(x).tolist() == [0b001011]
    assert ops.pack_bits(np.array([True, False, True])).tolist() == [0b101]


@pytest.mark.parametrize("channels", [1, 31, 32, 33, 64, 100])
def test_unpack_bits_inverts_pack_bits(channels):
    signs = Operands(channels).signs(2, 3, channels)
    assert (ops.unpack_bits(ops.pack_bits(signs), channels) == signs).all()
    first = ops.pack_bits(np.moveaxis(signs, -1, 0), axis=0)
    assert (np.moveaxis(first, 0, -1) == ops.pack_bits(signs)).all()


def test_unpack_bits_wants_the_words_of_the_channels():
    with pytest.raises(ValueError, match=r"2 words to hold 33 channels. Received: .*\(3,\)"):
        ops.unpack_bits(np.zeros(3, np.int32), 33)


@pytest.mark.parametrize("kind", EPILOGUES)
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("channels,outputs", [(1, 1), (33, 40), (128, 32), (257, 7)])
def test_binary_dense(channels, outputs, packed, kind):
    make = Operands(channels)
    x = make.activations(packed, 2, 5, channels)
    weights = make.signs(outputs, channels)
    epilogue = make.epilogue(kind, outputs, channels, (2, 5))
    dot = signs_of(x, channels) @ weights.T.astype(np.int64)
    result = ops.binary_dense(x, ops.pack_bits(weights), channels=channels, **epilogue)
    assert same_bits(result, finish(dot, **epilogue))


@pytest.mark.parametrize(
    "shape,channels,rows", [((4, 3, 5, 2), 10, (4, 3)), ((4, 3, 5, 2), 30, (4,)), ((4, 6), 6, (4,))]
)
def test_binary_dense_flattens_trailing_axes(shape, channels, rows):
    make = Operands(1)
    x, weights = make.floats(*shape), make.signs(9, channels)
    multiplier, bias = make.scales(9), make.scales(9)
    result = ops.binary_dense(x, ops.pack_bits(weights), multiplier, bias, channels=channels)
    dot = signs_of(x, 0).reshape(*rows, channels) @ weights.T.astype(np.int64)
    assert same_bits(result, finish(dot, multiplier, bias))


def test_binary_dense_flattens_full_words():
    make = Operands(2)
    signs, weights = make.signs(4, 3, 64), make.signs(9, 192)
    threshold = make.threshold(9, 192)
    result = ops.binary_dense(
        ops.pack_bits(signs), ops.pack_bits(weights), threshold=threshold, channels=192
    )
    dot = signs.reshape(4, 192).astype(np.int64) @ weights.T.astype(np.int64)
    assert same_bits(result, finish(dot, threshold=threshold))


@pytest.mark.parametrize("kind", EPILOGUES)
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    "channels,kernel,strides,padding",
    [(5, (3, 3), (1, 1), (1, 1)), (32, (5, 1), (2, 1), (2, 0)), (40, (1, 1), (1, 2), (0, 0))],
)
def test_binary_conv2d(channels, kernel, strides, padding, packed, kind):
    make = Operands(channels)
    outputs, height, width = 35, 7, 6
    x = make.activations(packed, 2, height, width, channels)
    weights = make.signs(outputs, *kernel, channels).astype(np.int64)
    out_h = (height + 2 * padding[0] - kernel[0]) // strides[0] + 1
    out_w = (width + 2 * padding[1] - kernel[1]) // strides[1] + 1
    pads = [(0, 0), (padding[0],) * 2, (padding[1],) * 2, (0, 0)]
    picture = np.pad(signs_of(x, channels), pads)
    dot = np.zeros((2, out_h, out_w, outputs), np.int64)
    for i in range(out_h):
        for j in range(out_w):
            top, left = i * strides[0], j * strides[1]
            patch = picture[:, top : top + kernel[0], left : left + kernel[1]]
            dot[:, i, j] = np.einsum("bhwc,nhwc->bn", patch, weights)
    epilogue = make.epilogue(kind, outputs, weights[0].size, dot.shape[:3])
    result = ops.binary_conv2d(
        x, ops.pack_bits(weights.reshape(outputs, -1)), channels=channels, kernel_size=kernel,
        strides=strides, padding=padding, **epilogue,
    )
    assert same_bits(result, finish(dot, **epilogue))


@pytest.mark.parametrize("kind", EPILOGUES)
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    "channels,multiple,taps,look_back,stride_back,stride_ahead",
    [(33, 1, 5, 2, 1, 1), (32, 2, 6, 4, 2, 3), (7, 3, 1, 0, 1, 1), (5, 1, 3, 2, 9, 1)],
)
def test_memory_filter(
    channels, multiple, taps, look_back, stride_back, stride_ahead, packed, kind
):
    make = Operands(channels)
    frames, outputs = 8, channels * multiple
    x = make.activations(packed, 2, frames, channels)
    weights = make.signs(taps, outputs)
    signs = np.repeat(signs_of(x, channels), multiple, axis=-1)
    dot = np.zeros((2, frames, outputs), np.int64)
    for frame in range(frames):
        for tap in range(taps):
            steps = tap - look_back
            at = frame + steps * (stride_back if steps < 0 else stride_ahead)
            if 0 <= at < frames:
                dot[:, frame] += signs[:, at] * weights[tap]
    epilogue = make.epilogue(kind, outputs, taps, (2, frames))
    result = ops.memory_filter(
        x, ops.pack_bits(weights), channels=channels, look_back=look_back,
        stride_back=stride_back, stride_ahead=stride_ahead, **epilogue,
    )
    assert same_bits(result, finish(dot, **epilogue))


def test_unused_bits_of_packed_input_do_not_count():
    make = Operands(3)
    x, weights = make.bits(4, 40), make.bits(6, 40)
    dirty = x.copy()
    dirty[:, 1] |= np.int32(-256)
    arguments = {"threshold": make.threshold(6, 40), "channels": 40}
    assert same_bits(
        ops.binary_dense(x, weights, **arguments), ops.binary_dense(dirty, weights, **arguments)
    )


def test_a_constant_multiplier_is_not_folded_into_the_weights():
    # Inside a graph everything but x is a constant; rewriting (x @ w) * m to x @ (w * m) would
    # round differently.
    make = Operands(4)
    x, weights = make.floats(16, 500), make.bits(64, 500)
    multiplier, bias = make.scales(64), make.scales(64)
    call = lambda x: ops.binary_dense(x, weights, multiplier, bias, channels=500)  # noqa: E731
    assert same_bits(tf.function(call)(tf.constant(x)), call(x))


ERRORS = {
    "`multiplier` of BifsmnDense should be float32 or float16": lambda x, w: ops.binary_dense(
        x, w, np.ones(6), np.ones(6), channels=40
    ),
    "`bias` of BifsmnDense should be float32 or float16": lambda x, w: ops.binary_dense(
        x, w, np.ones(6, np.float16), np.ones(6, np.int16), channels=40
    ),
    "either `threshold`, or `multiplier`": lambda x, w: ops.binary_dense(x, w, channels=40),
    "should have a `bias`": lambda x, w: ops.binary_dense(x, w, np.ones(6, "f"), channels=40),
    r"trailing axes that hold channels=41": lambda x, w: ops.binary_dense(
        x, w, threshold=np.zeros(6, np.int16), channels=41
    ),
    r"packed to shape \(outputs, 2\)": lambda x, w: ops.binary_dense(
        x, w[:, :1], threshold=np.zeros(6, np.int16), channels=40
    ),
    r"`threshold` of BifsmnDense should be int16": lambda x, w: ops.binary_dense(
        x, w, threshold=np.zeros(6, np.int32), channels=40
    ),
    r"should have shape \(6,\)": lambda x, w: ops.binary_dense(
        x, w, threshold=np.zeros(5, np.int16), channels=40
    ),
    "`slope` .* finite": lambda x, w: ops.binary_dense(
        x, w, np.ones(6, "f"), np.ones(6, "f"), channels=40, slope=float("nan")
    ),
    "`residual_first` of BifsmnDense needs a `residual`": lambda x, w: ops.binary_dense(
        x, w, np.ones(6, "f"), np.ones(6, "f"), channels=40, residual_first=True
    ),
    r"the output's shape": lambda x, w: ops.binary_dense(
        x, w, np.ones(6, "f"), np.ones(6, "f"), np.ones((3, 6), "f"), channels=40
    ),
    "`channels` of BifsmnDense should be an integer": lambda x, w: ops.binary_dense(
        x, w, threshold=np.zeros(6, np.int16), channels=0
    ),
    "at most 32767 bits": lambda x, w: ops.binary_conv2d(
        x, w, threshold=np.zeros(6, np.int16), channels=4000, kernel_size=3
    ),
    "multiple of channels=40": lambda x, w: ops.memory_filter(
        x[None], w, threshold=np.zeros(6, np.int16), channels=40
    ),
}


@pytest.mark.parametrize("message", ERRORS)
def test_bad_arguments_are_named(message):
    make = Operands(5)
    with pytest.raises(ValueError, match=message + r"(.|\n)*Received: "):
        ERRORS[message](make.floats(4, 40), make.bits(6, 40))


# ------------------------------------------------------------------------- shifts


def fold(values):
    """Mean over the last axis as the contract orders it, one rounded addition at a time."""
    count = values.shape[-1]
    sums = np.zeros((*values.shape[:-1], 32), np.float32)
    for i in range(count):
        sums[..., i % 32] += values[..., i]
    for half in (16, 8, 4, 2, 1):
        sums = sums[..., :half] + sums[..., half : 2 * half]
    return sums[..., 0] / np.float32(count)


def dual(x, shift0, shift1):
    """Signs of both terms and the magnitudes."""
    first = np.where(x >= shift0, np.float32(1), np.float32(-1))
    r = (x - first) - shift1
    return first, np.where(r >= 0, 1, -1), np.abs(r)


def combine(first, second, scale):
    return first.astype(np.float32) + scale.astype(np.float32) * second.astype(np.float32)


def finish_float(value, multiplier, bias, residual=None, slope=1.0, residual_first=False):
    v = value * multiplier + bias
    v = v + residual if residual_first else v
    v = np.where(v >= 0, v, v * np.float32(slope))
    return v if residual is None or residual_first else v + residual


DUAL_EPILOGUES = [kind for kind in EPILOGUES if kind != "bits"]


@pytest.mark.parametrize("kind", DUAL_EPILOGUES)
@pytest.mark.parametrize("channels,outputs", [(1, 1), (33, 40), (128, 32), (257, 7)])
def test_dual_scale_dense(channels, outputs, kind):
    make = Operands(channels)
    x, shift0, shift1 = make.dual(channels, 2, 5)
    weights = make.signs(outputs, channels)
    epilogue = make.epilogue(kind, outputs, channels, (2, 5))
    first, second, magnitudes = dual(x, shift0, shift1)
    value = combine(first @ weights.T, second @ weights.T, fold(magnitudes)[..., None])
    result = ops.binary_dense(
        x, ops.pack_bits(weights), channels=channels, shifts=(shift0, shift1), **epilogue
    )
    assert same_bits(result, finish_float(value, **epilogue))


@pytest.mark.parametrize("channels", [5, 16, 32])
def test_dual_scale_convolution(channels):
    make = Operands(channels)
    x, shift0, shift1 = make.dual(channels, 2, 7, 6)
    weights = make.signs(9, 3, 3, channels).astype(np.float32)
    epilogue = make.epilogue("slope", 9, 9 * channels, (2, 4, 6))
    first, second, magnitudes = dual(x, shift0, shift1)

    def convolve(signs):
        signs = tf.constant(np.pad(signs, [(0, 0), (1, 1), (1, 1), (0, 0)]).astype(np.float32))
        kernel = weights.transpose(1, 2, 3, 0)
        return np.rint(tf.nn.conv2d(signs, kernel, (1, 2, 1, 1), "VALID"))

    scale = fold(magnitudes.reshape(2, -1))[:, None, None, None]
    value = combine(convolve(first), convolve(second), scale)
    result = ops.binary_conv2d(
        x, ops.pack_bits(weights.reshape(9, -1)), channels=channels, kernel_size=(3, 3),
        strides=(2, 1), padding=(1, 1), shifts=(shift0, shift1), **epilogue,
    )
    assert same_bits(result, finish_float(value, **epilogue))


@pytest.mark.parametrize("kind", DUAL_EPILOGUES)
@pytest.mark.parametrize("multiple", [1, 3])
def test_dual_scale_memory(multiple, kind):
    make = Operands(multiple)
    frames, channels, outputs = 9, 33, 33 * multiple
    x, shift0, shift1 = make.dual(channels, 2, frames)
    weights = make.signs(4, outputs).astype(np.int64)
    epilogue = make.epilogue(kind, outputs, 4, (2, frames))
    first, second, magnitudes = dual(x, shift0, shift1)
    total = np.zeros((2, channels), np.float32)
    for frame in range(frames):
        total += magnitudes[:, frame]
    scale = np.repeat(total[:, None] / np.float32(frames), multiple, axis=-1)

    def filtered(signs):
        signs = np.pad(np.repeat(signs, multiple, axis=-1), [(0, 0), (1, 2), (0, 0)])
        return sum(signs[:, tap : tap + frames] * weights[tap] for tap in range(4))

    value = combine(filtered(first), filtered(second), scale)
    result = ops.memory_filter(
        x, ops.pack_bits(weights), channels=channels, look_back=1, shifts=(shift0, shift1),
        **epilogue,
    )
    assert same_bits(result, finish_float(value, **epilogue))


def levels(x, shifts, step):
    """Signs of both terms."""
    (middle,) = shifts
    above = x >= middle
    second = x >= np.where(above, middle + step, middle - step)
    return np.where(above, 1, -1), np.where(second, 1, -1)


@pytest.mark.parametrize("kind", DUAL_EPILOGUES)
def test_four_levels_of_a_dense_layer(kind):
    make = Operands(14)
    x, four_levels = make.levels(70, 2, 9)
    weights = make.signs(40, 70)
    epilogue = make.epilogue(kind, 40, 70, (2, 9))
    first, second = levels(x, **four_levels)
    value = (first @ weights.T + 0.5 * (second @ weights.T)).astype(np.float32)
    result = ops.binary_dense(
        x, ops.pack_bits(weights), channels=70, **four_levels, **epilogue
    )
    assert same_bits(result, finish_float(value, **epilogue))


def test_four_levels_are_those_of_a_quantizer():
    threshold, step = 0.3, 0.75
    x = np.linspace(-3, 3, 97, dtype=np.float32).reshape(-1, 1)
    value = ops.binary_dense(
        x, ops.pack_bits(np.ones((1, 1))), channels=1,
        shifts=[np.full(1, threshold, "f")], step=step, multiplier=np.full(1, step, "f"),
        bias=np.full(1, threshold, "f"),
    ).numpy()
    steps = np.clip(np.floor((x - threshold) / step), -2, 1) + 0.5
    np.testing.assert_allclose(value, threshold + step * steps, atol=1e-6)


@pytest.mark.parametrize("multiple", [1, 3])
def test_a_centre_of_memory_taps_inside(multiple):
    make = Operands(15)
    frames, channels, outputs = 6, 33, 33 * multiple
    x, four_levels = make.levels(channels, 2, frames)
    centre = make.scales(channels)
    weights = make.signs(4, outputs).astype(np.float64)
    epilogue = make.epilogue("slope", outputs, 4, (2, frames))

    def filtered(values):
        values = np.pad(np.repeat(values, multiple, axis=-1), [(0, 0), (1, 2), (0, 0)])
        return sum(values[:, tap : tap + frames] * weights[tap] for tap in range(4))

    first, second = levels(x, **four_levels)
    expected = finish_float(
        filtered(first + 0.5 * second + centre.astype(np.float64)), **epilogue
    )
    result = ops.memory_filter(
        x, ops.pack_bits(weights), channels=channels, look_back=1, centre=centre, **four_levels,
        **epilogue,
    )
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("channels", [5, 32])
def test_a_centre_of_convolution_taps_inside(channels):
    make = Operands(channels)
    x, four_levels = make.levels(channels, 2, 7, 6)
    centre = make.scales(channels)
    weights = make.signs(9, 3, 3, channels).astype(np.float64)
    epilogue = make.epilogue("slope", 9, 9 * channels, (2, 4, 6))
    first, second = levels(x, **four_levels)
    values = first + 0.5 * second + centre.astype(np.float64)
    values = tf.constant(np.pad(values, [(0, 0), (1, 1), (1, 1), (0, 0)]))
    sums = tf.nn.conv2d(values, weights.transpose(1, 2, 3, 0), (1, 2, 1, 1), "VALID").numpy()
    result = ops.binary_conv2d(
        x, ops.pack_bits(weights.reshape(9, -1)), channels=channels, kernel_size=(3, 3),
        strides=(2, 1), padding=(1, 1), centre=centre, **four_levels, **epilogue,
    )
    np.testing.assert_allclose(result, finish_float(sums, **epilogue), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("kind", EPILOGUES)
def test_one_shift_moves_the_sign(kind):
    make = Operands(9)
    x, shift = make.floats(3, 70), make.scales(70)
    shift[:20] = 0.0
    epilogue = make.epilogue(kind, 40, 70, (3,))
    weights = make.signs(40, 70)
    dot = np.where(x >= shift, 1, -1) @ weights.T.astype(np.int64)
    result = ops.binary_dense(
        x, ops.pack_bits(weights), channels=70, shifts=(shift,), **epilogue
    )
    assert same_bits(result, finish(dot, **epilogue))


def test_a_subnormal_shift_is_zero_and_a_subnormal_number_is_not():
    x = np.array([[-1e-45, 0.0, -1e-45, 1e-45]], np.float32)
    shift = np.array([0.0, 1e-45, -0.0, -1e-45], np.float32)
    arguments = {"channels": 4, "multiplier": np.ones(1, "f"), "bias": np.zeros(1, "f")}
    weights = ops.pack_bits(np.array([[1, -1, 1, -1]]))
    assert ops.binary_dense(x, weights, shifts=(shift,), **arguments).numpy() == -4
    # The second signs are the opposite ones, of scale 1.
    assert ops.binary_dense(x, weights, shifts=(shift, shift), **arguments).numpy() == 0
    # The same of scale 1/2.
    assert ops.binary_dense(x, weights, shifts=(shift,), step=1.0, **arguments).numpy() == -2


def test_a_subnormal_border_is_zero():
    tiny = np.finfo(np.float32).tiny
    x = tiny * np.array([[0.0], [0.25], [-0.25], [-0.75]], np.float32)
    arguments = {"channels": 1, "multiplier": np.ones(1, "f"), "bias": np.zeros(1, "f")}
    for sign, expected in ((1, [-0.5, -0.5, -1.5, -1.5]), (-1, [1.5, 1.5, 0.5, 0.5])):
        result = ops.binary_dense(
            x, ops.pack_bits(np.ones((1, 1))), shifts=(np.full(1, sign * 1.5 * tiny, "f"),),
            step=tiny, **arguments,
        )
        np.testing.assert_array_equal(result[:, 0], expected)


SHIFT_ERRORS = {
    "at most two tensors": {"shifts": [np.zeros(40, "f")] * 3},
    r"should have shape \(40,\), one entry per input channel": {"shifts": [np.zeros(6, "f")]},
    "should be float32 with `shifts`": {
        "x": np.zeros((4, 2), np.int32), "shifts": [np.zeros(40, "f")]
    },
    "with two `shifts` or a `step` should have": {
        "shifts": [np.zeros(40, "f")] * 2, "threshold": np.zeros(6, np.int16),
    },
    "instead of `threshold`": {
        "shifts": [np.zeros(40, "f")], "step": 1.0, "threshold": np.zeros(6, np.int16),
    },
    "`step` of .* should come with one of `shifts`": {"step": 1.0},
    "should come with one of `shifts`": {"shifts": [np.zeros(40, "f")] * 2, "step": 1.0},
}


@pytest.mark.parametrize("step", [0.0, -1.0, 1e-40, np.inf, np.nan, 1e39, "1"])
def test_a_bad_step_is_named(step):
    make = Operands(8)
    with pytest.raises(ValueError, match=r"`step` of BifsmnDense should be .* Received: step="):
        ops.binary_dense(
            make.floats(4, 40), make.bits(6, 40), np.ones(6, "f"), np.ones(6, "f"), channels=40,
            shifts=[np.zeros(40, "f")], step=step,
        )


@pytest.mark.parametrize("shifts", [0, 1])
def test_a_centre_needs_two_bits(shifts):
    make = Operands(7)
    with pytest.raises(ValueError, match="`centre` of BifsmnMemory should come with two `sh"):
        ops.memory_filter(
            make.floats(1, 4, 40), make.bits(3, 40), np.ones(40, "f"), np.ones(40, "f"),
            channels=40, shifts=[np.zeros(40, "f")] * shifts, centre=np.ones(40, "f"),
        )


@pytest.mark.parametrize("message", SHIFT_ERRORS)
def test_bad_shifts_are_named(message):
    make = Operands(6)
    arguments = {"x": make.floats(4, 40), **SHIFT_ERRORS[message]}
    if "threshold" not in arguments:
        arguments.update(multiplier=np.ones(6, "f"), bias=np.ones(6, "f"))
    with pytest.raises(ValueError, match=message + r"(.|\n)*Received: "):
        ops.binary_dense(weights=make.bits(6, 40), channels=40, **arguments)
