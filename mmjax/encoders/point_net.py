"""PointNet, Qi et al. 2017, arXiv:1612.00593."""

from typing import Literal, final

import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Bool, Float

from mmjax.layers.fields import require_choice
from mmjax.layers.mlp import Mlp
from mmjax.layers.tokens.masking import clear
from mmjax.layers.tokens.pooling import masked_max
from mmjax.types import AnyArray, Tokens


@final
class PointNet(nn.Module):
    """Points: z = max over points of mlp(x), for any order and number of points.

    With `align`, the first `align` features (3 for x, y, z) are first multiplied by a matrix that a
    small PointNet computes for each set (the paper's T-Net): x A, A = 1 + W max mlp(x).
    """

    dim: int = 64  # width of a token
    hidden: tuple[int, ...] = (64, 64)  # widths of hidden ReLU layers
    align: int = 0  # features that the matrix transforms; 0: none
    pooling: Literal["max", "none"] = "max"  # one token, or one per point
    dropout: float = 0.0  # share of hidden units dropped in training

    @nn.compact
    def __call__(
        self,
        values: Float[AnyArray, "batch point feature"],
        mask: Bool[AnyArray, "batch point"],
        train: bool,
    ) -> Tokens:
        """Returns one token, or one for each point with `pooling="none"`.

        Raises:
            ValueError: `align` exceeds the number of features.
        """
        require_choice(self, "pooling", "max", "none")
        mask = jnp.asarray(mask)
        x = clear(jnp.asarray(values), mask)
        if not 0 <= self.align <= x.shape[-1]:
            raise ValueError(
                f"PointNet.align: expected 0 to {x.shape[-1]}, the number of features, "
                f"got {self.align}"
            )
        if self.align:
            x = self._aligned(x, mask, train)
        mlp = Mlp(hidden=self.hidden, dim=self.dim, dropout=self.dropout, name="mlp")
        x = nn.relu(mlp(x, train=train))
        if self.pooling == "none":
            return Tokens(clear(x, mask), mask)
        return Tokens(masked_max(x, mask)[:, None], jnp.any(mask, axis=1, keepdims=True))

    def _aligned(self, x: Array, mask: Array, train: bool) -> Array:
        k = self.align
        mlp = Mlp(hidden=self.hidden, dim=self.dim, dropout=self.dropout, name="align_mlp")
        turn = nn.Dense(k * k, kernel_init=nn.initializers.normal(0.01), name="align")
        matrix = turn(masked_max(nn.relu(mlp(x[:, :, :k], train=train)), mask))
        matrix = jnp.reshape(matrix, (-1, k, k)) + jnp.eye(k, dtype=x.dtype)[None]
        turned = jnp.einsum("bpk,bkj->bpj", x[:, :, :k], matrix)
        return jnp.concatenate([turned, x[:, :, k:]], axis=-1)
