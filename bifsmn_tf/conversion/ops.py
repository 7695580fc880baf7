"""The custom operators as TensorFlow functions: three binary ones, and the log-mel spectrogram.

`log_mel` becomes `BifsmnLogMel`; all that follows is about the others.

Called eagerly, or inside a Keras layer, `binary_dense`, `binary_conv2d` and
`memory_filter` compute the exact result with ordinary TensorFlow operations. The TFLite
converter replaces each call by one custom operator (`BifsmnDense`, `BifsmnConv2D`,
`BifsmnMemory`), whose native kernel gives the same bits. `docs/ops.md` is the contract.

Bits are packed along the last axis into int32 words: channel `c` is bit `c % 32`, least
significant first, of word `c // 32`; 1 stands for +1, 0 for -1, unused bits are 0.

Every operator ends in one of two epilogues:

* float: give `multiplier` and `bias` (and perhaps `residual`); returns float32.
  `v = dot * multiplier + bias`, then the leaky slope for `v < 0`, and the residual added
  before the slope (`residual_first=True`) or after it. `multiplier` and `bias` may be float16,
  which saves room; they are widened to float32, exactly, before anything is computed.
* bits: give `threshold`; returns packed bits, `dot >= threshold`.

`shifts` say how a float x becomes signs:

* none: `x >= 0`;
* one, `(shift,)`: `x >= shift`;
* two, `(shift0, shift1)`: dual scale. `first = sign(x - shift0)`, `r = (x - first) - shift1`,
  `second = sign(r)`, and the sum is `dot(first) + mean|r| * dot(second)`. The mean is computed
  at run time, over what one output sums, or over time in the memory filter;
* one, and a `step`: four levels. `first = x >= shift`, `second = x >= (shift + step if first else
  shift - step)`, as signs, and the sum is `dot(first) + dot(second) / 2`.

A `centre`, with two shifts or a step, is what a tap adds besides its signs: an x of channel c
stands for its signs plus `centre[c]`, but a padded one for 0. What the centres of the taps inside
sum up to, in float64, times the multiplier, is added to the bias of every position of the output.

Compiled by XLA (`jit_compile=True`) the float epilogue may contract a product and a sum into one
rounding; the bits epilogue stays exact there too.
"""

import functools
import inspect
import numbers

import numpy as np
import tensorflow as tf

from bifsmn_tf.conversion.op_reference import (
    MAX_REDUCTION,
    conv2d_body,
    dense_body,
    dense_rank,
    log_mel_body,
    memory_body,
    pack_bits,
    unpack_bits,
    words_for,
)

__all__ = ["binary_conv2d", "binary_dense", "log_mel", "memory_filter", "pack_bits", "unpack_bits"]

_REAL = (tf.float32, tf.float16)


# ------------------------------------------------------------------------- factories


def _attribute(key, value):
    if isinstance(value, float):
        # The shortest decimal that gives back the same float32.
        text = np.format_float_scientific(np.float32(value), unique=True, trim="-")
        return f'attr {{ key: "{key}" value {{ f: {text} }} }}'
    return f'attr {{ key: "{key}" value {{ i: {value} }} }}'


@functools.lru_cache(maxsize=None)
def _composite(name, body, arity, attributes):
    """Builds the function of one operator with one set of attributes.

    The attributes are part of the function's signature text, so that each set needs a function
    of its own.
    """
    text = f'name: "{name}" attr {{ key: "tfl_fusable_op" value {{ b: true }} }} '
    text += " ".join(_attribute(key, value) for key, value in attributes)
    keywords = dict(attributes)

    def composite(*args):
        return body(*args, **keywords)

    composite.__name__ = name
    # Named parameters: the converter binds the operator's inputs by their position.
    composite.__signature__ = inspect.Signature([
        inspect.Parameter(f"input{i}", inspect.Parameter.POSITIONAL_ONLY) for i in range(arity)
    ])
    return tf.function(composite, experimental_implements=text, autograph=False)


# ------------------------------------------------------------------------ validation


def _tensor(value, name, dtypes, op):
    value = value if tf.is_tensor(value) else tf.convert_to_tensor(value)
    if value.dtype not in dtypes:
        expected = " or ".join(d.name for d in dtypes)
        raise ValueError(
            f"`{name}` of {op} should be {expected}. Received: dtype={value.dtype.name}"
        )
    if value.shape.rank is None:
        raise ValueError(f"`{name}` of {op} should have a known rank. Received: {value}")
    return value


