"""The types that flow between the parts: Batch -> Tokens -> Outputs -> WeightedMean.

Axis names in every signature come from this vocabulary:

    batch    examples                     token    positions of one modality, or of several joined
    height, width, channel  of an image   word     positions of a padded text
    dim      width of a token             label    labels of one example
    class    logits or probabilities of classes
    head     attention heads              step     of a time series, or of an alignment
    sample, frame, mel   of a sound: of its waveform, of its spectrogram, and its bands
    column   of a table                   point    of a set of points
    feature  numbers of one word, step, point ... as they are given
    task     objectives of a training
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, Union

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Bool, Float, Int, Shaped

AnyArray = Union[jax.Array, np.ndarray]


@struct.dataclass
class Masked:
    """Values of which some may be missing: one input modality, or one target, of a batch.

    The axes of `mask` are the leading axes of `values`. Of an input it is False where there is
    nothing to read (a padded word, or all of a missing modality): `[batch]` for an image,
    `[batch, word]` for a text. Of a target it is False in the examples that have none. Values under
    a False mask must not affect any output and receive zero gradient.
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
    """Some examples: what models read, what objectives compare the outputs with.

    `weight` is 0 for rows that only fill up the last batch; `ids` are positions in the split.
    """

    inputs: Mapping[str, Masked]  # by modality
    targets: Mapping[str, Masked]  # by name
    weight: Float[AnyArray, "batch"]
    ids: Int[AnyArray, "batch"]


@struct.dataclass
class RowIndices:
    """A batch whose inputs lie on the device already: their row in the columns of each modality."""

    rows: Mapping[str, Int[AnyArray, "batch"]]
    targets: Mapping[str, Masked]
    weight: Float[AnyArray, "batch"]
    ids: Int[AnyArray, "batch"]

    def batch(self, columns: Mapping[str, Masked]) -> Batch:
        """The batch with its inputs, gathered from all rows of each modality."""
        inputs = {
            name: Masked(columns[name].values[rows], columns[name].mask[rows])
            for name, rows in self.rows.items()
        }
        return Batch(inputs, self.targets, self.weight, self.ids)


@struct.dataclass
class Outputs:
    """What a model returns. A head's value is an array `[batch, ...]` or a tree of them."""

    values: Mapping[str, Any]  # {head: value}
    # {head: {modality: value}}: a head of the same kind that reads one modality alone.
    unimodal: Mapping[str, Mapping[str, Any]] = struct.field(default_factory=dict)
    # {modality: bool [batch]}: whether an example has the modality.
    present: Mapping[str, Any] = struct.field(default_factory=dict)


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


class MetricName(NamedTuple):
    """The name of a quantity that a step or an evaluation reports; written with slashes in logs."""

    source: str  # the objective, or `auxiliary` for losses that modules add
    quantity: str  # such as `loss` or `accuracy`
    part: str = ""  # the modality that was read alone, or the module of an auxiliary loss

    def __str__(self) -> str:
        return "/".join(filter(None, (self.source, self.part, self.quantity)))
