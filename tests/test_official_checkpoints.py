"""Official networks from their weights alone: kind, sizes, labels; checkpoints of PyTorch."""

import pathlib
import pickle
import sys
import types

import numpy as np
import pytest
from test_official import TINY, random_state

from bifsmn_tf import models, official

S = {"variant": "S", "num_blocks": 4}
NETWORKS = {
    "v1": lambda: models.BiFSMN(12, **S, weight_scale="official"),
    "v2": lambda: models.BiFSMNv2(20, **S, weight_scale="official"),
    "tiny": lambda: models.BiFSMNv2(5, **TINY, weight_scale="official"),
    "teacher": lambda: models.DFSMN(35, **S),
    "plain": lambda: models.DFSMN(12, **S, activation="relu"),
    "non_thinnable": lambda: models.BiFSMN(
        12, **S, switches=(1.0,), look_back=3, look_ahead=3, weight_scale="official"
    ),
}


@pytest.mark.parametrize("kind", NETWORKS)
def test_kind_and_sizes_are_found_in_the_weights(kind):
    original = NETWORKS[kind]()
    state = random_state(original)
    found = official.make_model({f"module.{name}": value for name, value in state.items()})
    assert type(found) is type(original)
    ours, theirs = found.get_config(), original.get_config()
    for config in (ours, theirs):
        del config["labels"], config["name"]
    assert ours == theirs
    official.load_state(found, state)
    official.load_state(original, state)
    x = np.random.default_rng(0).normal(size=(2, found.num_mels, found.num_frames, 1))
    for thin in original.switches:
        np.testing.assert_array_equal(
            found(x.astype(np.float32), thin=thin), original(x.astype(np.float32), thin=thin)
        )


def test_labels():
    labels = official.make_model(random_state(NETWORKS["v1"]())).labels
    assert labels[:4] == ["_unknown_", "_silence_", "yes", "no"] and len(labels) == 12
    assert official.make_model(random_state(NETWORKS["v2"]())).labels[10] == "zero"
    assert official.make_model(random_state(NETWORKS["teacher"]())).labels[0] == "backward"
    state = random_state(NETWORKS["tiny"]())
    assert official.make_model(state).labels is None
    assert official.make_model(state, labels="abcde").labels == list("abcde")


def with_fourth_switch(state, blocks):
    extra = {}
    for name, value in state.items():
        for part in ("bn", "act"):
            if f".{part}0." in name:
                extra[name.replace(f".{part}0.", f".{part}3.")] = value
    return {**state, **extra}


def test_number_of_switches():
    original = models.BiFSMN(4, **{**TINY, "num_blocks": 8})
    state = with_fourth_switch(random_state(original), 8)
    assert official.make_model(state).switches == (1.0, 0.5, 0.25)
    four = official.make_model(state, num_switches=4)
    assert four.switches == (1.0, 0.5, 0.25, 0.125)
    official.load_state(four, state)
    one = official.make_model(state, num_switches=1)
    official.load_state(one, state)
    for wrong in (0, 5, 1.0):
        with pytest.raises(ValueError, match="integer from 1 to 4.*Received: num_switches"):
            official.make_model(state, num_switches=wrong)
    # Four blocks have no eighth.
    short = with_fourth_switch(random_state(models.BiFSMN(4, **TINY)), 4)
    with pytest.raises(ValueError, match="integer from 1 to 3"):
        official.make_model(short, num_switches=4)


