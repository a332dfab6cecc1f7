"""Several modalities, `{name: Tokens}`, always read in alphabetical order of their names."""

from collections.abc import Mapping
from typing import NamedTuple

import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Bool, Float

from mmjax.layers.fields import require_at_least
from mmjax.layers.normalisation import layer_norm
from mmjax.layers.tokens.masking import clear
from mmjax.layers.tokens.pooling import masked_mean
from mmjax.types import Tokens


def ordered(modalities: Mapping[str, Tokens]) -> list[tuple[str, Tokens]]:
    """The modalities sorted by name, so that the order of the dict has no effect.

    Raises:
        ValueError: the dict is empty, a mask does not fit its values, or batch sizes differ.
    """
    if not modalities:
        raise ValueError("a fusion needs at least one modality, got an empty dict")
    for name, tokens in modalities.items():
        if tokens.values.ndim != 3 or tokens.mask.shape != tokens.values.shape[:2]:
            raise ValueError(
                f"modality {name!r}: expected values [batch, token, dim] and a mask "
                f"[batch, token], got {tokens.values.shape} and {tokens.mask.shape}"
            )
    sizes = {name: tokens.mask.shape[0] for name, tokens in modalities.items()}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"expected as many examples of every modality, got {sizes}")
    return sorted(modalities.items())


def present(modalities: Mapping[str, Tokens]) -> Bool[Array, "batch"]:
    """Which examples have at least one modality."""
    return jnp.any(jnp.stack([tokens.present() for tokens in modalities.values()]), axis=0)


class Vector(NamedTuple):
    """One modality as a vector: the mean of its tokens, zeros where it is missing."""

    value: Float[Array, "batch dim"]
    present: Bool[Array, "batch"]


def pooled(modalities: Mapping[str, Tokens]) -> dict[str, Vector]:
    """The mean token of each modality, ordered by name; raises ValueError as `ordered` does."""
    return {
        name: Vector(masked_mean(tokens.values, tokens.mask), tokens.present())
        for name, tokens in ordered(modalities)
    }


def one_token(fused: Float[Array, "batch dim"], modalities: Mapping[str, Tokens]) -> Tokens:
    """A fused vector as one token; masked for examples without any modality."""
    mask = present(modalities)[:, None]
    return Tokens(clear(fused[:, None, :], mask), mask)


class Projections(nn.Module):
    """W_m z_m for every modality m. Without a bias, the zeros of a missing modality stay zeros."""

    dim: int | None  # width of the results; None: no W_m, and all widths must be equal

    @nn.compact
    def __call__(self, vectors: Mapping[str, Vector]) -> dict[str, Vector]:
        """Raises ValueError if `dim` is None and the modalities' widths differ."""
        if self.dim is not None:
            require_at_least(self, 1, "dim")
            return {
                name: Vector(nn.Dense(self.dim, use_bias=False, name=name)(value), visible)
                for name, (value, visible) in vectors.items()
            }
        widths = {name: vector.value.shape[-1] for name, vector in vectors.items()}
        if len(set(widths.values())) > 1:
            raise ValueError(
                f"cannot join vectors of different widths {widths}; make the encoders' dim equal "
                f"or set the fusion's, for example --model.fusion.dim {max(widths.values())}"
            )
        return dict(vectors)


class Streams(nn.Module):
    """x_m = W_m z_m + e_m for the tokens of every modality m; masked tokens become e_m."""

    dim: int  # width of the tokens

    @nn.compact
    def __call__(self, modalities: Mapping[str, Tokens]) -> dict[str, Float[Array, "batch _ dim"]]:
        """Returns the streams ordered by name."""
        require_at_least(self, 1, "dim")
        # The layer's bias is e_m.
        return {
            name: nn.Dense(self.dim, name=name)(clear(tokens.values, tokens.mask))
            for name, tokens in ordered(modalities)
        }


def side_by_side(
    streams: Mapping[str, Float[Array, "batch _ dim"]], modalities: Mapping[str, Tokens]
) -> Tokens:
    """All streams in one sequence, ordered by name; masked tokens are not cleared."""
    names = sorted(streams)
    return Tokens(
        jnp.concatenate([streams[name] for name in names], axis=1),
        jnp.concatenate([modalities[name].mask for name in names], axis=1),
    )


class Join(nn.Module):
    """x = [W_1 z_1 + e_1; ...; W_M z_M + e_M]: the tokens of all modalities in one sequence."""

    dim: int  # width of the tokens

    @nn.compact
    def __call__(self, modalities: Mapping[str, Tokens]) -> Tokens:
        """Returns the sequence ordered by name; masked tokens are not cleared."""
        return side_by_side(Streams(self.dim, name="streams")(modalities), modalities)


class Normed(nn.Module):
    """norm(x), zeros where masked: the last layer of a pre-norm transformer."""

    @nn.compact
    def __call__(self, tokens: Tokens) -> Tokens:
        return Tokens(clear(layer_norm("norm")(tokens.values), tokens.mask), tokens.mask)
