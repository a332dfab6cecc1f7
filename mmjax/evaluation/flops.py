"""Counts the floating-point operations of a function from its program, without running it.

XLA's own count takes one iteration of a loop; here a scan counts as often as it iterates. Counted
are matrix products and convolutions (2 for a multiplication and an addition) and Fourier transforms
(5/2 n log2 n for n real numbers), as is usual in papers. Elementwise operations are not counted.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
from jax.extend import core
from jax.interpreters import partial_eval


def flops(function: Callable, *args: Any) -> int:
    """Operations of one call, without those that no result needs.

    Arguments may be shapes. A `while` loop counts once.
    """
    return _count(wanted(function, *args))


def wanted(function: Callable, *args: Any) -> core.Jaxpr:
    """The program of a function, without operations that no result needs."""
    program = jax.make_jaxpr(function)(*args).jaxpr
    return partial_eval.dce_jaxpr(program, [True] * len(program.outvars))[0]


def _count(jaxpr: core.Jaxpr) -> int:
    return sum(_count_equation(equation) for equation in jaxpr.eqns)


def _count_equation(equation: core.JaxprEqn) -> int:
    given: list[Any] = [var.aval for var in equation.invars]
    result: Any = equation.outvars[0].aval if equation.outvars else None
    match equation.primitive.name:
        case "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            return 2 * result.size * math.prod(given[0].shape[axis] for axis in contracted)
        case "conv_general_dilated":
            features = equation.params["dimension_numbers"].rhs_spec[0]
            # Each result is a sum over the window and the input channels of its group.
            return 2 * result.size * given[1].size // given[1].shape[features]
        case "fft":
            lengths = equation.params["fft_lengths"]
            real = min(given[0].size, result.size)
            transforms = real // (math.prod(lengths[:-1]) * (lengths[-1] // 2 + 1))
            return round(2.5 * transforms * math.prod(lengths) * math.log2(math.prod(lengths)))
        case "cond":
            return max(_count(branch.jaxpr) for branch in equation.params["branches"])
    iterations = equation.params["length"] if equation.primitive.name == "scan" else 1
    inner = [getattr(value, "jaxpr", value) for value in equation.params.values()]
    return iterations * sum(_count(jaxpr) for jaxpr in inner if isinstance(jaxpr, core.Jaxpr))