def test_options():
    state = random_state(NETWORKS["v1"]())
    assert official.make_model(state, weight_scale="channel").weight_scale == "channel"
    plain = random_state(models.DFSMN(12, **S, activation="prelu"))
    assert type(official.make_model(plain)) is models.BiFSMN
    real = official.make_model(plain, real=True)
    assert type(real) is models.DFSMN and real.activation == "prelu"
    with pytest.raises(ValueError, match="Thresholds.*Received: real=True"):
        official.make_model(random_state(NETWORKS["v2"]()), real=True)
    with pytest.raises(ValueError, match="float network has one switch.*Received"):
        official.make_model(random_state(NETWORKS["teacher"]()), num_switches=2)


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("front_end.0.weight", None, "front_end.0.weight with 4.*Received: no such parameter"),
        ("fc1.0.weight", np.zeros(3), "fc1.0.weight with 2.*Received: shape"),
        ("fc1.0.weight", np.zeros((6, 11)), "fit each other. Received: fc1.0.weight"),
        ("classifier.1.weight", np.zeros((4, 25)), "fit each other"),
        ("backbone.0.memory.0.weight", np.zeros((6, 1, 4)), "4 memory taps"),
    ],
)
def test_states_of_something_else(name, value, message):
    state = random_state(models.BiFSMN(4, **TINY))
    if value is None:
        del state[name]
    else:
        state[name] = value
    with pytest.raises(ValueError, match=message):
        official.make_model(state)


# --- the checkpoint -----------------------------------------------------------------------------


class Tensor:
    """As much of a torch.Tensor as is used."""

    def __init__(self, value):
        self.value = np.asarray(value)

    def detach(self):
        return self

    def to(self, dtype):
        return Tensor(self.value.astype(dtype))

    def __array__(self, dtype=None, copy=None):
        return self.value


@pytest.fixture
def torch(monkeypatch):
    """A torch that knows one file, whose content is `torch.content`."""

    def load(path, map_location, weights_only):
        assert map_location == "cpu" and weights_only is True
        if isinstance(torch.content, Exception):
            raise torch.content
        return torch.content

    torch = types.SimpleNamespace(Tensor=Tensor, float32=np.float32, load=load, content=None)
    monkeypatch.setitem(sys.modules, "torch", torch)
    return torch


def tensors(state):
    return {name: Tensor(value.astype(np.float64)) for name, value in state.items()}


@pytest.mark.parametrize("key", [None, "state_dict", "model"])
def test_checkpoint(torch, key):
    state = {"a.weight": np.ones((2, 3)), "a.num_batches_tracked": np.array(7)}
    bare = tensors(state)
    torch.content = bare if key is None else {"epoch": 3, key: bare}
    result = official.read_checkpoint("some.pth")
    assert set(result) == set(state)
    np.testing.assert_array_equal(result["a.weight"], state["a.weight"])
    assert result["a.weight"].dtype == np.float32


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, [1], None, {1: Tensor(1)}])
def test_checkpoint_without_a_state(torch, content):
    torch.content = content
    with pytest.raises(ValueError, match="some.pth should hold a state_dict.*Received"):
        official.read_checkpoint("some.pth")


def test_checkpoint_with_code_in_it(torch):
    torch.content = pickle.UnpicklingError(
        "Weights only load failed.\nUnsupported global: GLOBAL pathlib.Path was not an allowed"
    )
    with pytest.raises(ValueError, match="tensors only.*Received: an object pathlib.Path$"):
        official.read_checkpoint("some.pth")
    torch.content = EOFError()
    with pytest.raises(ValueError, match="tensors only.*Received: something else$"):
        official.read_checkpoint("some.pth")


def test_checkpoint_without_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match="needs torch.*pip install torch"):
        official.read_checkpoint("some.pth")


def test_checkpoint_by_torch_itself(tmp_path):
    torch = pytest.importorskip("torch")
    state = random_state(models.BiFSMNv2(4, **TINY))
    content = {name: torch.from_numpy(np.array(value)) for name, value in state.items()}
    torch.save({"state_dict": content, "epoch": 3}, tmp_path / "c.pth")
    result = official.read_checkpoint(tmp_path / "c.pth")
    for name, value in state.items():
        np.testing.assert_array_equal(result[name], value)
    torch.save({"state_dict": content, "path": pathlib.Path("x")}, tmp_path / "code.pth")
    (tmp_path / "text.pth").write_text("hello")
    for name, received in (("code.pth", "an object pathlib"), ("text.pth", "something else")):
        with pytest.raises(ValueError, match=f"tensors only.*Received: {received}"):
            official.read_checkpoint(tmp_path / name)
