"""The networks of `accelerators.py` in plain flax, as its examples write them.

With nn.Conv, nn.BatchNorm, nn.max_pool, nn.RNN, nn.MultiHeadDotProductAttention. No modality is
missing here.

Each computes what ours computes from the same parameters (`plain_weights.py` renames them).
"""

import functools
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from mmjax.types import Masked

BLOCKS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}


class Cnn(nn.Module):
    """Two convolutions, an average pool, a dense layer."""

    features: tuple[int, ...] = (32, 64)
    dim: int = 64
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, image: Array, mask: Array, train: bool) -> Array:
        x = image.astype(self.dtype)
        for place, features in enumerate(self.features):
            x = nn.relu(nn.Conv(features, (3, 3), dtype=self.dtype, name=f"Conv_{place}")(x))
        x = nn.avg_pool(x, (2, 2), (2, 2))
        x = x.reshape(x.shape[0], 1, -1)
        return nn.Dense(self.dim, dtype=self.dtype, name="projection")(x)


class ResNet(nn.Module):
    """The ResNet of flax's imagenet example, with torch's padding."""

    depth: int = 50
    dim: int | None = None
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, image: Array, mask: Array, train: bool) -> Array:
        conv = functools.partial(nn.Conv, use_bias=False, dtype=self.dtype)
        norm = functools.partial(
            nn.BatchNorm, use_running_average=not train, momentum=0.9, epsilon=1e-5,
            dtype=self.dtype,
        )  # fmt: skip
        x = conv(64, (7, 7), (2, 2), padding=[(3, 3)] * 2, name="conv1")(image.astype(self.dtype))
        x = nn.relu(norm(name="norm1")(x))
        x = nn.max_pool(x, (3, 3), (2, 2), padding=((1, 1), (1, 1)))  # pyright: ignore[reportArgumentType]
        for stage, blocks in enumerate(BLOCKS[self.depth]):
            for place in range(blocks):
                stride = 2 if stage > 0 and place == 0 else 1
                name = f"stage{stage + 1}_{place}"
                x = Residual(64 * 2**stage, stride, self.depth >= 50, conv, norm, name=name)(x)
        x = x.reshape(x.shape[0], -1, x.shape[-1])
        return x if self.dim is None else nn.Dense(self.dim, dtype=self.dtype, name="projection")(x)


class Residual(nn.Module):
    """A bottleneck, or a basic block."""

    width: int
    stride: int
    bottleneck: bool
    conv: Any
    norm: Any

    @nn.compact
    def __call__(self, x: Array) -> Array:
        layers = [(self.width, 3, self.stride), (self.width, 3, 1)]
        if self.bottleneck:
            last = (4 * self.width, 1, 1)
            layers = [(self.width, 1, 1), (self.width, 3, self.stride), last]
        y = x
        for place, (features, size, stride) in enumerate(layers, start=1):
            y = nn.relu(y) if place > 1 else y
            y = self.conv(
                features, (size, size), (stride, stride), padding=[(size // 2, size // 2)] * 2,
                name=f"conv{place}",
            )(y)  # fmt: skip
            y = self.norm(name=f"norm{place}")(y)
        if x.shape != y.shape:
            strides = (self.stride, self.stride)
            x = self.conv(y.shape[-1], (1, 1), strides, padding="VALID", name="shortcut")(x)
            x = self.norm(name="shortcut_norm")(x)
        return nn.relu(x + y)


class Vgg(nn.Module):
    """VGG-11 with batch normalisation."""

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, image: Array, mask: Array, train: bool) -> Array:
        x = image.astype(self.dtype)
        for stage, count in enumerate((1, 1, 2, 2, 2), start=1):
            for place in range(count):
                width = 64 * min(2 ** (stage - 1), 8)
                conv = nn.Conv(width, (3, 3), use_bias=False, dtype=self.dtype,
                               name=f"conv{stage}_{place}")  # fmt: skip
                norm = nn.BatchNorm(not train, momentum=0.9, dtype=self.dtype,
                                    name=f"norm{stage}_{place}")  # fmt: skip
                x = nn.relu(norm(conv(x)))
            x = nn.max_pool(x, (2, 2), (2, 2))
        return x.reshape(x.shape[0], -1, x.shape[-1])


class Recurrent(nn.Module):
    """Embedding, one LSTM or GRU, its last state."""

    cell: str = "lstm"
    vocabulary: int = 10_000
    embedding_dim: int = 32
    dim: int = 64
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, ids: Array, mask: Array | None, train: bool) -> Array:
        cell = {"lstm": nn.OptimizedLSTMCell, "gru": nn.GRUCell}[self.cell]
        x = nn.Embed(self.vocabulary, self.embedding_dim, dtype=self.dtype, name="embedding")(ids)
        # Of a sequence's states RNN takes the one at its length as its last.
        rnn = nn.RNN(cell(self.dim, dtype=self.dtype, name="cell"), return_carry=True)
        lengths = None if mask is None else mask.sum(axis=1, dtype=jnp.int32)
        carry, _ = rnn(x, seq_lengths=lengths)
        return (carry[1] if self.cell == "lstm" else carry)[:, None]


