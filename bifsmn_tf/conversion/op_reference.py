"""The exact arithmetic of the binary operators in ordinary TensorFlow operations.

`ops` wraps the three bodies below into functions that the TFLite converter replaces by custom
operators. `docs/ops.md` is the contract.
"""

import numpy as np
import tensorflow as tf

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


# ------------------------------------------------------------------ reference bodies


def _epilogue(dot, args, slope, residual_first):
    """Shared end of the operators; `dot` is float32 but always a whole number."""
    # Through integers: exact, and graph rewrites cannot move the multiplier across it.
    dot = tf.cast(dot, tf.int32)
    if len(args) == 1:
        return _pack(dot >= tf.cast(args[0], tf.int32))
    multiplier, bias, residual = (_keep(a) for a in (*args, tf.constant(0.0))[:3])
    has_residual = len(args) == 3
    v = _keep(tf.cast(dot, tf.float32) * multiplier)
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


def dense_body(x, weights, *args, channels, slope=1.0, residual_first=0):
    rank = dense_rank(list(x.shape), x.dtype == tf.int32, channels)
    if rank > 1:
        last = channels // WORD_BITS if x.dtype == tf.int32 else channels
        x = _reshape(x, x.shape[:-rank], last)
    dot = tf.matmul(_signs(x, channels), _unpack(weights, channels), transpose_b=True)
    return _epilogue(dot, args, slope, residual_first)


def conv2d_body(
    x, weights, *args, channels, kernel_h, kernel_w, stride_h=1, stride_w=1, pad_h=0, pad_w=0,
    slope=1.0, residual_first=0,
):
    x = _signs(x, channels)
    # Padding comes after binarising: padded taps are 0 and add nothing.
    x = tf.pad(x, [[0, 0], [pad_h, pad_h], [pad_w, pad_w], [0, 0]])
    height, width = x.shape[1:3]
    stop_h = (height - kernel_h) // stride_h * stride_h + 1
    stop_w = (width - kernel_w) // stride_w * stride_w + 1
    patches = tf.concat(
        [
            x[:, i : i + stop_h : stride_h, j : j + stop_w : stride_w]
            for i in range(kernel_h)
            for j in range(kernel_w)
        ],
        axis=-1,
    )
    kernel = _unpack(weights, kernel_h * kernel_w * channels)
    return _epilogue(tf.matmul(patches, kernel, transpose_b=True), args, slope, residual_first)


def memory_body(
    x, weights, *args, channels, look_back=0, stride_back=1, stride_ahead=1, slope=1.0,
    residual_first=0,
):
    outputs = args[0].shape[-1]
    x = _signs(x, channels)
    multiple = outputs // channels
    if multiple > 1:
        x = tf.repeat(x, multiple, axis=-1)
    taps = weights.shape[0]
    look_ahead = taps - 1 - look_back
    before, after = look_back * stride_back, look_ahead * stride_ahead
    frames = x.shape[1] if x.shape[1] is not None else tf.shape(x)[1]
    x = tf.pad(x, [[0, 0], [before, after], [0, 0]])
    signs = _unpack(weights, outputs)
    dot = None
    for tap in range(taps):
        steps = tap - look_back
        start = before + steps * (stride_back if steps < 0 else stride_ahead)
        term = x[:, start : start + frames] * signs[tap]
        dot = term if dot is None else dot + term
    return _epilogue(dot, args, slope, residual_first)
