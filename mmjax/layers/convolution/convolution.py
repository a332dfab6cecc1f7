"""A convolution whose gradients are as fast in a loop as outside of it on CPUs.

XLA's CPU compiler converts convolutions to the layout of its fast kernels, but not inside loops: in
a `jax.lax.scan` the gradient of a kernel takes more than a hundred times as long
(experiments/benchmarks/README.md, "In a loop"). Here both gradients are written in that layout.
Other devices use XLA's own gradients.
"""

import functools
import itertools
import operator
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Float, Shaped

from mmjax.layers.tracing.forward_mode import in_either_mode
from mmjax.layers.tracing.precision import in_kernel_dtype
from mmjax.types import AnyArray


class Window(NamedTuple):
    """Strides, padding and dilation of a convolution, for each axis of space."""

    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]  # before, after
    dilation: tuple[int, ...]  # of the kernel


class Conv(nn.Module):
    """y = x * K + b over any number of axes of space, in the type of its kernel.

    The parameters and results of linen's `Conv`, with gradients that are fast in loops on CPUs.
    `jax.jvp` needs `mmjax.layers.tracing.forward_mode`.
    """

    features: int
    kernel_size: Sequence[int]
    strides: int = 1
    padding: str | Sequence[tuple[int, int]] = "SAME"  # or "VALID", "CAUSAL", (before, after) pairs
    dilation: int = 1
    use_bias: bool = True
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(
        self, x: Shaped[AnyArray, "batch *space channel"]
    ) -> Float[Array, "batch *results features"]:
        shape = (*self.kernel_size, x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape)
        bias = None
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros, (self.features,))
        x, kernel, bias = in_kernel_dtype(x, kernel, bias)
        axes = len(self.kernel_size)
        strides, dilation = (self.strides,) * axes, (self.dilation,) * axes
        sizes, padding = _dilated(self.kernel_size, dilation), self.padding
        if padding == "CAUSAL":
            padding = [(size - 1, 0) for size in sizes]
        elif isinstance(padding, str):
            padding = jax.lax.padtype_to_pads(x.shape[1:-1], sizes, strides, padding)
        y = convolve(x, kernel, Window(strides, tuple((a, b) for a, b in padding), dilation))
        return y if bias is None else y + jnp.reshape(bias, (1,) * (y.ndim - 1) + (-1,))


def convolve(
    x: Float[AnyArray, "batch *space channel"],
    kernel: Float[AnyArray, "*window channel features"],
    window: Window,
) -> Float[Array, "batch *results features"]:
    """`jax.lax.conv_general_dilated`, channels last."""
    return in_either_mode(_convolved, jnp.asarray(x), jnp.asarray(kernel), window)


def _plain(x: Array, kernel: Array, window: Window, spread: Sequence[int] | None = None) -> Array:
    """A convolution in the layout of XLA's fast kernels; `spread` is the dilation of the input."""
    sizes, reach = x.shape[1:-1], _dilated(kernel.shape[:-2], window.dilation)
    before = [pair[0] for pair in window.padding]
    if any(map(operator.lt, sizes, reach)) or min(before, default=0) < 0:
        # Pad first, behind a barrier that keeps XLA from merging the padding again. If XLA pads
        # (jaxlib 0.10.2), it swaps input and kernel where the input is the smaller one, which is 80
        # times slower on CPUs at the end of a ResNet. It also reads past the end of an axis that is
        # cropped before and padded after, as gradients of inputs may require.
        steps = spread or (1,) * len(sizes)
        pads = [(*pair, step - 1) for pair, step in zip(window.padding, steps, strict=True)]
        x = jax.lax.optimization_barrier(
            jax.lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *pads, (0, 0, 0)])
        )
        window, spread = window._replace(padding=((0, 0),) * len(sizes)), None
    space = tuple(range(1, x.ndim - 1))
    outside = 0, x.ndim - 1, *space
    inside = x.ndim - 1, x.ndim - 2, *(axis - 1 for axis in space)
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        window.strides,
        window.padding,
        lhs_dilation=spread,
        rhs_dilation=window.dilation,
        dimension_numbers=jax.lax.ConvDimensionNumbers(outside, inside, outside),
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _convolved(x: Array, kernel: Array, window: Window) -> Array:
    return _plain(x, kernel, window)


