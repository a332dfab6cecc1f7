"""The recorded outputs of a split, as it is and with modalities hidden or disturbed."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float, Int

from mmjax.data.dataset import Source
from mmjax.data.pipeline.batches import eval_batches
from mmjax.data.subset import Subset
from mmjax.data.transforms.table import TableTransform
from mmjax.evaluation.opened import Opened
from mmjax.layers.tokens.masking import clear
from mmjax.types import Batch, Masked, Outputs

Records = dict[str, dict[str, np.ndarray]]  # {objective: {name: [example, ...]}}


class Examined:
    """A split, and a sample of it that is read once; every pass is one compiled program."""

    def __init__(
        self, opened: Opened, split: str, *, sample: int = 1000, batch_size: int = 128
    ) -> None:
        self._opened, self.split = opened, split
        self.source = opened.experiment.data.source(split)
        self._size = min(batch_size, len(self.source))
        # In the order in which they were drawn, so that every batch is a sample too.
        self.rows = drawn(len(self.source), sample)
        self.modalities = tuple(sorted(opened.restored.preprocessing.transforms))
        objectives = opened.experiment.objectives
        transforms = opened.restored.preprocessing.transforms
        numeric = {name: _numeric(one) for name, one in transforms.items()}

        @jax.jit
        def step(variables: Any, batch: Batch, keep: Any, noise: Any, key: Array) -> Any:
            inputs = {
                name: disturbed(
                    given, keep[name], noise[name], numeric[name], jax.random.fold_in(key, place)
                )
                for place, (name, given) in enumerate(sorted(batch.inputs.items()))
            }
            model = opened.restored.model
            outputs = model.apply(variables, inputs, train=False, targets=batch.targets)
            records = {n: o.record(cast(Outputs, outputs), batch) for n, o in objectives.items()}
            return records, cast(Outputs, outputs).present

        self._step = step

    def __len__(self) -> int:
        return len(self.source)

    @functools.cached_property
    def batches(self) -> Sequence[Batch]:
        """The sample, preprocessed and held in memory; the last batch is padded."""
        return list(self._read(Subset(self.source, self.rows)))

    def whole(self) -> tuple[Records, dict[str, np.ndarray]]:
        """What every objective records of the split, and which examples have which modality."""
        return self._pass(self._read(self.source), len(self), {}, {}, 0)

    def changed(
        self,
        keep: Mapping[str, Bool[np.ndarray, "example"]] | None = None,
        noise: Mapping[str, float] | None = None,
        seed: int = 0,
    ) -> Records:
        """The records of the sample, changed.

        Args:
            keep: the examples of the sample in which a modality stays visible; by default all
            noise: standard deviations of what is added to a modality's standardised values; of
                words the share that is hidden; of a table's categories the share of cells, at
                most 1, that become those of another example
            seed: of the noise
        """
        return self._pass(self.batches, len(self.rows), keep or {}, noise or {}, seed)[0]

    def memory(self) -> int | None:
        """Bytes that the program of one batch needs, as its compiler plans; None if unknown."""
        shown = {name: np.ones(self._size, bool) for name in self.modalities}
        levels = dict.fromkeys(self.modalities, jnp.zeros((), jnp.float32))
        given = (self.batches[0], shown, levels, jax.random.key(0))
        plan = self._step.lower(self._opened.restored.variables, *given).compile().memory_analysis()
        if plan is None:
            return None
        sizes = plan.argument_size_in_bytes + plan.output_size_in_bytes
        return sizes + plan.temp_size_in_bytes

    def _read(self, source: Source) -> Any:
        preprocessing = self._opened.restored.preprocessing
        return eval_batches(source, preprocessing, batch_size=self._size)

    def _pass(self, batches: Any, count: int, keep: Any, noise: Any, seed: int) -> Any:
        levels = {name: jnp.asarray(noise.get(name, 0.0), jnp.float32) for name in self.modalities}
        key, parts = jax.random.key(seed), []
        with jax.enable_x64(False):  # runs use 32 bits, whatever the process uses
            for place, batch in enumerate(batches):
                shown = {name: self._shown(keep.get(name), place) for name in self.modalities}
                own = jax.random.fold_in(key, place)
                given = (self._opened.restored.variables, batch, shown, levels, own)
                parts.append(jax.device_get(self._step(*given)))
        return jax.tree.map(lambda *x: np.concatenate(x)[:count], *parts)

    def _shown(self, keep: np.ndarray | None, place: int) -> Bool[np.ndarray, "batch"]:
        shown = np.ones(self._size, bool)
        if keep is not None:
            own = keep[place * self._size : (place + 1) * self._size]
            shown[: len(own)] = own
        return shown


def drawn(count: int, most: int) -> Int[np.ndarray, "row"]:
    """At most `most` of `count` places, drawn without replacement and always the same."""
    return np.random.default_rng(0).permutation(count)[:most]


def disturbed(
    given: Masked,
    keep: Bool[Array, "batch"],
    noise: Float[Array, ""],
    numeric: Bool[np.ndarray, "_"],
    key: Array,
) -> Masked:
    """An input that is hidden where `keep` is False; numbers with noise, words hidden at random.

    `numeric`: of the last axis, or `[True]` for all. The others are categories of a table: the
    share `noise` of these cells is drawn anew, from the examples of the batch that have the cell.
    """
    values, mask = jnp.asarray(given.values), clear(jnp.asarray(given.mask), keep)
    if not jnp.issubdtype(values.dtype, jnp.floating):
        return Masked(values, mask & (jax.random.uniform(key, mask.shape) >= noise))
    added = noise.astype(values.dtype) * jax.random.normal(key, values.shape, values.dtype)
    if numeric.all():
        return Masked(values + added, mask)
    who, where = jax.random.split(jax.random.fold_in(key, 1))
    having = jnp.where(jnp.asarray(given.mask).T, 0.0, -jnp.inf)
    other = jax.random.categorical(who, having, shape=values.shape)
    changes = jnp.asarray(given.mask) & (jax.random.uniform(where, values.shape) < noise)
    exchanged = jnp.where(changes, jnp.take_along_axis(values, other, axis=0), values)
    return Masked(jnp.where(jnp.asarray(numeric)[None], values + added, exchanged), mask)


def take(records: Mapping[str, Any], rows: np.ndarray) -> Any:
    """Some examples of the records of an objective."""
    return {name: values[rows] for name, values in records.items()}


def _numeric(transform: Any) -> Bool[np.ndarray, "_"]:
    kinds = transform.categories if isinstance(transform, TableTransform) else (0,)
    return np.array(kinds) == 0
