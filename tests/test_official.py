"""Official weights: layouts, names, refusals, and parity with the official networks."""

import numpy as np
import pytest
import tensorflow as tf

from bifsmn_tf import ThinnableDistiller, models, official
from bifsmn_tf.distillation import FID, HED, LogitMSE
from bifsmn_tf.models.variables import variables_by_path

NORM = {
    "weight": "gamma", "bias": "beta",
    "running_mean": "moving_mean", "running_var": "moving_variance",
}
PLAIN = {
    "weight": "kernel", "bias": "bias", "channel_threshold": "threshold0",
    "channel_threshold_1": "threshold1", "channel_threshold_2": "threshold2",
    **{f"quant{i}.alpha": f"window{i}" for i in (1, 2, 3)},
}
MODULES = {
    "front_end.0": "conv1", "front_end.1": "norm1", "front_end.2": "activation1",
    "front_end.3": "conv2", "front_end.4": "norm2", "front_end.5": "activation2",
    "fc1.0": "fc1", "fc1.1": "fc1_activation", "classifier.1": "classifier",
}
BLOCK_MODULES = {
    "memory.0": "memory", "memory.1": "memory_norm/bn0", "memory.2": "memory_activation",
    "fc_trans.0": "hidden", "fc_trans.1": "hidden_norm/bn0", "fc_trans.2": "hidden_activation",
    "fc_trans.4": "projection", "fc_trans.5": "output_norm/bn0",
    "fc_trans.6": "output_activation0",
    **{f"bn{i}": f"output_norm/bn{i}" for i in range(3)},
    **{f"act{i}": f"output_activation{i}" for i in range(3)},
}


def module_and_parameter(name):
    """Both parts of a PyTorch name."""
    module, *parameter = name.rsplit(".", 2 if name.endswith(".alpha") else 1)
    return module, ".".join(parameter)


def our_path(name):
    """Path of our variable for a PyTorch name."""
    module, parameter = module_and_parameter(name)
    parts = module.split(".")
    if parts[0] == "backbone":
        module = f"block{int(parts[1]) + 1}/{BLOCK_MODULES['.'.join(parts[2:])]}"
    else:
        module = MODULES[module]
    last = module.rsplit("/", 1)[-1]
    if "activation" in last:
        return f"{module}/slope"
    is_norm = last.startswith(("bn", "norm"))
    return f"{module}/{(NORM if is_norm else PLAIN)[parameter]}"


def to_ours(path, value):
    """PyTorch layout to ours."""
    if path.endswith("slope"):
        return value[0]
    if "threshold" in path:
        return value.ravel()
    if value.ndim == 4:
        return np.transpose(value, (2, 3, 1, 0))
    if value.ndim == 3 and "memory" in path:
        return value[:, 0, :].T
    return value[..., 0].T if value.ndim == 3 else value.T


def to_torch(path, value):
    """Our layout to PyTorch's."""
    if path.endswith("slope"):
        return value.reshape(1)
    if "threshold" in path:
        ones = {"conv2": 2, "fc1": 0}.get(path.split("/")[0], 1)
        return value.reshape(1, -1, *ones * (1,))
    if value.ndim == 4:
        return np.transpose(value, (3, 2, 0, 1))
    if path.endswith("memory/kernel"):
        return value.T[:, None, :]
    if value.ndim == 2 and path.startswith("block"):
        return value.T[:, :, None]
    return value.T


def torch_names(model, plain=False):
    """PyTorch names of all parameters of a model and the paths of our variables."""
    modules = [*MODULES, *(f"backbone.{i}.{m}" for i in range(model.num_blocks)
                           for m in BLOCK_MODULES)]
    skipped = ("bn", "act") if plain else ("fc_trans.5", "fc_trans.6")
    paths, names = variables_by_path(model), {}
    for module in modules:
        if module.startswith("backbone") and module.split(".", 2)[2].startswith(skipped):
            continue
        for parameter in {**NORM, **PLAIN}:
            try:
                path = our_path(f"{module}.{parameter}")
            except KeyError:
                continue
            if path in paths and not (path.endswith("slope") and parameter != "weight"):
                names[f"{module}.{parameter}"] = path
    assert set(names.values()) == set(paths)
    return names


def random_state(model, seed=0, plain=False):
    """Random arrays under the names and in the layouts of the official network."""
    rng, state = np.random.default_rng(seed), {}
    for name, path in torch_names(model, plain).items():
        shape = to_torch(path, np.zeros(variables_by_path(model)[path].shape)).shape
        value = 0.3 * rng.normal(size=shape)
        positive = name.endswith(("var", "alpha"))
        state[name] = (np.abs(value) + 0.1 if positive else value).astype(np.float32)
    return state


