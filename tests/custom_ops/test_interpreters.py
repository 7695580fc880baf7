"""Converted operators in the ordinary interpreters, against eager TensorFlow, bit by bit."""

import threading

import numpy as np
import pytest
from ops_testing import (
    EPILOGUES, INTERPRETERS, Operands, convert, interpreter_module, make_interpreter, run,
    run_interpreter, same_bits,
)

from bifsmn_tf.conversion import ops

tf = pytest.importorskip("tensorflow")


@pytest.fixture(params=INTERPRETERS)
def module(request):
    return interpreter_module(request.param)


class Cases:
    """Many operator calls as one model: input and output i belong to call i."""

    def __init__(self):
        self.calls = []
        self.inputs = []
        self.residual_inputs = {}

    def add(self, function, x, **arguments):
        self.calls.append((function, arguments))
        self.inputs.append(x)

    def __call__(self, *inputs):
        return {
            f"y{i:03d}": function(x, **arguments)
            for i, ((function, arguments), x) in enumerate(zip(self.calls, inputs))
        }

    def check(self, module, model):
        # Names sort as x0, x1, x10, ...: feed by name.
        interpreter = make_interpreter(module, model)
        runner = interpreter.get_signature_runner("serving_default")
        results = runner(**{f"x{i}": x for i, x in enumerate(self.inputs)})
        expected = self(*[tf.constant(x) for x in self.inputs])
        assert len(results) == len(self.calls)
        for i, (function, arguments) in enumerate(self.calls):
            name = f"y{i:03d}"
            assert same_bits(results[name], expected[name]), (function.__name__, i, arguments)


def shifted_cases():
    """Every operator with one shift, the two of a dual scale layer, the three of four levels."""
    cases = Cases()
    kinds = [kind for kind in EPILOGUES if kind != "bits"]
    calls = [
        (ops.binary_dense, (2, 9), 129, 33, (33, 129), {}),
        (ops.binary_dense, (1, 8), 256, 128, (128, 256), {}),
        (
            ops.binary_conv2d, (2, 8, 9), 16, 32, (32, 400),
            {"kernel_size": (5, 5), "strides": (2, 2), "padding": (2, 2)},
        ),
        (ops.binary_conv2d, (1, 5, 5), 33, 7, (7, 297), {"kernel_size": (3, 3)}),
        (ops.memory_filter, (2, 8), 128, 128, (5, 128), {"look_back": 2}),
        (ops.memory_filter, (1, 11), 33, 99, (4, 99), {"look_back": 1, "stride_ahead": 3}),
    ]
    leads = [(2, 9), (1, 8), (2, 4, 5), (1, 3, 3), (2, 8), (1, 11)]
    for i, ((op, shape, channels, outputs, weights, arguments), lead) in enumerate(
        zip(calls, leads)
    ):
        make = Operands(i)
        x, *shifts = make.dual(channels, *shape)
        for count, kind in ((1, EPILOGUES[i % len(EPILOGUES)]), (2, kinds[i % len(kinds)])):
            cases.add(
                op, x if count == 2 else make.floats(*x.shape), weights=make.bits(*weights),
                channels=channels, shifts=shifts[:count], **arguments,
                **make.epilogue(kind, outputs, weights[1], lead),
            )
        x, four_levels = make.levels(channels, *shape)
        cases.add(
            op, x, weights=make.bits(*weights), channels=channels, **four_levels, **arguments,
            **make.epilogue(kinds[(i + 1) % len(kinds)], outputs, weights[1], lead),
            **({} if op is ops.binary_dense else {"centre": make.scales(channels)}),
        )
    return cases


def dense_cases():
    cases = Cases()
    for i, channels in enumerate([1, 5, 31, 32, 33, 64, 127, 128, 129, 256, 400, 512, 1000]):
        make = Operands(channels)
        kind = EPILOGUES[i % len(EPILOGUES)]
        for packed in (False, True):
            outputs = (1, 3, 32, 33, 70)[(i + packed) % 5]
            rows = [(1, 8), (1,), (2, 3, 2)][i % 3]
            cases.add(
                ops.binary_dense, make.activations(packed, *rows, channels),
                weights=make.bits(outputs, channels), channels=channels,
                **make.epilogue(kind, outputs, channels, rows),
            )
    return cases


