"""The arithmetic of the operators in ordinary TensorFlow operations, exact for the binary ones.

`ops` wraps the bodies below into functions that the TFLite converter replaces by custom
operators. `docs/ops.md` is the contract.
"""

import numpy as np
import tensorflow as tf

from bifsmn_tf.layers import LogMelSpectrogram

WORD_BITS = 32
MAX_REDUCTION = 32767


# --------------------------------------------------------------------------- packing


def words_for(channels):
    """Returns how many int32 words hold `channels` packed bits."""
    return -(-int(channels) // WORD_BITS)


def pack_bits(signs, axis=-1):
    """Packs signs into int32 words.

    Args:
        signs: Array of numbers, or of booleans. A number is +1 when it is `>= 0` (so -0.0 is
            +1 and NaN is -1); `True` is +1.
        axis: Axis to pack. In the result it has `ceil(length / 32)` entries.

    Returns:
        int32 array.
    """
    signs = np.asarray(signs)
    bits = signs if signs.dtype == bool else signs >= 0
    bits = np.moveaxis(bits, axis, -1)
    channels = bits.shape[-1]
    padded = np.zeros(bits.shape[:-1] + (words_for(channels) * WORD_BITS,), bool)
    padded[..., :channels] = bits
    packed = np.packbits(padded, axis=-1, bitorder="little")
    # "<i4" first: the bit order must not depend on the byte order of the host.
    words = np.ascontiguousarray(packed).view("<i4").astype(np.int32)
    return np.moveaxis(words, -1, axis)


def unpack_bits(words, channels):
    """Unpacks the last axis of int32 words to signs, the inverse of `pack_bits`.

    Args:
        words: int32 array, last axis of `ceil(channels / 32)` words.
        channels: How many channels the words hold.

    Returns:
        int8 array of +1 and -1, last axis of `channels` entries.
    """
    words = np.asarray(words)
    if words.dtype != np.int32 or words.ndim == 0 or words.shape[-1] != words_for(channels):
        raise ValueError(
            f"`words` should be int32 with a last axis of {words_for(channels)} words to hold "
            f"{channels} channels. Received: dtype={words.dtype}, shape={words.shape}"
        )
    as_bytes = np.ascontiguousarray(words.astype("<i4")).view(np.uint8)
    bits = np.unpackbits(as_bytes, axis=-1, bitorder="little")[..., :channels]
    return (2 * bits.astype(np.int8) - 1).astype(np.int8)


def _unpack(words, channels):
    """(..., words) int32 -> (..., channels) float32 of +1 and -1."""
    count = words_for(channels)
    shifts = tf.range(WORD_BITS, dtype=tf.int32)
    bits = tf.bitwise.bitwise_and(tf.bitwise.right_shift(words[..., tf.newaxis], shifts), 1)
    bits = _reshape(bits, bits.shape[:-2], count * WORD_BITS)[..., :channels]
    return tf.cast(2 * bits - 1, tf.float32)


def _pack(bits):
    """(..., channels) bool -> (..., words) int32."""
    channels = bits.shape[-1]
    count = words_for(channels)
    pads = [[0, 0]] * (len(bits.shape) - 1) + [[0, count * WORD_BITS - channels]]
    bits = tf.pad(tf.cast(bits, tf.int32), pads)
    lead = bits.shape[:-1]
    bits = _reshape(bits, lead, count, WORD_BITS)
    # Bit 31 is the sign bit: the sum wraps exactly onto it.
    weights = tf.constant(np.left_shift(np.uint32(1), np.arange(32, dtype=np.uint32)).view(np.int32))
    return tf.reduce_sum(bits * weights, axis=-1)


def _reshape(tensor, lead, *trailing):
    """Reshapes to `lead` (static, or the tensor's own sizes) followed by `trailing`."""
    lead = list(lead)
    if lead.count(None) <= 1:
        shape = [-1 if size is None else size for size in lead] + list(trailing)
        return tf.reshape(tensor, shape)
    dynamic = tf.shape(tensor)[: len(lead)]
    out = tf.reshape(tensor, tf.concat([dynamic, list(trailing)], 0))
    out.set_shape(lead + list(trailing))
    return out


def _signs(x, channels):
    """Activations, float32 or packed, to float32 of +1 and -1."""
    if x.dtype == tf.int32:
        return _unpack(x, channels)
    # x >= 0 through the bits of the number: TensorFlow's threads take a subnormal for a zero.
    bits = tf.bitcast(x, tf.int32)
    positive = tf.logical_and(bits >= 0, bits <= 0x7F800000)  # up to +infinity, without NaN
    return tf.where(tf.logical_or(positive, bits == -0x80000000), 1.0, -1.0)


# -------------------------------------------------------------------------- two bits


def _order(bits):
    """Integers in the order of the float32 numbers with these bits, which are not NaN."""
    return tf.where(bits < 0, -tf.bitwise.bitwise_and(bits, 0x7FFFFFFF), bits)


def _at_least(x, shift):
    """x >= shift for normal or zero shifts; x may be subnormal on any thread."""
    above = _order(tf.bitcast(x, tf.int32)) >= _order(tf.bitcast(shift, tf.int32))
    return tf.logical_and(above, tf.logical_not(tf.math.is_nan(x)))


def _normal(shift):
    """A shift with 0 in the place of subnormal numbers."""
    magnitude = tf.bitwise.bitwise_and(tf.bitcast(shift, tf.int32), 0x7FFFFFFF)
    return tf.where(magnitude < 0x00800000, 0.0, shift)


def _ordered_sum(values):
    """Sum over the first axis in ascending order."""
    return tf.while_loop(
        lambda i, total: i < tf.shape(values)[0],
        lambda i, total: (i + 1, total + values[i]),
        (0, tf.zeros_like(values[0])),
    )[1]


def _divide(total, count):
    """total / count in float32, rounded once.

    Graph rewrites multiply by the reciprocal of a constant; in float64 that still rounds to the
    same float32.
    """
    return tf.cast(tf.cast(total, tf.float64) / tf.cast(count, tf.float64), tf.float32)


def _row_mean(magnitudes):
    """Mean of every row, `(rows, count)` to `(rows,)`, in the order that all kernels keep.

    Value i goes to sum i % 32, in ascending order; then the sums are folded in halves.
    """
    count = magnitudes.shape[-1]
    words = words_for(count)
    padded = tf.pad(magnitudes, [[0, 0], [0, words * WORD_BITS - count]])
    sums = _ordered_sum(tf.transpose(tf.reshape(padded, (-1, words, WORD_BITS)), (1, 0, 2)))
    for half in (16, 8, 4, 2, 1):
        sums = _keep(sums[:, :half] + sums[:, half : 2 * half])
    return _divide(sums[:, 0], count)


def _sums(x, channels, shifts, step, contract, scale):
    """What the operators finish: integer sums, or float sums with a second scale.

    Args:
        x: Activations, packed bits only without `shifts`.
        channels: Length of the last axis.
        shifts: Tensors of that length, none to two.
        step: Distance of the borders of four levels, with one shift, or 0.
        contract: Function of signs in the shape of x.
        scale: Function of magnitudes in the shape of x that gives the scale of the second signs
            of two shifts.
    """
    # Through integers: exact, and graph rewrites cannot move a multiplier across it.
    if not shifts:
        return tf.cast(contract(_signs(x, channels)), tf.int32)
    shifts = [_normal(shift) for shift in shifts]
    above = _at_least(x, shifts[0])
    first = tf.where(above, 1.0, -1.0)
    sums = tf.cast(contract(first), tf.int32)
    if step:
        step = tf.constant(step, tf.float32)
        low, high = (_normal(shifts[0] + distance) for distance in (-step, step))
        second = _at_least(x, tf.where(above, high, low))
        second = tf.cast(contract(tf.where(second, 1.0, -1.0)), tf.int32)
        # Both exact, whatever is done to their order.
        return 0.5 * tf.cast(2 * sums + second, tf.float32)
    if len(shifts) == 1:
        return sums
    r = _keep(_keep(x - first) - shifts[1])
    second = tf.cast(contract(tf.where(r >= 0, 1.0, -1.0)), tf.int32)
    term = _keep(scale(tf.abs(r)) * tf.cast(second, tf.float32))
    return _keep(tf.cast(sums, tf.float32) + term)


# ------------------------------------------------------------------ reference bodies


def _epilogue(sums, args, slope, residual_first, centres=None):
    """Shared end of the operators, for the result of `_sums`.

    `centres` is None or what the centres of the taps inside sum up to, float64 of the shape of one
    sample of `sums`.
    """
    if len(args) == 1:
        return _pack(sums >= tf.cast(args[0], tf.int32))
    args = [tf.cast(a, tf.float32) for a in args]
    multiplier, bias, residual = (_keep(a) for a in (*args, tf.constant(0.0))[:3])
    if centres is not None:
        centres = tf.cast(multiplier, tf.float64) * centres
        bias = _keep(tf.cast(tf.cast(bias, tf.float64) + centres, tf.float32))
    has_residual = len(args) == 3
    v = _keep(tf.cast(sums, tf.float32) * multiplier)
    v = _keep(v + bias)
    if has_residual and residual_first:
        v = _keep(v + residual)
    if slope != 1.0:
        v = tf.where(v >= 0, v, v * tf.constant(slope, tf.float32))
    if has_residual and not residual_first:
        v = _keep(v + residual)
    return v


def _keep(value):
    """Returns `value` unchanged, as something that graph rewrites do not see through.

    Without it Grappler may regroup a chain of additions, here or across neighbouring operators,
    and so round differently. `tf.identity` would be taken away first.
    """
    return tf.maximum(value, -np.inf)


def dense_rank(shape, packed, channels):
    """Returns how many trailing axes of `shape` form the reduction, or None."""
    if packed and shape[-1] == words_for(channels):
        return 1
    if packed and channels % WORD_BITS:
        return None
    target = channels // WORD_BITS if packed else channels
    size = 1
    for count in range(1, len(shape)):
        if shape[-count] is None:
            return None
        size *= shape[-count]
        if size == target:
            return count
        if size > target:
            return None
    return None


def _split_args(args, shifts, centre=0):
    """Arguments of the epilogue, the shifts behind them, and the last one: a centre, or None."""
    args, last = args[: len(args) - centre], args[len(args) - centre :]
    return args[: len(args) - shifts], args[len(args) - shifts :], *(last or [None])


def _centres(centre, x, contract):
    """What the taps inside have besides their signs, for one sample in the shape of x."""
    if centre is None:
        return None
    shape = tf.concat([[1], tf.shape(x)[1:]], 0)
    return contract(tf.broadcast_to(tf.cast(_normal(centre), tf.float64), shape))


def dense_body(x, weights, *args, channels, slope=1.0, residual_first=0, shifts=0, step=0.0):
    args, shifts, _ = _split_args(args, shifts)
    rank = dense_rank(list(x.shape), x.dtype == tf.int32, channels)
    if rank > 1:
        last = channels // WORD_BITS if x.dtype == tf.int32 else channels
        x = _reshape(x, x.shape[:-rank], last)
    kernel = _unpack(weights, channels)
    sums = _sums(
        x, channels, shifts, step,
        contract=lambda signs: tf.matmul(signs, kernel, transpose_b=True),
        scale=lambda magnitudes: _reshape(
            _row_mean(tf.reshape(magnitudes, (-1, channels))), x.shape[:-1], 1
        ),
    )
    return _epilogue(sums, args, slope, residual_first)


def conv2d_body(
    x, weights, *args, channels, kernel_h, kernel_w, stride_h=1, stride_w=1, pad_h=0, pad_w=0,
    slope=1.0, residual_first=0, shifts=0, step=0.0, centre=0,
):
    args, shifts, centre = _split_args(args, shifts, centre)
    height, width = x.shape[1:3]
    stop_h = (height + 2 * pad_h - kernel_h) // stride_h * stride_h + 1
    stop_w = (width + 2 * pad_w - kernel_w) // stride_w * stride_w + 1
    kernel = _unpack(weights, kernel_h * kernel_w * channels)

    def contract(signs):
        # Padding comes after binarising: padded taps are 0 and add nothing.
        signs = tf.pad(signs, [[0, 0], [pad_h, pad_h], [pad_w, pad_w], [0, 0]])
        patches = tf.concat(
            [
                signs[:, i : i + stop_h : stride_h, j : j + stop_w : stride_w]
                for i in range(kernel_h)
                for j in range(kernel_w)
            ],
            axis=-1,
        )
        return tf.matmul(patches, tf.cast(kernel, patches.dtype), transpose_b=True)

    def scale(magnitudes):
        mean = _row_mean(tf.reshape(magnitudes, (-1, height * width * channels)))
        return tf.reshape(mean, (-1, 1, 1, 1))

    sums = _sums(x, channels, shifts, step, contract, scale)
    return _epilogue(sums, args, slope, residual_first, _centres(centre, x, contract))


def memory_body(
    x, weights, *args, channels, look_back=0, stride_back=1, stride_ahead=1, slope=1.0,
    residual_first=0, shifts=0, step=0.0, centre=0,
):
    args, shifts, centre = _split_args(args, shifts, centre)
    outputs = args[0].shape[-1]
    multiple = outputs // channels
    taps = weights.shape[0]
    look_ahead = taps - 1 - look_back
    before, after = look_back * stride_back, look_ahead * stride_ahead
    frames = x.shape[1] if x.shape[1] is not None else tf.shape(x)[1]
    kernel = _unpack(weights, outputs)

    def repeat(tensor):
        return tf.repeat(tensor, multiple, axis=-1) if multiple > 1 else tensor

    def contract(signs):
        signs = tf.pad(repeat(signs), [[0, 0], [before, after], [0, 0]])
        dot = None
        for tap in range(taps):
            steps = tap - look_back
            start = before + steps * (stride_back if steps < 0 else stride_ahead)
            term = signs[:, start : start + frames] * tf.cast(kernel[tap], signs.dtype)
            dot = term if dot is None else dot + term
        return dot

    def scale(magnitudes):
        total = _ordered_sum(tf.transpose(magnitudes, (1, 0, 2)))
        return repeat(_divide(total[:, tf.newaxis], frames))

    sums = _sums(x, channels, shifts, step, contract, scale)
    return _epilogue(sums, args, slope, residual_first, _centres(centre, x, contract))


def log_mel_body(audio, **attributes):
    return LogMelSpectrogram(**attributes).decibels(audio)[..., tf.newaxis]
