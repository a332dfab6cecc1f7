"""Mean imputation of encoded modalities (Little & Rubin 2002, doi:10.1002/9781119013563)."""

from collections.abc import Mapping
from typing import ClassVar, final

import jax
import jax.numpy as jnp
from flax import linen as nn

from mmjax.layers.tokens.masking import clear, stand_in
from mmjax.layers.tokens.modalities import Vector, pooled
from mmjax.types import Tokens


@final
class TrainingMean(nn.Module):
    """z_m = a running mean of the modality's mean token during training; zeros before the first.

    It is a decaying mean, as encoders change while they learn: t / n with t' = d t + (1 - d) sum_i
    z_i / B, n' = d n + (1 - d) sum_i 1 / B over the examples with the modality. Both are linear in
    the examples, so their averages over devices are those of the global batch.
    """

    mixes_examples: ClassVar[bool] = True

    decay: float = 0.99  # d, per step

    @nn.compact
    def __call__(self, modalities: Mapping[str, Tokens], train: bool) -> dict[str, Tokens]:
        """Returns tokens; every example has at least one of every modality."""
        filled = {}
        for name, vector in pooled(modalities).items():
            tokens = modalities[name]
            mean = self._mean(name, vector, train)
            token = jnp.broadcast_to(mean[None], (tokens.mask.shape[0], mean.shape[0]))
            filled[name] = stand_in(tokens, token, jnp.ones(tokens.mask.shape[0], bool))
        return filled

    def _mean(self, name: str, vector: Vector, train: bool) -> jax.Array:
        """The mean before this batch: an example must not depend on the others of its batch."""
        zeros = nn.initializers.zeros
        value = jax.lax.stop_gradient(vector.value).astype(jnp.float32)
        total = self.variable("statistics", f"total_{name}", zeros, None, value.shape[1:])
        count = self.variable("statistics", f"count_{name}", zeros, None, ())
        mean = total.value / jnp.where(count.value > 0, count.value, jnp.ones_like(count.value))
        if train and self.is_mutable_collection("statistics") and not self.is_initializing():
            new = jnp.mean(clear(value, vector.present), axis=0)
            share = jnp.mean(vector.present.astype(jnp.float32))
            total.value = self.decay * total.value + (1.0 - self.decay) * new
            count.value = self.decay * count.value + (1.0 - self.decay) * share
        return mean.astype(vector.value.dtype)
