"""A watch over the shapes of batches: a new one makes XLA compile the step again, in silence."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import jax

from mmjax.layers.tracing.paths import path_of

Shapes = tuple[tuple[tuple[int, ...], Any], ...]  # of every array: its shape and type


class Watch:
    """Says of each new kind of batch, once, at which step it came and which arrays were otherwise.

    `lengths`: by modality the sizes of the second axis that are expected to change from batch to
    batch (`data/buckets.py`). They are compiled as well, but there is nothing to mend.
    """

    def __init__(
        self, say: Callable[[str], None], lengths: Mapping[str, Collection[int]] | None = None
    ) -> None:
        self._say = say
        self._lengths = lengths or {}
        self._seen: set[Shapes] = set()
        self._last: tuple[Any, Shapes] | None = None  # a batch's structure, and what it held

    def __call__(self, step: int, batch: Any) -> None:
        """Takes the batch of every step; a few microseconds where it is as others were."""
        leaves, structure = jax.tree.flatten(batch)
        shapes = tuple((x.shape, x.dtype) for x in leaves)
        if shapes not in self._seen:
            self._seen.add(shapes)
            if self._last is not None:
                self._compare(step, _by_path(*self._last), _by_path(structure, shapes))
        self._last = structure, shapes

    def _compare(self, step: int, before: dict[str, Any], now: dict[str, Any]) -> None:
        lines = [
            f"{path} {_said(before.get(path))}, {_said(now.get(path), 'is')}"
            for path in sorted({*before, *now})
            if before.get(path) != now.get(path)
            and not self._expected(path, before.get(path), now.get(path))
        ]
        if lines:
            self._say(f"step {step} compiles again: {'; '.join(lines)}")

    def _expected(self, path: str, before: Any, now: Any) -> bool:
        """Whether only the length of a modality is another, and it may be."""
        modality = path.removeprefix("inputs/").rpartition("/")[0]
        lengths = self._lengths.get(modality, ())
        if not lengths or before is None or now is None:
            return False
        (old, old_kind), (new, new_kind) = before, now
        same = old_kind == new_kind and old[:1] + old[2:] == new[:1] + new[2:]
        return same and new[1] in lengths


def _by_path(structure: Any, shapes: Shapes) -> dict[str, Any]:
    tree = jax.tree.unflatten(structure, range(len(shapes)))
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {path_of(path): shapes[place] for path, place in leaves}


def _said(form: Any, verb: str = "was") -> str:
    if form is None:
        return f"{verb} absent"
    shape, kind = form
    return f"{verb} {kind}[{','.join(map(str, shape))}]"
