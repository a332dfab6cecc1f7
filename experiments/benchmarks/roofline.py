"""What the machine can do at best, measured in the same run, and how much of it a program uses."""

import concurrent.futures
import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from mmjax.devices import parallel
from mmjax.evaluation.flops import flops, wanted

PRODUCT, COPIED = 2048, 2**28  # rows of the matrices; bytes


class Machine(NamedTuple):
    """Rates on all cores."""

    flops: float  # of a product of float32 matrices, operations a second
    bandwidth: float  # of a copy, bytes read and written a second


class Work(NamedTuple):
    """What one call of a program takes at least."""

    flops: int  # of products and convolutions
    bytes: int  # arguments and results once, operands and results of products each time

    def times(self, calls: int) -> "Work":
        """That of so many calls."""
        return Work(calls * self.flops, calls * self.bytes)


def measure_machine(rounds: int = 7) -> Machine:
    """The fastest of several rounds: other work on the cores can only slow them down."""
    square = jnp.asarray(np.random.default_rng(0).normal(size=(PRODUCT, PRODUCT)), jnp.float32)
    product = jax.jit(jnp.matmul)
    parts = parallel.cores()
    source, target = np.ones(COPIED, np.uint8), np.empty(COPIED, np.uint8)
    pieces = list(zip(np.split(target, parts), np.split(source, parts), strict=True))
    with concurrent.futures.ThreadPoolExecutor(parts) as pool:
        copying = _fastest(lambda: list(pool.map(lambda piece: np.copyto(*piece), pieces)), rounds)
    multiplying = _fastest(lambda: product(square, square).block_until_ready(), rounds)
    return Machine(2 * PRODUCT**3 / multiplying, 2 * COPIED / copying)


def _fastest(call: Callable[[], object], rounds: int) -> float:
    found = []
    for _ in range(1 + rounds):
        begin = time.perf_counter()
        call()
        found.append(time.perf_counter() - begin)
    return min(found[1:])


def work(function: Callable, *args: Any) -> Work:
    """Of one call, counted from its program: a scan counts as often as it turns."""
    program = wanted(function, *args)
    outside = [*jax.tree.leaves(args), *program.outvars]
    moved = sum(_bytes(variable) for variable in outside) + _products(program)
    return Work(flops(function, *args), moved)


def _products(jaxpr: core.Jaxpr) -> int:
    """Bytes that products and convolutions read and write; the rest a compiler can fuse."""
    total = 0
    for equation in jaxpr.eqns:
        if equation.primitive.name in ("dot_general", "conv_general_dilated"):
            total += sum(_bytes(variable) for variable in (*equation.invars, *equation.outvars))
            continue
        if equation.primitive.name == "cond":
            total += max(_products(branch.jaxpr) for branch in equation.params["branches"])
            continue
        turns = equation.params["length"] if equation.primitive.name == "scan" else 1
        for value in equation.params.values():
            inner = value.jaxpr if isinstance(value, core.ClosedJaxpr) else value
            if isinstance(inner, core.Jaxpr):
                total += turns * _products(inner)
    return total


def _bytes(variable: Any) -> int:
    kind = getattr(variable, "aval", variable)
    return math.prod(kind.shape) * np.dtype(kind.dtype).itemsize if hasattr(kind, "shape") else 0


def share(found: Work, seconds: float, machine: Machine) -> dict[str, float]:
    """The rates reached, as shares of the machine's."""
    return {
        "flops_of_limit": found.flops / seconds / machine.flops,
        "bytes_of_limit": found.bytes / seconds / machine.bandwidth,
    }
