"""The base class of objectives that compare all pairs of the global batch."""

import abc
import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from mmjax.errors import UserError
from mmjax.layers.tokens.masking import clear
from mmjax.layers.tracing import collectives
from mmjax.metrics import retrieval
from mmjax.objectives.duplicates import fingerprint
from mmjax.objectives.objective import Objective
from mmjax.types import Batch, Outputs, WeightedMean


class Side(NamedTuple):
    """The rows of one modality: this device's, or those of the global batch."""

    vectors: Array  # [row, dim]; zeros where weight is 0
    weight: Array  # [row], 0 where the pair is not whole
    group: Array  # [row, 2 n]: rows that are equal in a pair of numbers belong together


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pairs(Objective):
    """Compares two modalities of each example, and of all others in the global batch.

    An example counts if it has both. Rows whose `target`, a group, is equal belong together too:
    five captions of a picture, two pictures of a word; in the loss also rows that are equal in one
    of the modalities, such as two pictures with the same caption. Memory grows with `chunk` times
    the batch.
    In an evaluation the loss compares the examples of one chunk of it; the metrics compare all.
    They are called after the side that is searched: `first` and `second` in alphabetical order, or
    the names in `modalities`.
    """

    output: str = "embedding"
    target: str | None = None  # a group target; none: each row belongs to itself alone
    # The two modalities; none: those of the model, which must then have two.
    modalities: tuple[str, ...] = ()
    chunk: int = 1024  # rows that are compared with the whole batch at a time

    mixes_examples: ClassVar[bool] = True
    reads_vectors: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.modalities) not in (0, 2) or self.chunk < 1:
            raise UserError(
                "expected two modalities and a chunk of at least 1, got "
                f"{self.modalities} and {self.chunk}"
            )

    @abc.abstractmethod
    def rows(self, cosines: Array, same: Array, counted: Array, scale: Array, bias: Array) -> Array:
        """The loss `[row]` of some rows.

        Args:
            cosines: `[row, column]` with all rows of the other modality
            same: `[row, column]`, True for pairs that belong together
            counted: `[1, column]`, False for columns that must have no effect
            scale: factor of cosines
            bias: added to scaled cosines
        """

    def __call__(self, outputs: Outputs, batch: Batch) -> dict[str, WeightedMean]:
        """`loss`, the mean of both directions, and `accuracy`: the nearest belongs to the row."""
        first, second, scale, bias = self._sides(outputs, batch)
        everything = collectives.gather((first, second))
        total = jnp.zeros(())
        right = jnp.zeros(())
        for own, others in ((first, everything[1]), (second, everything[0])):
            losses, hits = self._all_rows(own, others, scale, bias)
            total += jnp.sum(own.weight * losses) / 2
            right += jnp.sum(own.weight * hits) / 2
        count = jnp.sum(first.weight)
        return {"loss": WeightedMean(total, count), "accuracy": WeightedMean(right, count)}

    def record(self, outputs: Outputs, batch: Batch) -> dict[str, Array]:
        """The vectors of both modalities, the group and the weight of each example."""
        first, second, _, _ = self._sides(outputs, batch)
        return {
            "first": first.vectors,
            "second": second.vectors,
            "group": first.group[:, :2],
            "weight": first.weight,
        }

    def metrics(self, records: Mapping[str, np.ndarray], kind: Any) -> dict[str, float]:
        """Recall, ranks and precision of searching each modality by the other."""
        del kind
        found = self.by_query(records)
        return {name: retrieval.summary_of(name)(values) for name, values in found.items()}

    def by_query(self, records: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The values of each query that the metrics summarise."""
        kept = records["weight"] > 0
        if not np.any(kept):
            return {}
        first, second, group = (records[name][kept] for name in ("first", "second", "group"))
        there = retrieval.by_query(first, second, group)
        back = retrieval.by_query(second, first, group)
        forward, backward = ("second", "first")
        if self.modalities:
            forward, backward = self.modalities[1], self.modalities[0]
        return {f"{n}_{forward}": v for n, v in there.items()} | {
            f"{n}_{backward}": v for n, v in back.items()
        }

    def predictions(self, outputs: Outputs, kind: Any) -> list[dict[str, Any]]:
        """The cosine of the two modalities of each example."""
        del kind
        names = self._names(outputs)
        a, b = (np.asarray(outputs.values[self.output]["vectors"][name]) for name in names)
        return [{"value": float(value)} for value in np.sum(a * b, axis=1)]

    def _names(self, outputs: Outputs) -> tuple[str, ...]:
        vectors = outputs.values[self.output]["vectors"]
        names = self.modalities or tuple(sorted(vectors))
        if len(names) != 2 or not set(names) <= set(vectors):
            raise UserError(
                f"objective of {self.output!r}: expected two modalities of {sorted(vectors)}, got "
                f"{list(names)}; choose them with its field modalities"
            )
        return names

    def _sides(self, outputs: Outputs, batch: Batch) -> tuple[Side, Side, Array, Array]:
        names = self._names(outputs)
        values = outputs.values[self.output]
        weight = jnp.asarray(batch.weight)
        for name in names:
            weight = jnp.where(outputs.present[name], weight, 0.0)
        # With a group, a row whose group is missing belongs to itself alone, as without one.
        ids = jnp.asarray(batch.ids).astype(jnp.int32)
        group = jnp.stack([ids, jnp.full_like(ids, -1)], axis=1)
        if self.target is not None:
            given = batch.targets[self.target]
            group = jnp.where(jnp.asarray(given.mask)[:, None], jnp.asarray(given.values), group)
        alike = [fingerprint(batch.inputs[name]) for name in names if name in batch.inputs]
        group = jnp.concatenate([group, *alike], axis=1)
        first, second = (
            Side(clear(values["vectors"][name], weight > 0), weight, group) for name in names
        )
        return first, second, jnp.asarray(values["scale"]), jnp.asarray(values["bias"])

    def _all_rows(self, own: Side, others: Side, scale: Array, bias: Array) -> tuple[Array, Array]:
        """The loss of each own row, and whether its nearest row belongs to it."""
        counted = (others.weight > 0)[None]

        def part(rows: tuple[Array, Array]) -> tuple[Array, Array]:
            vectors, group = rows
            cosines = vectors @ others.vectors.T
            same = counted & functools.reduce(
                jnp.logical_or,
                (
                    jnp.all(group[:, None, n : n + 2] == others.group[None, :, n : n + 2], axis=2)
                    for n in range(0, group.shape[1], 2)
                ),
            )
            losses = self.rows(cosines, same, counted, scale, bias)
            nearest = jnp.argmax(jnp.where(counted, cosines, -2.0), axis=1)
            hits = jnp.take_along_axis(same, nearest[:, None], axis=1)[:, 0]
            return losses, hits.astype(jnp.float32)

        rows = own.vectors.shape[0]
        parts = -(-rows // self.chunk)
        surplus = -rows % parts
        padded = [jnp.pad(x, ((0, surplus), (0, 0))) for x in (own.vectors, own.group)]
        # Each part has rows of every device, where the compiler splits the batch over devices.
        split = [jnp.swapaxes(jnp.reshape(x, (-1, parts, x.shape[1])), 0, 1) for x in padded]
        # Computed again for the gradient: no pair of the batch is kept.
        found = jax.lax.map(jax.checkpoint(part), tuple(split))
        losses, hits = (jnp.ravel(jnp.swapaxes(x, 0, 1))[:rows] for x in found)
        return losses, hits
