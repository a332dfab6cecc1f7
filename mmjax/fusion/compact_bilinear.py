"""Multimodal compact bilinear pooling (MCB), Fukui et al. 2016, arXiv:1606.01847."""

import zlib
from collections.abc import Mapping, Sequence
from typing import final

import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array
from jaxtyping import Bool, Float

from mmjax.layers.fields import require_at_least
from mmjax.layers.normalisation import l2_normalised, signed_sqrt
from mmjax.layers.tokens.masking import masked_product
from mmjax.layers.tokens.modalities import one_token, pooled
from mmjax.types import Tokens


def count_sketch(x: Float[Array, "batch width"], dim: int, seed: int) -> Float[Array, "batch dim"]:
    """sketch[h(i)] += s(i) x[i]; the seed gives places h and signs s (Charikar et al. 2002)."""
    # RandomState's stream never changes, so checkpoints need not store its numbers.
    drawn = np.random.RandomState(seed)
    place = drawn.randint(dim, size=x.shape[-1])
    sign = jnp.asarray(drawn.randint(2, size=x.shape[-1]) * 2 - 1, x.dtype)
    return jnp.zeros_like(x, shape=(x.shape[0], dim)).at[:, place].add(x * sign[None])


def compact_bilinear(
    sketches: Sequence[Float[Array, "batch dim"]], present: Sequence[Bool[Array, "batch"]]
) -> Float[Array, "batch dim"]:
    """irfft(prod_m rfft(sketch_m)): the sketch of the outer product of the present modalities.

    For two vectors its expected inner product is the bilinear kernel:
    E <f(x, y), f(u, v)> = <x, u> <y, v>  (Pham & Pagh 2013, doi:10.1145/2487575.2487591).
    """
    first = sketches[0]
    spectra = [jnp.fft.rfft(sketch.astype(jnp.float32), axis=-1) for sketch in sketches]
    # A missing modality has a spectrum of ones, the neutral element of the convolution.
    product = masked_product(spectra, present)
    return jnp.fft.irfft(product, n=first.shape[-1], axis=-1).astype(first.dtype)


@final
class CompactBilinear(nn.Module):
    """z = normalise(signed_sqrt(sketch of z_1 (x) ... (x) z_M)); it has no parameters."""

    dim: int = 512  # width of the sketch: its error falls with 1 / sqrt(dim) (the paper: 16,000)
    seed: int = 0  # for the sketch's places and signs

    @nn.compact
    def __call__(self, modalities: Mapping[str, Tokens], train: bool) -> Tokens:
        """Returns one token."""
        del train
        require_at_least(self, 1, "dim")
        vectors = pooled(modalities)
        # By name: a modality's sketch does not depend on which others there are.
        sketches = [
            count_sketch(vector.value, self.dim, (zlib.crc32(name.encode()) + self.seed) % 2**32)
            for name, vector in vectors.items()
        ]
        fused = compact_bilinear(sketches, [vector.present for vector in vectors.values()])
        return one_token(l2_normalised(signed_sqrt(fused)), modalities)
