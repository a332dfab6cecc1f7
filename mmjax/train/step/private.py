"""The private gradient of a batch: DP-SGD, Abadi et al. 2016, arXiv:1607.00133.

g = (sum_i g_i min(1, C / |g_i|) + N(0, s^2 C^2)) / B

g_i is the gradient of all parameters by the loss of example i alone, C the largest norm, s the
noise and B the expected number of examples: nothing here depends on how many were drawn. An
objective that counts words takes the mean of each example's own.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from mmjax.errors import MissingPackageError
from mmjax.train.step.gradient import Differentiate, Forward, Gradient, Inputs, Rule, Total

Noise = Callable[[Any, Array], Any]  # gradients, key -> gradients


def clipped(clip: float, batch_size: int, microbatch: int) -> Rule:
    """The rule that sums clipped gradients, `microbatch` examples of a device at a time.

    Gradients that are NaN or infinite count as 0.

    Raises:
        MissingPackageError: jax-privacy is not installed.
    """
    try:
        from jax_privacy import clipping
    except ModuleNotFoundError as error:
        raise missing(error) from None
    gradient = functools.partial(
        clipping.clipped_grad,
        has_aux=True,
        l2_clip_norm=clip,
        normalize_by=float(batch_size),
        batch_argnums=1,
        return_values=True,
        microbatch_size=microbatch,
        prng_argnum=2,
    )

    def rule(
        forward: Forward, total: Total, inputs: Inputs, differentiate: Differentiate = jax.grad
    ) -> Gradient:
        del differentiate  # a balance that needs the gradient of each task is refused
        params, collections, batch, key = inputs

        def loss_of(params, example, key):
            means, _ = forward(params, collections, example, key)
            return total(means), means

        # strict promotion does not know the package's own arithmetic
        with jax.numpy_dtype_promotion("standard"):
            grads, each = gradient(loss_of)(
                params, batch, key, is_padding_example=jnp.asarray(batch.weight) == 0
            )
        counted = jnp.asarray(batch.weight) > 0
        losses = jnp.where(counted & jnp.isfinite(each.values), each.values, 0.0)
        means = jax.tree.map(lambda x: jnp.sum(x, axis=0), each.aux)
        return Gradient(grads, jnp.sum(losses) / batch_size, means, collections)

    return rule


def gaussian(noise: float, clip: float, batch_size: int) -> Noise:
    """Adds N(0, (noise * clip / batch_size)^2) to every number of a gradient."""
    deviation = noise * clip / batch_size

    def noisy(grads: Any, key: Array) -> Any:
        leaves, tree = jax.tree.flatten(grads)
        keys = jax.random.split(key, len(leaves))
        return tree.unflatten(
            x + jnp.asarray(deviation, x.dtype) * jax.random.normal(one, x.shape, x.dtype)
            for x, one in zip(leaves, keys, strict=True)
        )

    return noisy


def missing(error: ModuleNotFoundError) -> MissingPackageError:
    """What to install."""
    return MissingPackageError(
        f"--private needs an extra: pip install 'mmjax[dp]' ({error.name} is missing)"
    )