def _integer(value, name, op, minimum, maximum=MAX_REDUCTION):
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)) or not (
        minimum <= value <= maximum
    ):
        raise ValueError(
            f"`{name}` of {op} should be an integer from {minimum} to {maximum}. "
            f"Received: {name}={value!r}"
        )
    return int(value)


def _pair(value, name, op, minimum):
    pair = (value, value) if isinstance(value, (int, np.integer)) else tuple(value)
    if len(pair) != 2:
        raise ValueError(f"`{name}` of {op} should be two integers. Received: {name}={value!r}")
    return tuple(_integer(v, name, op, minimum) for v in pair)


def _vector(value, name, dtypes, length, op, side="output"):
    value = _tensor(value, name, dtypes, op)
    if value.shape.as_list() != [length]:
        raise ValueError(
            f"`{name}` of {op} should have shape ({length},), one entry per {side} channel. "
            f"Received: shape={value.shape}"
        )
    return value


def _shifts(shifts, step, x, threshold, channels, op):
    """Checked shifts as a list, and the step or 0."""
    shifts = list(shifts)
    if len(shifts) > 2:
        raise ValueError(
            f"`shifts` of {op} should be at most two tensors. Received: {len(shifts)} of them"
        )
    if step is not None:
        if len(shifts) != 1:
            raise ValueError(
                f"`step` of {op} should come with one of `shifts`. Received: {len(shifts)} of them"
            )
        least, most = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)
        if not isinstance(step, numbers.Real) or not least <= float(step) <= most:
            raise ValueError(
                f"`step` of {op} should be positive, finite and not subnormal in float32. "
                f"Received: step={step!r}"
            )
    if shifts and x.dtype != tf.float32:
        raise ValueError(
            f"`x` of {op} should be float32 with `shifts`. Received: dtype={x.dtype.name}"
        )
    if (len(shifts) == 2 or step is not None) and threshold is not None:
        raise ValueError(
            f"{op} with two `shifts` or a `step` should have `multiplier` and `bias` instead of "
            f"`threshold`. Received: threshold={threshold}"
        )
    vectors = [_vector(s, "shifts", (tf.float32,), channels, op, "input") for s in shifts]
    return vectors, 0.0 if step is None else float(np.float32(step))


def _call(
    op, body, x, weights, epilogue, shifts, step, lead, outputs, attributes, defaults, centre=None
):
    """Checks the epilogue, leaves defaults out of the attributes and calls the composite.

    `lead` is the output's shape but for its channels.
    """
    multiplier, bias, residual, threshold, slope, residual_first = epilogue
    if (threshold is None) == (multiplier is None):
        raise ValueError(
            f"{op} should be given either `threshold`, or `multiplier` and `bias`. Received: "
            f"multiplier={multiplier}, threshold={threshold}"
        )
    slope = float(np.float32(slope))
    if not np.isfinite(slope):
        raise ValueError(f"`slope` of {op} should be finite in float32. Received: slope={slope}")
    if threshold is not None:
        if bias is not None or residual is not None or slope != 1.0 or residual_first:
            raise ValueError(
                f"{op} with `threshold` should have no `bias`, `residual`, `slope` or "
                f"`residual_first`. Received: bias={bias}, residual={residual}, slope={slope}, "
                f"residual_first={residual_first}"
            )
        args = [_vector(threshold, "threshold", (tf.int16,), outputs, op)]
    else:
        if bias is None:
            raise ValueError(f"{op} with `multiplier` should have a `bias`. Received: bias=None")
        args = [
            _vector(multiplier, "multiplier", _REAL, outputs, op),
            _vector(bias, "bias", _REAL, outputs, op),
        ]
        if residual is not None:
            residual = _tensor(residual, "residual", (tf.float32,), op)
            shape = tf.TensorShape([*lead, outputs])
            if not residual.shape.is_compatible_with(shape):
                raise ValueError(
                    f"`residual` of {op} should have the output's shape {shape}. "
                    f"Received: shape={residual.shape}"
                )
            args.append(residual)
        elif residual_first:
            raise ValueError(
                f"`residual_first` of {op} needs a `residual`. Received: residual=None"
            )
    channels = attributes["channels"]
    shifts, step = _shifts(shifts, step, x, threshold, channels, op)
    last = []
    if centre is not None:
        if len(shifts) < 2 and not step:
            raise ValueError(
                f"`centre` of {op} should come with two `shifts` or a `step`. Received: "
                f"{len(shifts)} of them"
            )
        last = [_vector(centre, "centre", (tf.float32,), channels, op, "input")]
    attributes = dict(
        attributes, slope=slope, residual_first=int(bool(residual_first)), shifts=len(shifts),
        step=step, centre=len(last),
    )
    defaults = dict(defaults, slope=1.0, residual_first=0, shifts=0, step=0.0, centre=0)
    kept = tuple(
        (key, value)
        for key, value in sorted(attributes.items())
        if key not in defaults or value != defaults[key]
    )
    args += shifts + last
    return _composite(op, body, 2 + len(args), kept)(x, weights, *args)


