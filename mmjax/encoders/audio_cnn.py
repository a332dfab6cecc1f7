"""CNN on a log-mel spectrogram, Hershey et al. 2017, arXiv:1609.09430."""

from typing import Literal, final

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Bool, Float

from mmjax.layers.convolution.convolution import Conv
from mmjax.layers.convolution.spectrogram import log_mel
from mmjax.layers.fields import require_at_least, require_choice
from mmjax.layers.tokens.masking import clear
from mmjax.layers.tokens.pooling import average_pool, masked_mean
from mmjax.layers.tokens.windows import window_mask
from mmjax.layers.tracing.rematerialisation import block
from mmjax.types import AnyArray, Tokens


@final
class AudioCnn(nn.Module):
    """Audio: 3x3 convolutions over frames and bands, each followed by ReLU and a 2x2 average."""

    sample_rate: int = 16_000  # of the samples, in Hz
    window: float = 0.025  # seconds in a frame
    hop: float = 0.010  # seconds from one frame to the next
    mels: int = 64  # bands
    features: tuple[int, ...] = (32, 64, 64)  # channels of each convolution
    dim: int = 64  # width of a token
    pooling: Literal["mean", "none"] = "mean"  # one token, or one for each 2^len(features) frames

    @nn.compact
    @block
    def __call__(
        self,
        values: Float[AnyArray, "batch sample"],
        mask: Bool[AnyArray, "batch sample"],
        train: bool,
    ) -> Tokens:
        """Returns one token, or one for each 2^len(features) frames with `pooling="none"`.

        Raises:
            ValueError: there are fewer than 2^len(features) bands, or `log_mel` raises it.
        """
        del train
        require_choice(self, "pooling", "mean", "none")
        require_at_least(self, 2 ** len(self.features), "mels")
        x, mask = log_mel(
            jnp.asarray(values), jnp.asarray(mask),
            sample_rate=self.sample_rate, window=self.window, hop=self.hop, mels=self.mels,
        )  # fmt: skip
        x = x[:, :, :, None]
        for layer, features in enumerate(self.features):
            x = nn.relu(Conv(features, (3, 3), name=f"conv_{layer}")(clear(x, mask)))
            # Padded to an even number: the average must include the last frame.
            x = jnp.pad(clear(x, mask), ((0, 0), (0, x.shape[1] % 2), (0, 0), (0, 0)))
            x, mask = average_pool(x, 2), window_mask(mask, 2)
        x = jnp.reshape(x, (*x.shape[:2], x.shape[2] * x.shape[3]))
        x = nn.Dense(self.dim, name="projection")(x)
        if self.pooling == "none":
            return Tokens(clear(x, mask), mask)
        return Tokens(masked_mean(x, mask)[:, None], jnp.any(mask, axis=1, keepdims=True))
