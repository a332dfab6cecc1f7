"""Fusion step by step of aligned sequences, after Tsai et al. 2019 (MulT), arXiv:1906.00295.

MulT's baselines with CTC align sequences of different rates to one length and join them there. Here
the alignment is a field; see `mmjax.layers.alignment.alignment` for the methods and their sources.
"""

from collections.abc import Mapping
from typing import Literal, final

import jax.numpy as jnp
from flax import linen as nn

from mmjax.layers.alignment.alignment import (
    AttentionAlign,
    CtcAlign,
    Resample,
    SinkhornAlign,
)
from mmjax.layers.fields import require_at_least, require_choice
from mmjax.layers.mlp import Mlp
from mmjax.layers.tokens.masking import clear
from mmjax.layers.tokens.modalities import ordered, present
from mmjax.types import Tokens


@final
class Aligned(nn.Module):
    """z_s = mlp([W_1 a_1s; ...; W_M a_Ms]),  a_m = align(x_m), zeros where a modality is missing.

    `resample` assumes that all modalities span the same time, `ctc` that they have the same content
    in the same order, `sinkhorn` that every step has the same share of the tokens. `attention` has
    no assumption. All but `resample` learn to align, though not from examples with a single token.
    """

    steps: int = 8  # tokens of the result, at least 1 (sinkhorn: 2)
    dim: int = 64  # width of the fused tokens and of W_m's results
    # how each modality is aligned to the common steps
    method: Literal["resample", "attention", "ctc", "sinkhorn"] = "resample"
    heads: int = 4  # attention: heads, must divide dim
    weight: float = 0.1  # ctc: weight of the auxiliary loss
    temperature: float = 0.1  # sinkhorn: of the transport, in units of cosines
    iterations: int = 20  # sinkhorn: at least 1
    dropout: float = 0.0  # share of hidden units dropped in training

    @nn.compact
    def __call__(self, modalities: Mapping[str, Tokens], train: bool) -> Tokens:
        """Returns `steps` tokens, all masked in examples without any modality.

        Raises:
            ValueError: a field is out of its range, or `method` is unknown.
        """
        require_at_least(self, 1, "dim")
        require_choice(self, "method", "resample", "attention", "ctc", "sinkhorn")
        aligned = []
        for name, tokens in ordered(modalities):
            steps = self._align(f"align_{name}")(tokens.values, tokens.mask)
            # No bias: the zeros of a missing modality stay zeros. The join has a bias.
            aligned.append(nn.Dense(self.dim, use_bias=False, name=f"project_{name}")(steps))
        join = Mlp(hidden=(2 * self.dim,), dim=self.dim, dropout=self.dropout, name="join")
        z = join(jnp.concatenate(aligned, axis=-1), train=train)
        mask = jnp.broadcast_to(present(modalities)[:, None], z.shape[:2])
        return Tokens(clear(z, mask), mask)

    def _align(self, name: str) -> nn.Module:
        match self.method:
            case "resample":
                return Resample(self.steps, name=name)
            case "attention":
                return AttentionAlign(self.steps, self.dim, self.heads, name=name)
            case "ctc":
                return CtcAlign(self.steps, self.weight, name=name)
            case "sinkhorn":
                return SinkhornAlign(self.steps, self.temperature, self.iterations, name=name)