class TransformerBlock(nn.Module):
    """Attention and two dense layers, norms first or last."""

    heads: int
    epsilon: float
    first: bool
    causal: bool = False
    tanh: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Array, mask: Array) -> Array:
        visible = mask[:, None, None, :]
        if self.causal:
            visible = nn.combine_masks(visible, nn.make_causal_mask(mask))
        norm = functools.partial(nn.LayerNorm, epsilon=self.epsilon, dtype=self.dtype)
        first, second = norm(name="attention_norm"), norm(name="mlp_norm")
        attend = nn.MultiHeadDotProductAttention(self.heads, dtype=self.dtype, name="attention")

        def mlp(x: Array) -> Array:
            hidden = nn.Dense(4 * x.shape[-1], dtype=self.dtype, name="hidden")(x)
            hidden = nn.gelu(hidden, approximate=self.tanh)
            return nn.Dense(x.shape[-1], dtype=self.dtype, name="mlp")(hidden)

        if self.first:
            x = x + attend(first(x), mask=visible)
            return x + mlp(second(x))
        x = first(x + attend(x, mask=visible))
        return second(x + mlp(x))


class Words(nn.Module):
    """BERT-base by default; with `causal` GPT-2 small."""

    width: int = 768
    layers: int = 12
    heads: int = 12
    vocabulary: int = 30_522
    positions: int = 512
    causal: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, ids: Array, mask: Array, train: bool) -> Array:
        epsilon = 1e-5 if self.causal else 1e-12
        norm = nn.LayerNorm(epsilon=epsilon, dtype=self.dtype, name="norm")
        x = nn.Embed(self.vocabulary, self.width, dtype=self.dtype, name="word")(ids)
        table = self.param("position", nn.initializers.normal(0.02), (self.positions, self.width))
        x = x + table[None, : x.shape[1]].astype(self.dtype)
        x = x if self.causal else norm(x)
        for layer in range(self.layers):
            block = TransformerBlock(
                self.heads, epsilon, self.causal, self.causal, self.causal, self.dtype,
                name=f"block_{layer}",
            )  # fmt: skip
            x = block(x, mask)
        return norm(x) if self.causal else x


class Vit(nn.Module):
    """ViT-S/16 by default."""

    width: int = 384
    layers: int = 12
    heads: int = 6
    patch: int = 16
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, image: Array, mask: Array, train: bool) -> Array:
        window = (self.patch, self.patch)
        conv = nn.Conv(self.width, window, window, "VALID", dtype=self.dtype, name="patch")
        x = conv(image.astype(self.dtype))
        x = x.reshape(x.shape[0], -1, self.width)
        first = self.param("class", nn.initializers.zeros, (1, self.width)).astype(self.dtype)
        x = jnp.concatenate([jnp.broadcast_to(first, (x.shape[0], 1, self.width)), x], axis=1)
        x = x + self.param("position", nn.initializers.normal(0.02), x.shape[1:])[None].astype(
            self.dtype
        )
        everywhere = jnp.ones(x.shape[:2], bool)
        for layer in range(self.layers):
            block = TransformerBlock(self.heads, 1e-6, True, dtype=self.dtype,
                                     name=f"block_{layer}")  # fmt: skip
            x = block(x, everywhere)
        return nn.LayerNorm(dtype=self.dtype, name="norm")(x)


class Concat(nn.Module):
    """The means of the tokens, side by side."""

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, tokens: Mapping[str, tuple[Array, Array]], train: bool) -> Array:
        return jnp.concatenate([mean(*tokens[name]) for name in sorted(tokens)], axis=-1)


