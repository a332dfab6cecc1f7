"""The types that flow between the parts: Masked -> Tokens -> outputs -> WeightedMean.

Axis names in every signature come from this vocabulary:

    batch    examples                     token    positions of one modality, or of several joined
    height, width, channel  of an image   word     positions of a padded text
    dim      width of a token             label    binary labels of one example
    head     attention heads              step     of a time series, or of an alignment
    sample, frame, mel   of a sound: of its waveform, of its spectrogram, and its bands
    column   of a table                   point    of a set of points
    feature  numbers of one word, step, point ... as they are given
"""

from collections.abc import Mapping
from typing import Union

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Bool, Float, Int, Shaped

AnyArray = Union[jax.Array, np.ndarray]


@struct.dataclass
class Masked:
    """One modality of a batch, as the pipeline delivers it to an encoder.

    `mask` is False where there is nothing: a padded word, or all of a missing modality.
    Its axes are the leading axes of `values`: `[batch]` for an image, `[batch, word]` for a text.
    """

    values: Shaped[AnyArray, "batch *element"]
    mask: Bool[AnyArray, "batch *position"]


@struct.dataclass
class Tokens:
    """What every modality becomes and what every fusion takes and returns.

    Whatever stands in `values` under a False `mask` is nothing: readers must not let it through.
    """

    values: Float[jax.Array, "batch token dim"]
    mask: Bool[jax.Array, "batch token"]

    def present(self) -> Bool[jax.Array, "batch"]:
        """Which examples have at least one token."""
        return jnp.any(self.mask, axis=1)


@struct.dataclass
class Batch:
    """`weight` is 0 for examples that only fill up a last batch; `ids` are places in the split."""

    inputs: Mapping[str, Masked]
    labels: Mapping[str, Shaped[AnyArray, "batch *label"]]
    weight: Float[AnyArray, "batch"]
    ids: Int[AnyArray, "batch"]


@struct.dataclass
class RowIndices:
    """A batch whose inputs are not here: which rows of columns that the device holds they are."""

    rows: Mapping[str, Int[AnyArray, "batch"]]
    labels: Mapping[str, Shaped[AnyArray, "batch *label"]]
    weight: Float[AnyArray, "batch"]
    ids: Int[AnyArray, "batch"]

    def batch(self, columns: Mapping[str, Masked]) -> Batch:
        """With the inputs, out of all rows of each modality."""
        inputs = {
            name: Masked(columns[name].values[rows], columns[name].mask[rows])
            for name, rows in self.rows.items()
        }
        return Batch(inputs, self.labels, self.weight, self.ids)


@struct.dataclass
class WeightedMean:
    """A total and the count to divide it by: added over batches and devices, divided once."""

    total: Float[jax.Array, ""]
    count: Float[jax.Array, ""]

    def __add__(self, other: "WeightedMean") -> "WeightedMean":
        return WeightedMean(self.total + other.total, self.count + other.count)

    def mean(self) -> Float[jax.Array, ""]:
        """total / count, and 0 where nothing was counted."""
        return self.total / jnp.where(self.count == 0, jnp.ones_like(self.count), self.count)