def snapshot(model):
    return {path: np.array(v) for path, v in variables_by_path(model).items()}


def assert_unchanged(model, before):
    for path, value in snapshot(model).items():
        np.testing.assert_array_equal(value, before[path])


TINY = {
    "memory_size": 6, "hidden_size": 10, "num_blocks": 4, "frontend_kernel": 3,
    "frontend_filters": (3, 5), "num_mels": 8, "num_frames": 8,
}
MAKERS = {
    "student": lambda: models.BiFSMN(4, **TINY),
    "student_v2": lambda: models.BiFSMNv2(4, **TINY),
    "non_thinnable_v2": lambda: models.BiFSMNv2(20, **TINY, switches=(1.0,)),
    "teacher": lambda: models.DFSMN(7, **TINY),
    "plain": lambda: models.DFSMN(4, **TINY, activation="relu"),
    "float": lambda: models.DFSMN(4, **TINY, activation="prelu"),
    "non_thinnable": lambda: models.BiFSMN(20, **TINY, switches=(1.0,)),
    "wide": lambda: models.BiFSMN(35, variant="S", memory_size=20, hidden_size=24, num_blocks=4),
    "kernel5": lambda: models.BiFSMN(12, **{**TINY, "frontend_kernel": 5}),
    "memory7": lambda: models.BiFSMN(12, **TINY, look_back=4, look_ahead=2),
}


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("plain", [False, True])
def test_every_array_arrives_where_it_belongs(kind, plain):
    model = MAKERS[kind]()
    if plain and len(model.switches) > 1:
        plain = False
    state = random_state(model, plain=plain)
    x = np.random.default_rng(1).normal(size=(2, model.num_mels, model.num_frames, 1))
    before = np.asarray(model(x.astype(np.float32)))
    official.load_state(model, state)
    variables = variables_by_path(model)
    for name, path in torch_names(model, plain).items():
        np.testing.assert_array_equal(variables[path], to_ours(path, state[name]), err_msg=name)
    logits = np.asarray(model(x.astype(np.float32)))
    assert np.abs(logits - before).max() > 1e-3
    # Logits follow the official classifier: its rows are the classes.
    flipped = {k: v[::-1] if k.startswith("classifier") else v for k, v in state.items()}
    official.load_state(model, flipped)
    np.testing.assert_allclose(model(x.astype(np.float32)), logits[:, ::-1], rtol=1e-5, atol=1e-5)


def test_prefix_counters_and_unused_switches_are_ignored():
    model = MAKERS["student"]()
    state = random_state(model)
    official.load_state(model, state)
    expected = snapshot(model)
    other = MAKERS["student"]()
    extended = {f"module.{name}": value for name, value in state.items()}
    extended["module.front_end.1.num_batches_tracked"] = np.array(7)
    for name in ("bn3.weight", "bn3.running_mean", "act3.weight"):
        extended[f"module.backbone.0.{name}"] = np.ones(6)
    official.load_state(other, extended)
    assert_unchanged(other, expected)


def test_float64_arrays_and_lists_are_accepted():
    model = MAKERS["student"]()
    state = random_state(model)
    official.load_state(model, {k: v.astype(np.float64) for k, v in state.items()})
    expected = snapshot(model)
    official.load_state(model, {k: v.tolist() for k, v in state.items()})
    assert_unchanged(model, expected)


@pytest.mark.parametrize(
    "name",
    ["front_end.0.weight", "fc1.0.bias", "backbone.2.memory.0.weight", "classifier.1.bias",
     "backbone.3.bn1.running_var", "backbone.0.act2.weight"],
)
def test_missing_parameter(name):
    model = MAKERS["student"]()
    before = snapshot(model)
    state = random_state(model)
    del state[name]
    with pytest.raises(ValueError, match=f"none for 1 of the model's.*{our_path(name)}"):
        official.load_state(model, state)
    assert_unchanged(model, before)


@pytest.mark.parametrize(
    "name", ["front_end.9.weight", "backbone.4.memory.0.weight", "lstm.weight", "",
             "backbone.0.memory.0.scale"]
)
def test_unknown_parameter(name):
    model = MAKERS["student"]()
    before = snapshot(model)
    with pytest.raises(ValueError, match="1 unknown parameters"):
        official.load_state(model, {**random_state(model), name: np.zeros(3)})
    assert_unchanged(model, before)


