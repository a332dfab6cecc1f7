"""Gradients of a convolution on a CPU, two in a row: written out, and in a loop.

python experiments/benchmarks/loops.py
"""

import functools
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from mmjax.devices import parallel
from mmjax.layers.convolution.convolution import Conv

BATCH, SIDE, CHANNELS, FEATURES = (
    16,
    28,
    32,
    64,
)  # the tutorial network's second one; 16 of its 128 examples


def main() -> None:
    """Print a table of milliseconds, the fastest of five calls each."""
    parallel.keep_memory()
    x = np.random.default_rng(0).standard_normal((2, BATCH, SIDE, SIDE, CHANNELS), np.float32)
    print("| | forward, input's gradient | forward, kernel's | the same in a loop | |")
    print("| --- | --- | --- | --- | --- |")
    for name, conv in {"linen's `nn.Conv`": nn.Conv, "`Conv`": Conv}.items():
        layer = conv(FEATURES, (3, 3))
        variables = layer.init(jax.random.key(0), x[0])
        cells = [
            _milliseconds(
                functools.partial(repeat, functools.partial(gradient, layer, variables)), x
            )
            for repeat in (_written_out, jax.lax.map)
            for gradient in (_of_input, _of_kernel)
        ]
        print(f"| {name} | " + " | ".join(f"{cell:.1f}" for cell in cells) + " |", flush=True)


def _written_out(function: Callable, given: jax.Array) -> jax.Array:
    return jnp.stack([function(x) for x in given])


def _of_input(layer: nn.Module, variables: dict, x: jax.Array) -> jax.Array:
    out, back = jax.vjp(lambda x: layer.apply(variables, x), x)
    return back(out)[0]


def _of_kernel(layer: nn.Module, variables: dict, x: jax.Array) -> jax.Array:
    out, back = jax.vjp(lambda variables: layer.apply(variables, x), variables)
    return back(out)[0]["params"]["kernel"]


def _milliseconds(function: Callable, *given: object) -> float:
    options = parallel.compiler_options(parallel.mesh_of(1))
    compiled = jax.jit(function, compiler_options=options)
    jax.block_until_ready(compiled(*given))
    seconds = []
    for _ in range(5):
        begin = time.perf_counter()
        jax.block_until_ready(compiled(*given))
        seconds.append(time.perf_counter() - begin)
    return 1e3 * min(seconds)


if __name__ == "__main__":
    main()