def conv_cases():
    cases = Cases()
    shapes = [
        # height, width, channels, kernel, strides, padding
        (7, 6, 5, (3, 3), (1, 1), (1, 1)),
        (8, 8, 32, (3, 3), (2, 2), (1, 1)),
        (1, 9, 33, (1, 5), (1, 2), (0, 4)),
        (9, 1, 128, (5, 1), (2, 1), (2, 0)),
        (4, 4, 1, (4, 4), (3, 3), (5, 5)),
        (5, 5, 64, (1, 1), (1, 1), (0, 0)),
    ]
    for i, (height, width, channels, kernel, strides, padding) in enumerate(shapes):
        make = Operands(i)
        length = kernel[0] * kernel[1] * channels
        out = (
            2,
            (height + 2 * padding[0] - kernel[0]) // strides[0] + 1,
            (width + 2 * padding[1] - kernel[1]) // strides[1] + 1,
        )
        for packed in (False, True):
            kind = EPILOGUES[(2 * i + packed) % len(EPILOGUES)]
            outputs = (1, 16, 33)[i % 3]
            cases.add(
                ops.binary_conv2d, make.activations(packed, 2, height, width, channels),
                weights=make.bits(outputs, length), channels=channels, kernel_size=kernel,
                strides=strides, padding=padding, **make.epilogue(kind, outputs, length, out),
            )
    return cases


def memory_cases():
    cases = Cases()
    shapes = [
        # frames, channels, multiple, taps, look_back, stride_back, stride_ahead
        (8, 128, 1, 5, 2, 1, 1),
        (8, 33, 1, 7, 3, 2, 3),
        (3, 5, 7, 9, 4, 2, 2),
        (1, 32, 2, 1, 0, 1, 1),
        (20, 40, 1, 16, 15, 1, 1),
        (11, 64, 1, 4, 0, 1, 4),
    ]
    for i, (frames, channels, multiple, taps, back, s1, s2) in enumerate(shapes):
        make = Operands(i)
        outputs = channels * multiple
        for packed in (False, True):
            kind = EPILOGUES[(3 * i + packed) % len(EPILOGUES)]
            cases.add(
                ops.memory_filter, make.activations(packed, 2, frames, channels),
                weights=make.bits(taps, outputs), channels=channels, look_back=back,
                stride_back=s1, stride_ahead=s2,
                **make.epilogue(kind, outputs, taps, (2, frames)),
            )
    return cases


@pytest.fixture(
    scope="module", params=[dense_cases, conv_cases, memory_cases, shifted_cases]
)
def converted(request):
    cases = request.param()
    return cases, convert(lambda *x: cases(*x), cases.inputs)


def test_every_operator_agrees_with_eager_bit_by_bit(converted, module):
    cases, model = converted
    cases.check(module, model)


def test_every_finite_float16_is_widened_exactly(module):
    # TensorFlow's converter replaces infinities by the largest numbers, and -0.0 by 0.0.
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    every = every[np.isfinite(every) & (every != 0)]
    weights = ops.pack_bits(np.ones((len(every), 1)))
    bias = np.zeros(len(every), np.float16)
    x = np.ones((1, 1), np.float32)
    model = convert(lambda x: {"y": ops.binary_dense(x, weights, every, bias, channels=1)}, [x])
    assert same_bits(run(module, model, [x])["y"][0], every.astype(np.float32))