@pytest.mark.parametrize(
    "name, shape",
    [
        ("front_end.0.weight", (3, 1, 5, 5)),
        ("front_end.0.weight", (3, 9)),
        ("front_end.1.running_mean", (4,)),
        ("fc1.0.weight", (6, 11)),
        ("backbone.1.memory.0.weight", (6, 1, 3)),
        ("backbone.1.memory.0.weight", (6, 5)),
        ("backbone.1.fc_trans.0.weight", (10, 6)),
        ("backbone.1.fc_trans.0.weight", (6, 10, 1)),
        ("backbone.1.fc_trans.0.weight", (10, 6, 3)),
        ("backbone.1.memory.0.weight", (6, 2, 5)),
        ("backbone.1.act0.weight", (6,)),
        ("classifier.1.weight", (5, 24)),
        ("classifier.1.bias", (1,)),
        ("classifier.1.bias", ()),
    ],
)
def test_misshaped_parameter(name, shape):
    model = MAKERS["student"]()
    before = snapshot(model)
    with pytest.raises(ValueError, match=f"`{name}` should.*Received: shape"):
        official.load_state(model, {**random_state(model), name: np.zeros(shape)})
    assert_unchanged(model, before)


@pytest.mark.parametrize(
    "name, shape",
    [
        ("front_end.3.channel_threshold", (1, 4, 1, 1)),
        ("fc1.0.channel_threshold_1", (11,)),
        ("backbone.1.memory.0.channel_threshold_2", (6, 1, 1)),
        ("backbone.1.fc_trans.4.quant2.alpha", (2,)),
    ],
)
def test_misshaped_parameter_of_the_second_version(name, shape):
    model = MAKERS["student_v2"]()
    before = snapshot(model)
    with pytest.raises(ValueError, match=f"`{name}` should.*Received: shape"):
        official.load_state(model, {**random_state(model), name: np.ones(shape)})
    assert_unchanged(model, before)


@pytest.mark.parametrize("value", [0.0, -0.5, np.nan])
def test_a_window_that_is_not_positive(value):
    model = MAKERS["student_v2"]()
    state = {**random_state(model), "fc1.0.quant1.alpha": np.array(value)}
    with pytest.raises(ValueError, match="`fc1.0.quant1.alpha`.*a window should be positive"):
        official.load_state(model, state)


def test_a_state_of_another_network():
    student, teacher = MAKERS["student"](), MAKERS["float"]()
    with pytest.raises(ValueError, match="like this BiFSMN.*unknown"):
        official.load_state(student, random_state(MAKERS["student_v2"]()))
    with pytest.raises(ValueError, match="like this BiFSMNv2.*none for"):
        official.load_state(MAKERS["student_v2"](), random_state(student))
    with pytest.raises(ValueError, match="like this DFSMN|should"):
        official.load_state(models.DFSMN(4, **TINY), random_state(student))
    with pytest.raises(ValueError, match="like this BiFSMN.*none for"):
        official.load_state(student, random_state(teacher))
    with pytest.raises(ValueError, match="none for"):
        official.load_state(student, {})


# --- parity with the official networks ---------------------------------------------------------


def load(archive, prefix):
    return {k[len(prefix):]: archive[k] for k in archive if k.startswith(prefix)}


@pytest.fixture(scope="module")
def v1(golden_dir):
    with np.load(golden_dir / "v1_small.npz") as archive:
        return {key: archive[key] for key in archive}


@pytest.fixture(scope="module")
def v2(golden_dir):
    with np.load(golden_dir / "v2_small.npz") as archive:
        return {key: archive[key] for key in archive}


def from_golden(model, golden, prefix):
    official.load_state(model, load(golden, f"{prefix}/state/"))
    return model


def network_input(golden):
    return np.transpose(golden["input"], (0, 2, 3, 1))


