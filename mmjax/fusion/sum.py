"""Sum of the modalities' vectors, a joint representation (Baltrusaitis 2019, arXiv:1705.09406)."""

from collections.abc import Mapping
from typing import final

import jax.numpy as jnp
from flax import linen as nn

from mmjax.layers.modalities import ordered
from mmjax.layers.pooling import masked_mean
from mmjax.types import Tokens


@final
class Sum(nn.Module):
    """z = sum_m W_m z_m, z_m the mean of a modality's tokens; a missing one adds nothing."""

    dim: int | None = None  # width that W_m projects to; None: no W_m, all widths must be equal

    @nn.compact
    def __call__(self, modalities: Mapping[str, Tokens], *, train: bool) -> Tokens:
        """Returns one token.

        Raises:
            ValueError: without `dim`, when the modalities' widths differ.
        """
        del train
        vectors, present = {}, []
        for name, tokens in ordered(modalities):
            vectors[name] = masked_mean(tokens.values, tokens.mask)
            present.append(tokens.present())
            if self.dim is not None:
                # No bias: a missing modality, zeros, must add nothing.
                vectors[name] = nn.Dense(self.dim, use_bias=False, name=name)(vectors[name])
        widths = {name: vector.shape[-1] for name, vector in vectors.items()}
        if len(set(widths.values())) > 1:
            raise ValueError(
                f"sum: cannot add tokens of different widths {widths}; make the encoders' dim "
                f"equal or set the fusion's, for example --model.fusion.dim {max(widths.values())}"
            )
        fused = jnp.sum(jnp.stack(list(vectors.values())), axis=0)
        return Tokens(fused[:, None, :], jnp.any(jnp.stack(present), axis=0)[:, None])
