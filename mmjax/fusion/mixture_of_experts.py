"""Sparse mixture of experts, Shazeer et al. 2017, arXiv:1701.06538."""

from collections.abc import Mapping
from typing import ClassVar, final

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Float

from mmjax.layers.fields import require_at_least
from mmjax.layers.tokens.masking import clear
from mmjax.layers.tokens.modalities import one_token, pooled, present
from mmjax.layers.tracing.auxiliary import add_loss
from mmjax.types import Tokens


def top_k_gates(logits: Float[Array, "batch expert"], k: int) -> Float[Array, "batch expert"]:
    """softmax over the k largest logits of each example; exactly 0 for the other experts."""
    chosen = jax.lax.top_k(logits, k)[1]
    keep = jnp.any(jax.nn.one_hot(chosen, logits.shape[-1]) > 0, axis=1)
    return jax.nn.softmax(logits, axis=-1, where=keep)


@final
class MixtureOfExperts(nn.Module):
    """z = sum_e g_e expert_e(x);  g = top_k softmax(R x);  x = [z_1; ...; z_M], zeros if missing.

    An auxiliary loss balances the experts: experts * sum_e load_e softmax(R x)_e, where load_e is
    the running share of expert e in the routing weights. (Fedus et al. 2022, arXiv:2101.03961, take
    the batch's share, which differs between devices.) All experts are computed, k are used.
    """

    mixes_examples: ClassVar[bool] = True  # through the running load

    experts: int = 4  # number of experts, each an MLP with one hidden layer
    k: int = 2  # experts per example, 2 to `experts` (with 1 the router would have no gradient)
    dim: int = 64  # width of the fused vector, and of the hidden layers
    balance: float = 0.01  # weight of the auxiliary loss
    decay: float = 0.99  # of the running load, per step

    @nn.compact
    def __call__(self, modalities: Mapping[str, Tokens], train: bool) -> Tokens:
        """Returns one token.

        The routing weights [batch, expert] are sown as "routing"; the collection "statistics" holds
        their running totals [expert].
        """
        require_at_least(self, 1, "dim")
        if not 2 <= self.k <= self.experts:
            raise ValueError(
                f"--model.fusion.k: expected 2 to {self.experts} experts, got {self.k}"
            )
        x = jnp.concatenate([vector.value for vector in pooled(modalities).values()], axis=-1)
        visible = present(modalities)
        logits = nn.Dense(self.experts, use_bias=False, name="router")(x)
        gates = top_k_gates(logits, self.k)
        self.sow("intermediates", "routing", gates)
        self._account(logits, gates, visible, train)

        def kernel(name: str, width: int) -> Array:
            init = nn.initializers.variance_scaling(2.0, "fan_in", "normal", 1, 2, batch_axis=0)
            return self.param(name, init, (self.experts, width, self.dim)).astype(x.dtype)

        def bias(name: str) -> Array:
            zeros = self.param(name, nn.initializers.zeros, (self.experts, self.dim))
            return zeros.astype(x.dtype)[None]

        hidden = jnp.einsum("bi,eih->beh", x, kernel("hidden_kernel", x.shape[-1]))
        hidden = nn.relu(hidden + bias("hidden_bias"))
        answers = jnp.einsum("beh,ehd->bed", hidden, kernel("out_kernel", self.dim))
        answers = answers + bias("out_bias")
        return one_token(jnp.einsum("be,bed->bd", gates, answers), modalities)

    def _account(self, logits: Array, gates: Array, visible: Array, train: bool) -> None:
        """Update the running load and add the auxiliary loss."""
        zeros = nn.initializers.zeros
        # Totals of the batch divided by its size: their means over devices are the global ones.
        routed = self.variable("statistics", "routed", zeros, None, (self.experts,))
        total = jnp.sum(routed.value)
        share = routed.value / jnp.where(total > 0, total, jnp.ones_like(total))
        loss = self.experts * jnp.sum(share[None] * jax.nn.softmax(logits, axis=-1), axis=-1)
        add_loss(self, "balance", loss, visible, self.balance)
        if train and self.is_mutable_collection("statistics") and not self.is_initializing():
            batch = jnp.sum(clear(gates, visible), axis=0) / gates.shape[0]
            routed.value = self.decay * routed.value + (1.0 - self.decay) * batch