def _weights(weights, op, rows, row_words, meaning):
    weights = _tensor(weights, "weights", (tf.int32,), op)
    shape = weights.shape.as_list()
    if len(shape) != 2 or None in shape or 0 in shape or shape[1] != row_words or (
        rows not in (None, shape[0])
    ):
        raise ValueError(
            f"`weights` of {op} should be packed to shape ({rows or 'outputs'}, {row_words}), "
            f"{meaning}. Received: shape={weights.shape}"
        )
    return weights


def _activations(x, op, rank, channels):
    x = _tensor(x, "x", (tf.float32, tf.int32), op)
    last = channels if x.dtype == tf.float32 else words_for(channels)
    if x.shape.rank != rank or x.shape[-1] != last:
        raise ValueError(
            f"`x` of {op} should have {rank} axes, the last of {last} "
            f"{'channels' if x.dtype == tf.float32 else 'packed words'} for channels={channels}. "
            f"Received: dtype={x.dtype.name}, shape={x.shape}"
        )
    return x


# ------------------------------------------------------------------------- public ops


def binary_dense(
    x, weights, multiplier=None, bias=None, residual=None, threshold=None, *, channels,
    slope=1.0, residual_first=False, shifts=(), step=None,
):
    """Binary fully connected layer, the custom operator `BifsmnDense`.

    `dot[..., n] = sum_k sign(x[..., k]) * w[n, k]`, then the epilogue (module docstring).

    Args:
        x: float32, binarised by `x >= 0`, or int32 packed bits. Trailing axes are flattened
            until they hold `channels` values; the axes before are kept.
        weights: int32 `(N, ceil(channels / 32))`, packed along the reduction.
        multiplier: float32 or float16 `(N,)`, for the float epilogue.
        bias: float32 or float16 `(N,)`, with `multiplier`.
        residual: float32, shape of the output; optional, with `multiplier`.
        threshold: int16 `(N,)`, for the bits epilogue.
        channels: Length of the reduction, 1 to 32767.
        slope: Factor of negative values.
        residual_first: Add the residual before the slope instead of after it.
        shifts: Up to two float32 `(channels,)`, for a float `x` (module docstring).
        step: Distance of the borders of four levels, with one shift (module docstring).

    Returns:
        float32 `(..., N)`, or int32 packed bits `(..., ceil(N / 32))`.
    """
    op = "BifsmnDense"
    channels = _integer(channels, "channels", op, 1)
    x = _tensor(x, "x", (tf.float32, tf.int32), op)
    trailing = dense_rank(x.shape.as_list(), x.dtype == tf.int32, channels)
    if trailing is None:
        raise ValueError(
            f"`x` of {op} should have trailing axes that hold channels={channels} values behind "
            f"at least one batch axis. Received: dtype={x.dtype.name}, shape={x.shape}"
        )
    weights = _weights(weights, op, None, words_for(channels), f"{channels} bits per row")
    return _call(
        op, dense_body, x, weights,
        (multiplier, bias, residual, threshold, slope, residual_first), shifts, step,
        x.shape[:-trailing], weights.shape[0], {"channels": channels}, {},
    )


