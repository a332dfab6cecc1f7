"""A convolution whose gradients CPUs compute as fast in a loop as outside of it.

XLA's compiler for CPUs turns convolutions into the one layout that its fast kernels take, but not
inside loops: in a `jax.lax.scan` the gradient of a kernel falls back on code that takes a hundred
times as long (experiments/benchmarks/README.md, "In a loop"). Here both gradients are written in
that layout. Other devices compute XLA's own.
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from mmjax.layers.precision import in_kernel_dtype


class Window(NamedTuple):
    """How a kernel passes over its input, by axis of space."""

    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]  # before, after
    dilation: tuple[int, ...]  # of the kernel


def convolve(
    x: Array,
    kernel: Array,
    strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    *,
    lhs_dilation: Sequence[int],
    rhs_dilation: Sequence[int],
    feature_group_count: int,
    **settings: Any,
) -> Array:
    """`jax.lax.conv_general_dilated` of `[batch, *space, in]` and `[*window, in, out]`.

    As linen calls it. Groups and a dilated input have XLA's gradients on every device.
    """
    if feature_group_count != 1 or any(step != 1 for step in lhs_dilation):
        settings |= {"lhs_dilation": lhs_dilation, "rhs_dilation": rhs_dilation}
        settings |= {"feature_group_count": feature_group_count}
        return jax.lax.conv_general_dilated(x, kernel, strides, padding, **settings)
    sizes = _spread(kernel.shape[:-2], rhs_dilation)
    if isinstance(padding, str):
        padding = jax.lax.padtype_to_pads(x.shape[1:-1], sizes, strides, padding)
    pairs = tuple((int(before), int(after)) for before, after in padding)
    if any(not 0 <= before < size for (before, _), size in zip(pairs, sizes, strict=True)):
        # A negative width before an axis with a positive one after it: XLA's fast kernels for
        # CPUs read past the array (jaxlib 0.10.2). Here, or in the gradient of the input.
        x = jax.lax.pad(
            x, jnp.zeros((), x.dtype), [(0, 0, 0), *((*p, 0) for p in pairs), (0, 0, 0)]
        )
        pairs = ((0, 0),) * len(pairs)
    return _convolved(x, kernel, Window(tuple(strides), pairs, tuple(rhs_dilation)))


class Conv(nn.Conv):
    """linen's, in the type of its kernel, with gradients that are fast in loops on CPUs."""

    promote_dtype: Any = in_kernel_dtype
    conv_general_dilated_cls: Any = lambda: convolve


def _plain(x: Array, kernel: Array, window: Window, spread: Sequence[int] | None = None) -> Array:
    """Channels last, the input `spread` out: the layout of XLA's fast kernels."""
    space = "DHW"[-len(window.strides) :]
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        window.strides,
        window.padding,
        lhs_dilation=spread,
        rhs_dilation=window.dilation,
        dimension_numbers=(f"N{space}C", f"{space}IO", f"N{space}C"),
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _convolved(x: Array, kernel: Array, window: Window) -> Array:
    return _plain(x, kernel, window)


def _forward(x: Array, kernel: Array, window: Window) -> tuple[Array, tuple[Array, Array]]:
    return _plain(x, kernel, window), (x, kernel)


def _backward(window: Window, kept: tuple[Array, Array], out: Array) -> tuple[Array, Array]:
    def ours(x: Array, kernel: Array, out: Array) -> tuple[Array, Array]:
        return _of_input(x, kernel, out, window), _of_kernel(x, kernel, out, window)

    def by_xla(x: Array, kernel: Array, out: Array) -> tuple[Array, Array]:
        of_input = jax.linear_transpose(lambda x: _plain(x, kernel, window), x)
        of_kernel = jax.linear_transpose(lambda kernel: _plain(x, kernel, window), kernel)
        return *of_input(out), *of_kernel(out)

    return jax.lax.platform_dependent(*kept, out, cpu=ours, default=by_xla)


_convolved.defvjp(_forward, _backward)


def _of_input(x: Array, kernel: Array, out: Array, window: Window) -> Array:
    """The gradient `out` of the results, spread by the strides, under the kernel turned round."""
    strides, padding, dilation = window
    axes = tuple(range(len(strides)))
    reach = [size - 1 for size in _spread(kernel.shape[:-2], dilation)]
    given = _spread(out.shape[1:-1], strides)
    before = [reach[i] - padding[i][0] for i in axes]
    after = [x.shape[1 + i] + reach[i] - given[i] - before[i] for i in axes]
    around = Window((1,) * len(axes), tuple(zip(before, after, strict=True)), dilation)
    turned = jnp.swapaxes(jnp.flip(kernel, axes), -1, -2)
    return _plain(out, turned, around, strides)


def _of_kernel(x: Array, kernel: Array, out: Array, window: Window) -> Array:
    """The input under the gradient `out` of the results: batch and channels change places."""
    strides, padding, dilation = window
    space = tuple(range(1, x.ndim - 1))
    reach = [size - 1 for size in _spread(kernel.shape[:-2], dilation)]
    given = _spread(out.shape[1:-1], strides)
    after = [reach[i - 1] + given[i - 1] - x.shape[i] - padding[i - 1][0] for i in space]
    around = tuple((before, after[i]) for i, (before, _) in enumerate(padding))
    inputs = jnp.transpose(x, (x.ndim - 1, *space, 0))  # [in, *space, batch]
    outs = jnp.transpose(out, (*space, 0, x.ndim - 1))  # [*space, batch, out]
    found = _plain(inputs, outs, Window(dilation, around, strides))  # [in, *window, out]
    return jnp.transpose(found, (*space, 0, x.ndim - 1))


def _spread(sizes: Sequence[int], steps: Sequence[int]) -> list[int]:
    """What an axis takes whose places lie `steps` apart."""
    return [(size - 1) * step + 1 for size, step in zip(sizes, steps, strict=True)]
