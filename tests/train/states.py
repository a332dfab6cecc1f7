"""A state of a few small arrays, for the tests of what is stored: no model, nothing to compile."""

import jax.numpy as jnp
import numpy as np

from mmjax.models.train_state import TrainState


def state(step, *, average=False, width=3):
    """Every array depends on the step."""
    rng = np.random.default_rng(step)

    def draw(*shape):
        return jnp.asarray(rng.normal(size=shape), jnp.float32)

    params = {"encoder": {"kernel": draw(width, 4), "bias": draw(4)}, "head": {"scale": draw()}}
    return TrainState(
        step=jnp.int32(step),
        params=params,
        collections={"batch_stats": {"encoder": {"mean": draw(4).astype(jnp.bfloat16)}}},
        opt_state=({"mu": draw(width, 4)}, (), jnp.int32(step)),
        key=jnp.array([1, step], jnp.uint32),
        average={"encoder": {"kernel": draw(width, 4), "bias": draw(4)}, "head": {"scale": draw()}}
        if average
        else None,
        balance={"weights": draw(3), "step": jnp.int32(step)} if average else None,
    )
