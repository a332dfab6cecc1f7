"""Temporal convolutional network, TCN, Bai et al. 2018, arXiv:1803.01271."""

from typing import Literal, final

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Bool, Float

from mmjax.layers.convolution.convolution import Conv
from mmjax.layers.dropout import Dropout
from mmjax.layers.fields import require_at_least, require_choice, require_share
from mmjax.layers.normalisation import layer_norm
from mmjax.layers.tokens.intervals import with_intervals
from mmjax.layers.tokens.masking import clear
from mmjax.layers.tokens.pooling import masked_mean
from mmjax.layers.tracing.precision import in_kernel_dtype
from mmjax.types import AnyArray, Tokens


@final
class Tcn(nn.Module):
    """Series: x = x + W relu(conv(norm(x))), with a dilation of 2^i in layer i.

    Norms and residuals are a transformer's instead of the paper's weight normalisation. A token
    depends on (size - 1) (2^layers - 1) other steps. Masked steps are read as zeros.
    """

    dim: int = 64  # width of a token and of every layer
    layers: int = 4
    size: int = 3  # taps of a convolution
    causal: bool = False  # a token depends on its own and earlier steps only
    dropout: float = 0.0  # share of hidden units dropped in training
    pooling: Literal["mean", "none"] = "mean"  # one token, or one per step
    time: int | None = None  # the channel of irregular time stamps

    @nn.compact
    def __call__(
        self,
        values: Float[AnyArray, "batch step feature"],
        mask: Bool[AnyArray, "batch step"],
        train: bool,
    ) -> Tokens:
        """Returns one token, or one for each step with `pooling="none"`."""
        require_at_least(self, 1, "dim", "size")
        require_at_least(self, 0, "layers")
        require_share(self, "dropout")
        require_choice(self, "pooling", "mean", "none")
        mask = jnp.asarray(mask)
        x = with_intervals(jnp.asarray(values), mask, self.time)
        x = nn.Dense(self.dim, promote_dtype=in_kernel_dtype, name="input")(x)
        for layer in range(self.layers):
            y = clear(layer_norm(f"norm_{layer}")(x), mask)
            y = Conv(
                self.dim,
                (self.size,),
                padding="CAUSAL" if self.causal else "SAME",
                dilation=2**layer,
                name=f"conv_{layer}",
            )(y)
            y = Dropout(self.dropout)(nn.relu(y), train=train)
            x = x + nn.Dense(self.dim, name=f"out_{layer}")(y)
        if self.pooling == "none":
            return Tokens(clear(x, mask), mask)
        return Tokens(masked_mean(x, mask)[:, None], jnp.any(mask, axis=1, keepdims=True))
