"""Floating-point operations of a function, counted from its program before anything runs.

XLA's own count takes a loop for one turn of it: an LSTM over 400 words would cost what one word
costs. Here a scan counts as often as it turns. Counted are products of matrices and convolutions, a
multiplication with its addition as 2, and Fourier transforms as 5/2 n log2 n for n real numbers, as
papers do; what acts number by number is left out.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
from jax.extend import core
from jax.interpreters import partial_eval


def flops(function: Callable, *args: Any) -> int:
    """Of one call. The arguments may be shapes; a loop whose length only data tells counts once.

    What no result depends on is left out, as a compiler leaves it.
    """
    return _of(wanted(function, *args))


def wanted(function: Callable, *args: Any) -> core.Jaxpr:
    """Its program without what no result depends on."""
    program = jax.make_jaxpr(function)(*args).jaxpr
    return partial_eval.dce_jaxpr(program, [True] * len(program.outvars))[0]


def _of(jaxpr: core.Jaxpr) -> int:
    return sum(_of_equation(equation) for equation in jaxpr.eqns)


def _of_equation(equation: core.JaxprEqn) -> int:
    match equation.primitive.name:
        case "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            left, out = equation.invars[0].aval, equation.outvars[0].aval
            return 2 * _size(out) * math.prod(_shape(left)[axis] for axis in contracted)
        case "conv_general_dilated":
            kernel, out = equation.invars[1].aval, equation.outvars[0].aval
            features = equation.params["dimension_numbers"].rhs_spec[0]
            # A result is a sum over the window and over the input channels of its group.
            return 2 * _size(out) * _size(kernel) // _shape(kernel)[features]
        case "fft":
            lengths = equation.params["fft_lengths"]
            real = min(_size(equation.invars[0].aval), _size(equation.outvars[0].aval))
            transforms = real // (math.prod(lengths[:-1]) * (lengths[-1] // 2 + 1))
            return round(2.5 * transforms * math.prod(lengths) * math.log2(math.prod(lengths)))
        case "cond":
            return max(_of(branch.jaxpr) for branch in equation.params["branches"])
    turns = equation.params["length"] if equation.primitive.name == "scan" else 1
    return turns * sum(_of(jaxpr) for jaxpr in _inner(equation))


def _inner(equation: core.JaxprEqn) -> list[core.Jaxpr]:
    """The programs that an operation calls."""
    found = []
    for value in equation.params.values():
        if isinstance(value, core.ClosedJaxpr):
            found.append(value.jaxpr)
        elif isinstance(value, core.Jaxpr):
            found.append(value)
    return found


def _shape(aval: Any) -> tuple[int, ...]:
    return aval.shape


def _size(aval: Any) -> int:
    return math.prod(aval.shape)