def _forward(x: Array, kernel: Array, window: Window) -> tuple[Array, tuple[Array, Array]]:
    return _plain(x, kernel, window), (x, kernel)


def _backward(window: Window, kept: tuple[Array, Array], grad: Array) -> tuple[Array, Array]:
    def laid_out(x: Array, kernel: Array, grad: Array) -> tuple[Array, Array]:
        if kernel.size > x.size:  # transposing the kernel would take longer than the product
            return jax.vjp(lambda x, kernel: _product(x, kernel, window), x, kernel)[1](grad)
        return _of_input(x, kernel, grad, window), _of_kernel(x, kernel, grad, window)

    def by_xla(x: Array, kernel: Array, grad: Array) -> tuple[Array, Array]:
        of_input = jax.linear_transpose(lambda x: _plain(x, kernel, window), x)
        of_kernel = jax.linear_transpose(lambda kernel: _plain(x, kernel, window), kernel)
        return *of_input(grad), *of_kernel(grad)

    x, kernel = kept
    if not grad.size:
        return jnp.zeros_like(x), jnp.zeros_like(kernel)
    return jax.lax.platform_dependent(x, kernel, grad, cpu=laid_out, default=by_xla)


_convolved.defvjp(_forward, _backward)


def _product(x: Array, kernel: Array, window: Window) -> Array:
    """The convolution as one matrix product; a row holds the receptive field of a result."""
    strides, padding, dilation = window
    x = jax.lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *((*p, 0) for p in padding), (0, 0, 0)])
    reach = _dilated(kernel.shape[:-2], dilation)
    ends = [size - width + 1 for size, width in zip(x.shape[1:-1], reach, strict=True)]
    seen = []
    for place in itertools.product(*map(range, kernel.shape[:-2])):
        begins = map(operator.mul, place, dilation)
        axes = zip(begins, ends, strides, strict=True)
        seen.append(x[:, *(slice(begin, begin + end, step) for begin, end, step in axes)])
    return jnp.concatenate(seen, axis=-1) @ jnp.reshape(kernel, (-1, kernel.shape[-1]))


def _of_input(x: Array, kernel: Array, grad: Array, window: Window) -> Array:
    """The gradient of the input: the results' one, dilated, convolved with the flipped kernel."""
    strides, padding, dilation = window
    axes = tuple(range(len(strides)))
    reach = [size - 1 for size in _dilated(kernel.shape[:-2], dilation)]
    size = _dilated(grad.shape[1:-1], strides)
    before = [reach[i] - padding[i][0] for i in axes]
    after = [x.shape[1 + i] + reach[i] - size[i] - before[i] for i in axes]
    around = Window((1,) * len(axes), tuple(zip(before, after, strict=True)), dilation)
    flipped = jnp.swapaxes(jnp.flip(kernel, axes), -1, -2)
    return _plain(grad, flipped, around, strides)


def _of_kernel(x: Array, kernel: Array, grad: Array, window: Window) -> Array:
    """The gradient of the kernel: the input convolved with that of the results."""
    strides, padding, dilation = window
    space = tuple(range(1, x.ndim - 1))
    reach = [size - 1 for size in _dilated(kernel.shape[:-2], dilation)]
    size = _dilated(grad.shape[1:-1], strides)
    after = [reach[i - 1] + size[i - 1] - x.shape[i] - padding[i - 1][0] for i in space]
    around = tuple((before, after[i]) for i, (before, _) in enumerate(padding))
    inputs = jnp.transpose(x, (x.ndim - 1, *space, 0))  # [channel, *space, batch]
    grads = jnp.transpose(grad, (*space, 0, x.ndim - 1))  # [*results, batch, features]
    gradient = _plain(inputs, grads, Window(dilation, around, strides))
    return jnp.transpose(gradient, (*space, 0, x.ndim - 1))  # from [channel, *window, features]


def _dilated(sizes: Sequence[int], steps: Sequence[int]) -> list[int]:
    """The extent of each axis after dilation by `steps`."""
    return [(size - 1) * step + 1 for size, step in zip(sizes, steps, strict=True)]