def binary_conv2d(
    x, weights, multiplier=None, bias=None, residual=None, threshold=None, *, channels,
    kernel_size, strides=(1, 1), padding=(0, 0), slope=1.0, residual_first=False, shifts=(),
    step=None, centre=None,
):
    """Binary two-dimensional convolution, the custom operator `BifsmnConv2D`.

    Args:
        x: float32 `(B, H, W, C)`, binarised by `x >= 0`, or packed bits
            `(B, H, W, ceil(C / 32))`.
        weights: int32 `(N, ceil(kh * kw * C / 32))`; bit `(i * kw + j) * C + c` of a row is the
            tap in row `i`, column `j`, channel `c`.
        multiplier: float32 or float16 `(N,)`, for the float epilogue.
        bias: float32 or float16 `(N,)`, with `multiplier`.
        residual: float32, shape of the output; optional, with `multiplier`.
        threshold: int16 `(N,)`, for the bits epilogue.
        channels: `C`; `kh * kw * C` is at most 32767.
        kernel_size: `(kh, kw)`.
        strides: Steps along height and width.
        padding: Zeros added at both ends of height and of width, after binarising.
        slope: Factor of negative values.
        residual_first: Add the residual before the slope instead of after it.
        shifts: Up to two float32 `(channels,)`, for a float `x` (module docstring).
        step: Distance of the borders of four levels, with one shift (module docstring).
        centre: float32 `(channels,)`, with two shifts or a step (module docstring).

    Returns:
        float32 `(B, Ho, Wo, N)`, or int32 packed bits `(B, Ho, Wo, ceil(N / 32))`, with
        `Ho = (H + 2 * pad - kh) // stride + 1`.
    """
    op = "BifsmnConv2D"
    channels = _integer(channels, "channels", op, 1)
    kernel_h, kernel_w = _pair(kernel_size, "kernel_size", op, 1)
    stride_h, stride_w = _pair(strides, "strides", op, 1)
    pad_h, pad_w = _pair(padding, "padding", op, 0)
    length = kernel_h * kernel_w * channels
    if length > MAX_REDUCTION:
        raise ValueError(
            f"{op} should reduce over at most {MAX_REDUCTION} bits. Received: kernel_size="
            f"{kernel_size}, channels={channels}, that is {length} bits"
        )
    x = _activations(x, op, 4, channels)
    if (
        None in x.shape[1:3]
        or x.shape[1] + 2 * pad_h < kernel_h
        or x.shape[2] + 2 * pad_w < kernel_w
    ):
        raise ValueError(
            f"`x` of {op} should have a known height and width that hold the kernel "
            f"{kernel_h}x{kernel_w} with padding=({pad_h}, {pad_w}). Received: shape={x.shape}"
        )
    weights = _weights(weights, op, None, words_for(length), f"{length} bits per row")
    return _call(
        op, conv2d_body, x, weights,
        (multiplier, bias, residual, threshold, slope, residual_first), shifts, step,
        [
            x.shape[0],
            (x.shape[1] + 2 * pad_h - kernel_h) // stride_h + 1,
            (x.shape[2] + 2 * pad_w - kernel_w) // stride_w + 1,
        ],
        weights.shape[0],
        {
            "channels": channels, "kernel_h": kernel_h, "kernel_w": kernel_w,
            "stride_h": stride_h, "stride_w": stride_w, "pad_h": pad_h, "pad_w": pad_w,
        },
        {"stride_h": 1, "stride_w": 1, "pad_h": 0, "pad_w": 0},
        centre,
    )


