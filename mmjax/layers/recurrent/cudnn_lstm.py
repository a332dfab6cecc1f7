"""NVIDIA's LSTM through `jax.experimental.rnn`: cuDNN's kernels for `lstm`'s equations.

Chetlur et al. 2014, arXiv:1410.0759. NEVER RUN ON A GPU: the tests put JAX's own reference of the
call, `lstm_ref`, in its place, and trace the call itself, which a CPU cannot run.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float


def cudnn_lstm(
    x: Float[Array, "batch token width"],
    mask: Bool[Array, "batch token"],
    *,
    input_kernel: Float[Array, "width gates"],
    recurrent_kernel: Float[Array, "dim gates"],
    bias: Float[Array, "gates"],
    reverse: bool = False,
) -> tuple[Float[Array, "batch token dim"], Float[Array, "batch dim"]]:
    """What `lstm` computes, and its gradient, on an NVIDIA GPU.

    cuDNN reads the first so many tokens of each sequence: it knows lengths, no masks, and no length
    of 0. So the tokens that are there move to the front, in their order, and each place takes the
    state after the last of them that stands at it or before. Masks may therefore have gaps here as
    well, padding is invisible, and without a token all states are zeros.

    cuDNN computes in float32 (other types are cast, there and back), in TF32 where
    `jax_default_matmul_precision` allows it. JAX knows neither a vmap of it, as several seeds on
    one device are, nor how to split it: let `pmap` divide the batch, under `jit` each device would
    compute all of it.

    Returns:
        the state h after every token (held over padding), and after the last one that was read.

    Raises:
        ValueError: inside shard_map, unless its `check_vma` is False, as it is in pmap.
    """
    # Here, for what is experimental may go: the other way must not go with it.
    from jax.experimental import rnn

    batch, length, width = x.shape
    dim = recurrent_kernel.shape[0]
    if not length:
        return jnp.zeros((batch, 0, dim), x.dtype), jnp.zeros((batch, dim), x.dtype)
    if reverse:
        x, mask = x[:, ::-1], mask[:, ::-1]
    read = jnp.cumsum(mask, axis=1, dtype=jnp.int32)  # so many tokens up to this one
    there = jnp.arange(length)[None] < read[:, -1:]
    order = jnp.argsort(~mask, axis=1, stable=True)
    packed = jnp.take_along_axis(x, order[:, :, None], axis=1)
    packed = jnp.where(there[:, :, None], packed, jnp.zeros_like(packed)).astype(jnp.float32)
    zeros = jnp.zeros((1, batch, dim), jnp.float32)
    found: Any = rnn.lstm(
        packed,
        zeros,
        zeros,
        _flat(input_kernel, recurrent_kernel, bias),
        jnp.maximum(read[:, -1], 1),
        input_size=width,
        hidden_size=dim,
        num_layers=1,
        dropout=False,  # a float by its type, and this in JAX's own example
        bidirectional=False,
    )
    states = found[0]
    if jax.typeof(states[:, :, :1]) != jax.typeof(packed[:, :, :1]):
        # JAX would take the states to be equal on all devices, and add up their gradients.
        raise ValueError("cuDNN's LSTM inside shard_map: expected check_vma=False")
    place = jnp.maximum(read - 1, 0)[:, :, None]
    states = jnp.take_along_axis(states.astype(x.dtype), place, axis=1)
    states = jnp.where(read[:, :, None] > 0, states, jnp.zeros_like(states))
    return states[:, ::-1] if reverse else states, states[:, -1]


def _flat(input_kernel: Array, recurrent_kernel: Array, bias: Array) -> Float[Array, "weights"]:
    """One layer's weights as cuDNN has them: its gates' order is ours, its second bias zeros."""
    parts = (input_kernel.T, recurrent_kernel.T, bias, jnp.zeros_like(bias))
    return jnp.concatenate([jnp.ravel(part) for part in parts]).astype(jnp.float32)
