"""InfoNCE of CLIP, Radford et al. 2021, arXiv:2103.00020, with several positives."""

import dataclasses
from typing import final

import jax
import jax.numpy as jnp
from jax import Array

from mmjax.objectives.pairs import Pairs


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class InfoNce(Pairs):
    """loss_i = -mean over positives j of log softmax_j(scale z_i . z_j), both ways, over the batch.

    Several positives as in supervised contrastive learning, Khosla et al. 2020, arXiv:2004.11362.
    """

    def rows(self, cosines: Array, same: Array, counted: Array, scale: Array, bias: Array) -> Array:
        """Cross-entropy with the positives as a uniform distribution."""
        del bias  # softmax does not change with it
        logits = jnp.where(counted, scale * cosines, -jnp.inf)
        # A row without any column that counts has weight 0: its loss must be finite, and is 0.
        whole = jnp.any(same, axis=1)
        logits = jnp.where(whole[:, None], logits, 0.0)
        log_p = jax.nn.log_softmax(logits, axis=1)
        positives = jnp.maximum(jnp.sum(same.astype(jnp.float32), axis=1), 1.0)
        return -jnp.sum(jnp.where(same, log_p, 0.0), axis=1) / positives
