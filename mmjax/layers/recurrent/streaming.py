"""Recurrent layers that go on where the last samples ended: the state is carried by the caller.

`model.apply(variables, inputs, train=False, mutable=["stream"])` returns what has been carried so
far beside the outputs; given back in `variables`, the next call goes on from there.
"""

from flax import linen as nn
from jax import Array

from mmjax.errors import UserError

STREAM = "stream"
"""The collection of the states that are carried."""


def streaming(module: nn.Module) -> bool:
    """Whether the caller carries states from call to call."""
    return module.is_mutable_collection(STREAM) and not module.is_initializing()


def carried(module: nn.Module, name: str, fresh: Array) -> nn.Variable:
    """The state `name` of a module, `fresh` in the first call."""
    return module.variable(STREAM, name, lambda: fresh)


def require_causal(reverse: bool) -> None:
    """UserError for a layer that reads backwards, which needs the whole series."""
    if reverse:
        raise UserError("streaming: a bidirectional encoder needs the whole series")
