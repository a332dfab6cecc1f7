"""Generation from other modalities, MMIN, Zhao 2021, doi:10.18653/v1/2021.acl-long.203."""

from collections.abc import Mapping
from typing import final

import jax
import jax.numpy as jnp
from flax import linen as nn

from mmjax.layers.mlp import Mlp
from mmjax.layers.tokens.masking import stand_in
from mmjax.layers.tokens.modalities import pooled
from mmjax.layers.tracing.auxiliary import add_loss
from mmjax.types import Tokens


@final
class Generated(nn.Module):
    """z_m = mlp_m([z_n; present_n] for n != m), z_n the mean of a modality's tokens.

    The auxiliary loss, mean (mlp_m(...) - stop_gradient(z_m))^2 over the examples that have m and
    another modality, trains mlp_m and the encoders of the others. If all other modalities are
    missing, m stays missing.
    """

    hidden: tuple[int, ...] = (64,)  # widths of the hidden layers of each mlp_m
    weight: float = 1.0  # of the auxiliary losses

    @nn.compact
    def __call__(self, modalities: Mapping[str, Tokens], train: bool) -> dict[str, Tokens]:
        """Returns tokens; with two modalities or more, an example with any of them gets all."""
        vectors = pooled(modalities)
        filled = {}
        for name, (target, present) in vectors.items():
            others = [vector for other, vector in vectors.items() if other != name]
            if not others:
                filled[name] = modalities[name]
                continue
            bits = jnp.stack([other.present for other in others], axis=1)
            known = [other.value for other in others] + [bits.astype(target.dtype)]
            mlp = Mlp(hidden=self.hidden, dim=target.shape[-1], name=f"generate_{name}")
            token = mlp(jnp.concatenate(known, axis=-1), train=train).astype(target.dtype)
            possible = jnp.any(bits, axis=1)
            gap = token.astype(jnp.float32) - jax.lax.stop_gradient(target).astype(jnp.float32)
            error = jnp.mean(gap**2, axis=-1)
            add_loss(self, f"reconstruction_{name}", error, present & possible, self.weight)
            filled[name] = stand_in(modalities[name], token, possible)
        return filled