def memory_filter(
    x, weights, multiplier=None, bias=None, residual=None, threshold=None, *, channels,
    look_back=0, stride_back=1, stride_ahead=1, slope=1.0, residual_first=False, shifts=(),
    step=None, centre=None,
):
    """Binary FSMN memory filter, the custom operator `BifsmnMemory`.

    A depthwise filter over time. Output channel `n` of `N = m * C` reads input channel
    `n // m`; tap `i` reads the frame `offset[i]` away, with offsets
    `-look_back * stride_back, ..., -stride_back, 0, stride_ahead, ...`. Frames outside add 0.

    Args:
        x: float32 `(B, T, C)`, binarised by `x >= 0`, or packed bits `(B, T, ceil(C / 32))`.
        weights: int32 `(taps, ceil(N / 32))`, earliest tap first, packed along the outputs.
        multiplier: float32 or float16 `(N,)`, for the float epilogue.
        bias: float32 or float16 `(N,)`, with `multiplier`.
        residual: float32, shape of the output; optional, with `multiplier`.
        threshold: int16 `(N,)`, for the bits epilogue.
        channels: `C`.
        look_back: Number of taps on past frames; the remaining taps are the present frame and
            the frames ahead.
        stride_back: Frames between the taps on the past.
        stride_ahead: Frames between the taps on the future.
        slope: Factor of negative values.
        residual_first: Add the residual before the slope instead of after it.
        shifts: Up to two float32 `(channels,)`, for a float `x` (module docstring).
        step: Distance of the borders of four levels, with one shift (module docstring).
        centre: float32 `(channels,)`, with two shifts or a step (module docstring).

    Returns:
        float32 `(B, T, N)`, or int32 packed bits `(B, T, ceil(N / 32))`.
    """
    op = "BifsmnMemory"
    channels = _integer(channels, "channels", op, 1)
    look_back = _integer(look_back, "look_back", op, 0)
    stride_back = _integer(stride_back, "stride_back", op, 1)
    stride_ahead = _integer(stride_ahead, "stride_ahead", op, 1)
    x = _activations(x, op, 3, channels)
    vector = threshold if multiplier is None else multiplier
    shape = np.shape(vector) if vector is not None else ()
    if len(shape) != 1 or shape[0] is None or shape[0] == 0 or shape[0] % channels:
        raise ValueError(
            f"`multiplier` or `threshold` of {op} should have one entry per output channel, a "
            f"multiple of channels={channels}. Received: shape={shape}"
        )
    outputs = int(shape[0])
    weights = _weights(weights, op, None, words_for(outputs), f"{outputs} bits per tap")
    taps = weights.shape[0]
    if not look_back < taps <= MAX_REDUCTION:
        raise ValueError(
            f"`weights` of {op} should hold the look_back={look_back} taps on the past and at "
            f"least the present one, {MAX_REDUCTION} at most. Received: {taps} taps"
        )
    return _call(
        op, memory_body, x, weights,
        (multiplier, bias, residual, threshold, slope, residual_first), shifts, step,
        x.shape[:2], outputs,
        {
            "channels": channels, "look_back": look_back, "stride_back": stride_back,
            "stride_ahead": stride_ahead,
        },
        {"look_back": 0, "stride_back": 1, "stride_ahead": 1},
        centre,
    )


def log_mel(audio, *, num_mels=32, fft_length=2048, hop_length=512, sample_rate=16000):
    """Log-mel spectrogram in dB, the custom operator `BifsmnLogMel`.

    What `bifsmn_tf.layers.LogMelSpectrogram.decibels` computes, as a picture of one channel. The
    native kernel rounds in an order of its own.

    Args:
        audio: float32 `(B, samples)` in [-1, 1), more than `fft_length // 2` samples.
        num_mels: Number of mel bands, at most 1024.
        fft_length: Length of transform and window in samples: a power of two from 32 to 16384.
        hop_length: Samples between two frames; `fft_length // 2` is a multiple of it.
        sample_rate: In Hz, at most 1,000,000.

    Returns:
        float32 `(B, 1 + samples // hop_length, num_mels, 1)`; digital silence is exactly -100.
    """
    op = "BifsmnLogMel"
    audio = _tensor(audio, "audio", (tf.float32,), op)
    attributes = {
        "num_mels": _integer(num_mels, "num_mels", op, 1, 1024),
        "fft_length": _integer(fft_length, "fft_length", op, 32, 16384),
        "hop_length": _integer(hop_length, "hop_length", op, 1, 16384),
        "sample_rate": _integer(sample_rate, "sample_rate", op, 1, 1000000),
    }
    if fft_length & (fft_length - 1) or fft_length // 2 % hop_length:
        raise ValueError(
            f"`fft_length` of {op} should be a power of two, and half of it a multiple of "
            f"`hop_length`. Received: fft_length={fft_length}, hop_length={hop_length}"
        )
    if audio.shape.rank != 2 or audio.shape[1] is None or audio.shape[1] <= fft_length // 2:
        raise ValueError(
            f"`audio` of {op} should have shape (batch, samples) with a known number of samples, "
            f"more than {fft_length // 2}. Received: shape={audio.shape}"
        )
    return _composite(op, log_mel_body, 1, tuple(attributes.items()))(audio)
