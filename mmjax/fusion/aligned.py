"""Fusion step by step of aligned sequences, after Tsai et al. 2019 (MulT), arXiv:1906.00295.

MulT's baselines with CTC bring sequences of different rates to one length and join them there. Here
the alignment is a choice; see `mmjax.layers.alignment.alignment` for the methods and their sources.
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

    `resample` supposes that all modalities span the same time; `ctc` that they tell the same in the
    same order; `sinkhorn` that every step has the same share of the tokens; `attention` nothing.
    What learns to align (all but `resample`) learns nothing from an example's only token.
    """

    steps: int = 8  # tokens of the result, at least 1 (sinkhorn: 2)
    dim: int = 64  # width of the fused tokens, and of what W_m projects to
    # how a modality is brought to the common steps
    method: Literal["resample", "attention", "ctc", "sinkhorn"] = "resample"
    heads: int = 4  # attention: heads, must divide dim
    weight: float = 0.1  # ctc: of the loss of the alignment, beside the objectives
    temperature: float = 0.1  # sinkhorn: of the transport, where scores are cosines
    iterations: int = 20  # sinkhorn: updates, at least 1
    dropout: float = 0.0  # share of hidden units dropped in training

    @nn.compact
    def __call__(self, modalities: Mapping[str, Tokens], train: bool) -> Tokens:
        """Returns `steps` tokens, all there where an example has any modality.

        Raises:
            ValueError: a field is out of its range, or `method` is unknown.
        """
        require_at_least(self, 1, "dim")
        require_choice(self, "method", "resample", "attention", "ctc", "sinkhorn")
        aligned = []
        for name, tokens in ordered(modalities):
            steps = self._align(f"align_{name}")(tokens.values, tokens.mask)
            # No bias: a missing modality, zeros, stays zeros; the join has one.
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