class Network:
    """A small network with a branch, a residual and packed activations between operators."""

    def __init__(self, channels=96, hidden=70):
        make = Operands(11)
        self.channels, self.hidden = channels, hidden
        self.w1, self.t1 = make.bits(hidden, channels), make.threshold(hidden, channels)
        self.wm, self.sm, self.bm = make.bits(5, hidden), make.scales(hidden), make.scales(hidden)
        self.w2, self.s2 = make.bits(channels, hidden), make.scales(channels)
        self.b2 = make.scales(channels)

    def __call__(self, x):
        outputs = {}
        for block in range(3):
            hidden = ops.binary_dense(x, self.w1, threshold=self.t1, channels=self.channels)
            memory = ops.memory_filter(
                hidden, self.wm, self.sm, self.bm, channels=self.hidden, look_back=2, slope=0.2
            )
            x = ops.binary_dense(
                memory, self.w2, self.s2, self.b2, x, channels=self.hidden, slope=0.1,
                residual_first=block == 1,
            )
            # Every operator's output is an output of the model too in block 1 only: the other
            # blocks keep theirs inside the delegate.
            if block == 1:
                outputs.update(hidden=hidden, memory=memory)
        return dict(outputs, x=x + 1.0)


@pytest.fixture(scope="module")
def network():
    net = Network()
    x = Operands(12).residual(1, 8, net.channels)
    return net, convert(lambda x: net(x), [x])


def test_a_network_agrees_at_every_output(network, module):
    net, model = network
    x = Operands(13).residual(1, 8, net.channels)
    expected = net(tf.constant(x))
    results = run(module, model, [x])
    assert sorted(results) == ["hidden", "memory", "x"]
    for name, value in results.items():
        assert same_bits(value, expected[name]), name


def test_the_batch_and_the_time_can_be_resized(network, module):
    net, model = network
    interpreter = make_interpreter(module, model)
    for shape in [(1, 8), (5, 8), (2, 31), (1, 1), (1, 8)]:
        x = Operands(14).residual(*shape, net.channels)
        results = run_interpreter(interpreter, [x])
        expected = net(tf.constant(x))
        for name, value in results.items():
            assert same_bits(value, expected[name]), (shape, name)


def test_interpreters_in_threads_do_not_disturb_each_other(network, module):
    net, model = network
    failures = []

    def work(seed):
        interpreter = make_interpreter(module, model)
        x = Operands(seed).residual(1, 8, net.channels)
        first = run_interpreter(interpreter, [x])
        for _ in range(50):
            again = run_interpreter(interpreter, [x])
            if any(not same_bits(again[name], first[name]) for name in first):
                failures.append(seed)
        if not same_bits(first["x"], expected[seed]["x"]):
            failures.append(seed)

    expected = {
        seed: net(tf.constant(Operands(seed).residual(1, 8, net.channels))) for seed in range(4)
    }
    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_interpreters_with_several_threads_agree(network, module):
    net, model = network
    x = Operands(15).residual(1, 8, net.channels)
    one, four = run(module, model, [x], num_threads=1), run(module, model, [x], num_threads=4)
    assert all(same_bits(one[name], four[name]) for name in one)


def test_an_empty_batch_gives_an_empty_output(module):
    make = Operands(16)
    weights, threshold = make.bits(6, 40), make.threshold(6, 40)
    model = convert(
        lambda x: {"y": ops.binary_dense(x, weights, threshold=threshold, channels=40)},
        [make.floats(1, 40)],
    )
    interpreter = make_interpreter(module, model)
    index = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(index, (0, 40))
    interpreter.allocate_tensors()
    interpreter.invoke()
    assert interpreter.get_output_details()[0]["shape"].tolist() == [0, 1]


def test_unused_bits_of_packed_input_do_not_count(module):
    make = Operands(17)
    weights, threshold = make.bits(6, 40), make.threshold(6, 40)
    x = make.bits(4, 40)
    call = lambda x: {  # noqa: E731
        "y": ops.binary_dense(x, weights, threshold=threshold, channels=40)
    }
    dirty = x.copy()
    dirty[:, 1] |= np.int32(-256)
    assert same_bits(run(module, convert(call, [x]), [dirty])["y"], call(tf.constant(x))["y"])
