"""1-d CNN on raw waveforms, M5, Dai et al. 2017, arXiv:1610.00087."""

from typing import Literal, final

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Bool, Float

from mmjax.layers.fields import require_at_least, require_choice
from mmjax.layers.normalisation import layer_norm
from mmjax.layers.tokens.masking import clear
from mmjax.layers.tokens.pooling import masked_mean
from mmjax.layers.tokens.windows import WindowConv
from mmjax.types import AnyArray, Tokens


@final
class WaveCnn(nn.Module):
    """Audio: strided convolutions on the samples, each followed by LayerNorm and ReLU.

    The samples are divided by their root mean square, which removes the recording level.
    """

    features: tuple[int, ...] = (32, 32, 64, 64)  # channels of each convolution
    size: int = 80  # samples in the first kernel; the others span 3 strides
    stride: int = 4  # of each convolution; at most `size`
    dim: int = 64  # width of a token
    pooling: Literal["mean", "none"] = "mean"  # one token, or one per stride^len(features) samples

    @nn.compact
    def __call__(
        self,
        values: Float[AnyArray, "batch sample"],
        mask: Bool[AnyArray, "batch sample"],
        train: bool,
    ) -> Tokens:
        """Returns one token, or one per stride^len(features) samples with `pooling="none"`."""
        del train
        require_choice(self, "pooling", "mean", "none")
        require_at_least(self, 1, "stride")
        require_at_least(self, self.stride, "size")
        mask = jnp.asarray(mask)
        x = clear(jnp.asarray(values), mask)
        power = masked_mean(jnp.square(x)[:, :, None], mask)
        x = x[:, :, None] * jax.lax.rsqrt(power + 1e-6)[:, None]
        for layer, features in enumerate(self.features):
            size = self.size if layer == 0 else 3 * self.stride
            x, mask = WindowConv(features, size, self.stride, name=f"conv_{layer}")(x, mask)
            x = layer_norm(f"norm_{layer}")(x)
            x = nn.relu(x)
        x = nn.Dense(self.dim, name="projection")(x)
        if self.pooling == "none":
            return Tokens(clear(x, mask), mask)
        return Tokens(masked_mean(x, mask)[:, None], jnp.any(mask, axis=1, keepdims=True))