def assert_same_outputs(model, golden, key, thin=1.0):
    logits, blocks = model(network_input(golden), thin=thin, return_blocks=True)
    np.testing.assert_allclose(logits, golden[f"{key}/logits"], atol=1e-4, rtol=1e-4)
    if f"{key}/block_outputs" in golden:
        expected = golden[f"{key}/block_outputs"]
        assert len(blocks) == len(expected)
        for ours, theirs in zip(blocks, expected):
            theirs = np.transpose(theirs, (0, 2, 1))
            np.testing.assert_allclose(ours, theirs, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_teacher_parity(version, request):
    golden = request.getfixturevalue(version)
    teacher = from_golden(models.small(12, model=models.DFSMN), golden, "teacher")
    assert_same_outputs(teacher, golden, "teacher/eval")


def test_plain_float_parity(v1):
    """The plain float network of the golden values has PReLU throughout."""
    model = models.DFSMN(12, variant="S", activation="prelu")
    assert_same_outputs(from_golden(model, v1, "plain_fp"), v1, "plain_fp/eval")


def official_student(version, golden):
    cls = {"v1": models.BiFSMN, "v2": models.BiFSMNv2}[version]
    student = models.small(12, model=cls, weight_scale="official")
    return from_golden(student, golden, "student")


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("switch, thin", enumerate((1.0, 0.5, 0.25)))
def test_student_parity(version, request, switch, thin):
    golden = request.getfixturevalue(version)
    student = official_student(version, golden)
    assert_same_outputs(student, golden, f"student/eval/switch{switch}", thin)


@pytest.fixture(scope="module", params=["v1", "v2"])
def official_step(request):
    """Golden values, and loss, parts, logits and gradients of the official training step."""
    golden = request.getfixturevalue(request.param)
    student = official_student(request.param, golden)
    teacher = from_golden(models.small(12, model=models.DFSMN), golden, "teacher")
    losses = {
        "v1": {"distillation": HED()},
        "v2": {"distillation": FID(), "logits": LogitMSE(0.01)},
    }[request.param]
    distiller = ThinnableDistiller(student, teacher, gamma=0.01, **losses)
    distiller.compile("sgd")
    with tf.GradientTape() as tape:
        parts = distiller.switch_losses(network_input(golden), golden["label"], training=True)
        loss = distiller.total_loss(parts)
    paths = variables_by_path(student)
    trainable = {path: v for path, v in paths.items() if v.trainable}
    gradients = dict(zip(trainable, tape.gradient(loss, list(trainable.values()))))
    return golden, float(loss), parts, gradients


def test_training_loss_parity(official_step):
    golden, loss, parts, _ = official_step
    np.testing.assert_allclose(loss, golden["train/loss"], rtol=1e-4)
    for ours, theirs in zip(parts, golden["train/parts_ce_distill_mse"], strict=True):
        np.testing.assert_allclose(float(ours["cross_entropy"]), theirs[0], rtol=1e-4)
        np.testing.assert_allclose(float(ours["distillation"]), theirs[1], rtol=1e-4)
        rest = float(ours["loss"] - ours["cross_entropy"] - 0.01 * ours["distillation"])
        np.testing.assert_allclose(rest, 0.01 * theirs[2], rtol=1e-4, atol=1e-6)


# A constant in front of a batch normalization is subtracted again with the batch mean: its true
# gradient is zero and what remains is rounding. These are the biases of both front-end
# convolutions (front_end.0, front_end.3) and of each block's memory filter (memory.0) and two
# pointwise layers (fc_trans.0, fc_trans.4), and the last threshold of the layers without padding
# after binarization. Likewise a factor is divided out again, but for the normalization's epsilon:
# the gradient with respect to the window of real (pointwise) weights is nearly zero.
def cancelled(name):
    """Share of the gradient of a layer's weights that rounding may leave; None: no such case."""
    module, parameter = module_and_parameter(name)
    if parameter == "bias" and module.endswith(
        ("front_end.0", "front_end.3", "memory.0", "fc_trans.0", "fc_trans.4")
    ):
        return 2e-4
    if parameter == "channel_threshold_2" and module.startswith("backbone"):
        return 2e-4
    if parameter == "quant3.alpha" and module.endswith(("fc_trans.0", "fc_trans.4")):
        return 1e-5
    return None


def test_gradient_parity(official_step):
    golden, _, _, gradients = official_step
    expected = load(golden, "train/grad/")
    expected = {n: g for n, g in expected.items() if ".bn3." not in n and ".act3." not in n}
    compared = set()
    for name, gradient in expected.items():
        path = our_path(name)
        compared.add(path)
        ours = gradients[path]
        ours = np.zeros(gradient.shape) if ours is None else to_torch(path, np.asarray(ours))
        assert ours.shape == gradient.shape, name
        error = np.abs(ours - gradient).max()
        share = cancelled(name)
        if share is None:
            assert error <= 1e-3 * max(np.abs(gradient).max(), 1e-6), (name, error)
        else:
            weights = expected[f"{module_and_parameter(name)[0]}.weight"]
            assert error <= share * np.abs(weights).max(), (name, error)
    for path in set(gradients) - compared:
        # Normalizations of switches that skip the block.
        assert gradients[path] is None, path
    assert len(compared) == len(expected) > 150
