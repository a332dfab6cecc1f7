"""Forward-mode differentiation (`jax.jvp`, `jax.jacfwd`) of layers with hand-written gradients.

Convolutions and recurrent layers have a backward pass of their own (`jax.custom_vjp`), which is
faster on CPUs, and JAX allows no forward mode through it. `with forward_mode(): ...` traces the
same equations without it, so that both modes work:

    with forward_mode():
        tokens, tangent = jax.jvp(encode, (params,), (direction,))

Inside `jax.jit` JAX raises its own error only when it compiles, and that one cannot name this
switch. Reverse mode, and forward over reverse (`jax.hessian`), need no switch.
"""

import inspect
from collections.abc import Callable
from typing import Any

from jax import Array

from mmjax.layers.tracing.switch import Switch

forward_mode = Switch("forward_mode")


def in_either_mode(function: Callable, *args: Any) -> Array:
    """function(*args); within `forward_mode` without its gradient.

    Raises:
        TypeError: forward-mode differentiation outside of `forward_mode`.
    """
    if forward_mode:
        return inspect.unwrap(function)(*args)
    try:
        return function(*args)
    except TypeError as error:
        if "forward-mode" not in str(error):
            raise
        raise TypeError(
            "forward-mode differentiation of a layer with a hand-written gradient: use "
            "`with mmjax.layers.tracing.forward_mode.forward_mode(): ...`"
        ) from error
