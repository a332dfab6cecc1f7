"""Multimodal model: encoders -> fusion -> heads."""

from collections.abc import Mapping
from typing import final

from flax import linen as nn
from jax import Array

from mmjax.types import Input


@final
class Multimodal(nn.Module):
    """outputs = {name: head(fusion({modality: encoder(input)}))}."""

    encoders: Mapping[str, nn.Module]  # one for each modality
    fusion: nn.Module  # {modality: Tokens} -> Tokens
    heads: Mapping[str, nn.Module]  # one for each output

    @nn.compact
    def __call__(self, inputs: Mapping[str, Input], *, train: bool) -> dict[str, Array]:
        """A modality that is missing everywhere is an input whose mask is all False.

        Raises:
            ValueError: the inputs' modalities are not the encoders'.
        """
        if set(inputs) != set(self.encoders):
            raise ValueError(
                f"expected the modalities {sorted(self.encoders)}, got {sorted(inputs)}; "
                "give a missing modality with a mask that is all False"
            )
        tokens = {
            name: encoder(inputs[name].values, inputs[name].mask, train=train)
            for name, encoder in sorted(self.encoders.items())
        }
        fused = self.fusion(tokens, train=train)
        return {name: head(fused, train=train) for name, head in sorted(self.heads.items())}
