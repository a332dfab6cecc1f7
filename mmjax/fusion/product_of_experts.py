"""Product of Gaussian experts, Wu & Goodman 2018 (MVAE), arXiv:1802.05335."""

from collections.abc import Mapping, Sequence
from typing import final

import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Float

from mmjax.layers.fields import require_at_least
from mmjax.layers.tokens.masking import clear
from mmjax.layers.tokens.modalities import one_token, pooled
from mmjax.types import Tokens


def product_of_experts(
    means: Sequence[Float[Array, "batch dim"]], precisions: Sequence[Float[Array, "batch dim"]]
) -> tuple[Float[Array, "batch dim"], Float[Array, "batch dim"]]:
    """Mean and precision (1 / variance) of N(0, 1) prod_m N(mean_m, 1 / precision_m)."""
    mean, weight = jnp.stack(means), jnp.stack(precisions)
    precision = 1.0 + jnp.sum(weight, axis=0)
    return jnp.sum(weight * mean, axis=0) / precision, precision


@final
class ProductOfExperts(nn.Module):
    """z = sum_m p_m mu_m / (1 + sum_m p_m);  mu_m = W_m z_m + b_m,  p_m = softplus(V_m z_m + c_m).

    z is the mean of the product with the prior N(0, 1); it is not sampled. A missing expert has
    precision 0.
    """

    dim: int = 64  # width of the fused vector

    @nn.compact
    def __call__(self, modalities: Mapping[str, Tokens], train: bool) -> Tokens:
        """Returns one token; the product's precision [batch, dim] is sown as "precision"."""
        del train
        require_at_least(self, 1, "dim")
        means, precisions = [], []
        for name, (value, present) in pooled(modalities).items():
            means.append(nn.Dense(self.dim, name=f"mean_{name}")(value))
            precision = nn.softplus(nn.Dense(self.dim, name=f"precision_{name}")(value))
            precisions.append(clear(precision, present))
        fused, precision = product_of_experts(means, precisions)
        self.sow("intermediates", "precision", precision)
        return one_token(fused, modalities)
