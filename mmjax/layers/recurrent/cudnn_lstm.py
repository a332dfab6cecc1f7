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
    """The results of `lstm`, and its gradient, on an NVIDIA GPU.

    cuDNN takes lengths of at least 1 and no masks. The unmasked tokens are therefore moved to the
    front, and each place reads the state after the last unmasked token up to it: masks may have
    gaps, and a sequence without tokens has states of zeros.

    cuDNN computes in float32 (other types are cast), in TF32 where `jax_default_matmul_precision`
    allows it. JAX cannot vmap the call, as for several seeds on one device, and cannot partition
    it: divide the batch with `pmap`; under `jit` each device would compute the whole batch.

    Returns:
        the state h after each token, and the state after the last token.

    Raises:
        ValueError: inside shard_map, unless its `check_vma` is False, as it is in pmap.
    """
    # Imported here: if the experimental module is removed, the plain LSTM must still work.
    from jax.experimental import rnn

    batch, length, width = x.shape
    dim = recurrent_kernel.shape[0]
    if not length:
        return jnp.zeros((batch, 0, dim), x.dtype), jnp.zeros((batch, dim), x.dtype)
    if reverse:
        x, mask = x[:, ::-1], mask[:, ::-1]
    read = jnp.cumsum(mask, axis=1, dtype=jnp.int32)  # unmasked tokens up to this one
    filled = jnp.arange(length)[None] < read[:, -1:]
    order = jnp.argsort(~mask, axis=1, stable=True)
    packed = jnp.take_along_axis(x, order[:, :, None], axis=1)
    packed = jnp.where(filled[:, :, None], packed, jnp.zeros_like(packed)).astype(jnp.float32)
    zeros = jnp.zeros((1, batch, dim), jnp.float32)
    results: Any = rnn.lstm(
        packed,
        zeros,
        zeros,
        _flat(input_kernel, recurrent_kernel, bias),
        jnp.maximum(read[:, -1], 1),
        input_size=width,
        hidden_size=dim,
        num_layers=1,
        dropout=False,  # annotated as a float, but False in JAX's own example
        bidirectional=False,
    )
    states = results[0]
    if jax.typeof(states[:, :, :1]) != jax.typeof(packed[:, :, :1]):
        # JAX would treat the states as equal on all devices and add up their gradients.
        raise ValueError("cuDNN's LSTM inside shard_map: expected check_vma=False")
    place = jnp.maximum(read - 1, 0)[:, :, None]
    states = jnp.take_along_axis(states.astype(x.dtype), place, axis=1)
    states = jnp.where(read[:, :, None] > 0, states, jnp.zeros_like(states))
    return states[:, ::-1] if reverse else states, states[:, -1]


def _flat(input_kernel: Array, recurrent_kernel: Array, bias: Array) -> Float[Array, "weights"]:
    """The weights in cuDNN's layout: the same order of gates, and a second bias, zeros."""
    parts = (input_kernel.T, recurrent_kernel.T, bias, jnp.zeros_like(bias))
    return jnp.concatenate([jnp.ravel(part) for part in parts]).astype(jnp.float32)
