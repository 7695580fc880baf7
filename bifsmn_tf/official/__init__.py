"""The official PyTorch networks: their checkpoints and weights, carried over to ours."""

from bifsmn_tf.official.checkpoint import read_checkpoint
from bifsmn_tf.official.sizes import make_model
from bifsmn_tf.official.state import load_state

__all__ = ["load_state", "make_model", "read_checkpoint"]