class FusionBlock(nn.Module):
    """Attention to a context and a learned token, then two dense layers; norms first."""

    dim: int
    heads: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Array, visible: Array) -> Array:
        norm = functools.partial(nn.LayerNorm, dtype=self.dtype)
        normed = norm(name="attention_norm")(x)
        nothing = self.param("nothing", nn.initializers.normal(0.02), (self.dim,))
        nothing = jnp.broadcast_to(nothing.astype(self.dtype), (x.shape[0], 1, self.dim))
        source = jnp.concatenate([normed, nothing], axis=1)
        visible = jnp.pad(visible, ((0, 0), (0, 0), (0, 1)), constant_values=True)
        attend = nn.MultiHeadDotProductAttention(self.heads, dtype=self.dtype, name="attention")
        x = x + attend(normed, source, mask=visible[:, None])
        y = nn.Dense(2 * self.dim, dtype=self.dtype, name="hidden")(norm(name="mlp_norm")(x))
        return x + nn.Dense(self.dim, dtype=self.dtype, name="mlp")(nn.relu(y))


class CrossAttention(nn.Module):
    """One block over the tokens of all modalities, each attending to the others'."""

    dim: int = 768
    heads: int = 12
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, tokens: Mapping[str, tuple[Array, Array]], train: bool) -> Array:
        names = sorted(tokens)
        x = [nn.Dense(self.dim, dtype=self.dtype, name=name)(tokens[name][0]) for name in names]
        owner = jnp.repeat(jnp.arange(len(x)), jnp.array([y.shape[1] for y in x]),
                           total_repeat_length=sum(y.shape[1] for y in x))  # fmt: skip
        mask = jnp.concatenate([tokens[name][1] for name in names], axis=1)
        visible = (owner[:, None] != owner[None])[None] & mask[:, None]
        x = FusionBlock(self.dim, self.heads, self.dtype, name="block")(
            jnp.concatenate(x, axis=1), visible
        )
        return mean(x, mask)


class Bottleneck(nn.Module):
    """MBT: a transformer for each modality, joined by a few tokens."""

    dim: int = 768
    heads: int = 12
    layers: int = 2
    bottlenecks: int = 4
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, tokens: Mapping[str, tuple[Array, Array]], train: bool) -> Array:
        streams = {
            name: nn.Dense(self.dim, dtype=self.dtype, name=name)(tokens[name][0])
            for name in sorted(tokens)
        }
        shape = (self.bottlenecks, self.dim)
        f = self.param("bottleneck", nn.initializers.normal(0.02), shape).astype(self.dtype)
        batch = next(iter(streams.values())).shape[0]
        f = jnp.broadcast_to(f[None], (batch, *shape))
        for layer in range(self.layers):
            written = []
            for name, x in streams.items():
                mask = jnp.pad(tokens[name][1], ((0, 0), (0, shape[0])), constant_values=True)
                visible = jnp.broadcast_to(mask[:, None], (batch, mask.shape[1], mask.shape[1]))
                block = FusionBlock(self.dim, self.heads, self.dtype, name=f"{name}_{layer}")
                x = block(jnp.concatenate([x, f], axis=1), visible)
                streams[name] = x[:, : -shape[0]]
                written.append(x[:, -shape[0] :])
            f = sum(written) / len(written)
        x = jnp.concatenate(list(streams.values()), axis=1)
        mask = jnp.concatenate([tokens[name][1] for name in streams], axis=1)
        return mean(nn.LayerNorm(dtype=self.dtype, name="norm")(x), mask)


class Network(nn.Module):
    """Encoders, a fusion, two dense layers: one logit for each example."""

    encoders: Mapping[str, nn.Module]
    fusion: nn.Module
    hidden: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, inputs: Mapping[str, Masked], train: bool) -> Array:
        tokens = {}
        for name, given in inputs.items():
            x = self.encoders[name](given.values, given.mask, train)
            mask = given.mask if given.mask.ndim == 2 and x.shape[1] > 1 else None
            tokens[name] = x, jnp.ones(x.shape[:2], bool) if mask is None else mask
        x = self.fusion(tokens, train)
        x = nn.relu(nn.Dense(self.hidden, dtype=self.dtype, name="Dense_0")(x))
        return nn.Dense(1, dtype=self.dtype, name="Dense_1")(x)[:, 0].astype(jnp.float32)


def mean(x: Array, mask: Array) -> Array:
    """Of the unmasked tokens."""
    return jnp.sum(x, axis=1, where=mask[:, :, None]) / jnp.sum(mask, axis=1, keepdims=True).astype(
        x.dtype
    )
