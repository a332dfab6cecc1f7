"""Which parts of the inputs an output depends on: gradients and integrated gradients.

Sundararajan et al. 2017, arXiv:1703.01365. Words, and cells of categories, are followed from their
embeddings on, because a word's number has no gradient.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats
from flax import linen as nn
from jax import Array
from jaxtyping import Float, Shaped

from mmjax.layers.tokens.cells import CellEmbedding, Cells
from mmjax.layers.tokens.masking import clear
from mmjax.layers.tokens.word_embedding import WordEmbedding
from mmjax.models.base import Model
from mmjax.types import Batch, Masked, Outputs, Tokens

STEPS = 64  # places on the path from nothing to the input
SOUND = {"steps": 256, "power": 8}  # of models that hear: they change most close to silence

Score = Callable[[Outputs], Float[Array, "batch"]]


class Attribution(NamedTuple):
    """By modality one number for each pixel, word, cell, token or sample of an example."""

    integrated: Mapping[str, Float[np.ndarray, "batch ..."]]  # they sum to score - baseline
    gradient: Mapping[str, Float[np.ndarray, "batch ..."]]  # absolute values, summed
    score: Float[np.ndarray, "batch"]  # of the input
    baseline: Float[np.ndarray, "batch"]  # of zeros: mean pixels, silence, words without meaning
    # With signs, of inputs without embedding: the mean along the path, and at the input.
    slopes: Mapping[str, tuple[Float[np.ndarray, "batch ..."], ...]]

    def gap(self) -> Float[np.ndarray, "batch"]:
        """What is missing to completeness: score - baseline - the sum of all attributions."""
        total = sum(np.sum(x.reshape(len(x), -1), axis=1) for x in self.integrated.values())
        return self.score - self.baseline - total


def attribute(
    model: Model, variables: Any, batch: Batch, score: Score, steps: int = STEPS, power: int = 1
) -> Attribution:
    """Integrated gradients of a score, and its gradients at the input.

    sum over the path of d score / dx times the step, from zeros to the input of all modalities at
    once; what is masked stays masked. Zero is the mean of standardised inputs. The path's place
    is u^power at midpoints u of equal parts: where what is loud or quiet is heard alike, all
    happens next to silence, which a high power resolves.
    """
    edges = np.linspace(0, 1, steps + 1)
    places = ((edges[1:] + edges[:-1]) / 2) ** power, np.diff(edges**power)
    with jax.enable_x64(False):
        started = _starts(model, variables, batch)

        def scored(values: Any) -> Array:
            return score(_applied(model, variables, batch, values))

        gradient = jax.grad(lambda values: jnp.sum(scored(values)))

        @jax.jit
        def both(values: Any) -> Any:
            def step(total: Any, place: Any) -> Any:
                share, part = place
                found = gradient(jax.tree.map(lambda x: share.astype(x.dtype) * x, values))
                return jax.tree.map(lambda t, g: t + part.astype(g.dtype) * g, total, found), None

            start = jax.tree.map(jnp.zeros_like, values)
            mean, _ = jax.lax.scan(step, start, jax.tree.map(jnp.float32, places))
            return mean, gradient(values), scored(values), scored(start)

        mean, at_input, value, nothing = jax.device_get(both(started))
    integrated = jax.tree.map(lambda g, x: g * np.asarray(x), mean, started)
    size = jax.tree.map(np.abs, at_input)
    return Attribution(
        {name: _by_place(name, model, parts, batch) for name, parts in integrated.items()},
        {name: _by_place(name, model, parts, batch) for name, parts in size.items()},
        value,
        nothing,
        {name: (x, at_input[name]) for name, x in mean.items() if not isinstance(x, dict)},
    )


def similarity(left: Attribution, right: Attribution) -> dict[str, float]:
    """Spearman's correlation of two attributions' sizes by modality, the mean over examples.

    The sanity check of Adebayo et al. 2018, arXiv:1810.03292: attributions of a model with random
    weights must differ from those of the trained one. NaN where nothing varies.
    """
    found = {}
    for name, one in left.integrated.items():
        kept = []
        for a, b in zip(np.abs(one), np.abs(right.integrated[name]), strict=True):
            some = (a > 0) | (b > 0)  # what is masked is alike in any case
            if some.any() and min(np.ptp(a[some]), np.ptp(b[some])) > 0:
                result: Any = scipy.stats.spearmanr(a[some], b[some])
                kept.append(result.statistic)
        found[name] = float(np.mean(kept)) if kept else float("nan")
    return found


def randomised(model: Model, batch: Batch, seed: int = 1) -> Any:
    """New random variables of the model."""
    with jax.enable_x64(False):
        return jax.jit(lambda: model.init(jax.random.key(seed), batch.inputs, train=False))()


def _starts(model: Model, variables: Any, batch: Batch) -> dict[str, Any]:
    """Where the gradient of each modality begins: its values, or what its embedding returns."""
    found: dict[str, Any] = {}

    def look(call: Callable, args: tuple, kwargs: dict, context: Any) -> Any:
        result = call(*args, **kwargs)
        name = _modality(model, context) if _embeds(context) else None
        if name is not None:
            found.setdefault(name, _continuous(result))
        return result

    def run(variables: Any, inputs: Any) -> Any:
        with nn.intercept_methods(look):
            model.apply(variables, inputs, train=False, targets=batch.targets)
        return dict(found)

    embedded = jax.jit(run)(variables, batch.inputs)
    numbers = {
        name: jnp.asarray(given.values)
        for name, given in batch.inputs.items()
        if jnp.issubdtype(given.values.dtype, jnp.floating)
    }
    return {**numbers, **embedded}


def _applied(model: Model, variables: Any, batch: Batch, values: Mapping[str, Any]) -> Any:
    """The outputs, with other values or embeddings."""
    used: set[str] = set()

    def put(call: Callable, args: tuple, kwargs: dict, context: Any) -> Any:
        result = call(*args, **kwargs)
        name = _modality(model, context) if _embeds(context) else None
        if name is None or name in used:
            return result
        used.add(name)
        given = values[name]
        if isinstance(result, Cells):
            count, mask = given["numbers"].shape[1], result.mask
            numbers = clear(given["numbers"], mask[:, :count])
            return Cells(numbers, clear(given["categories"], mask[:, count:]), mask)
        return Tokens(clear(given["words"], result.mask), result.mask)

    inputs = {
        name: Masked(given.values if isinstance(values[name], dict) else values[name], given.mask)
        for name, given in batch.inputs.items()
    }
    with nn.intercept_methods(put):
        return model.apply(variables, inputs, train=False, targets=batch.targets)


def _embeds(context: Any) -> bool:
    kinds = (WordEmbedding, CellEmbedding)
    return isinstance(context.module, kinds) and context.method_name == "__call__"


def _modality(model: Model, context: Any) -> str | None:
    """The modality to whose encoder a module belongs."""
    top = context.module.path[0] if context.module.path else ""
    return next((name for name in model.encoders if model.path_of(name) == top), None)


def _continuous(result: Any) -> dict[str, Array]:
    if isinstance(result, Cells):
        return {"numbers": result.numbers, "categories": result.categories}
    return {"words": result.values}


def _by_place(
    name: str, model: Model, parts: Any, batch: Batch
) -> Shaped[np.ndarray, "batch *position"]:
    """The sum over what belongs to one pixel, word, token or cell; cells in the table's order."""
    if not isinstance(parts, dict):
        positions = batch.inputs[name].mask.ndim
        picture = parts.ndim == 4 and positions == 1
        if positions == 2 and parts.ndim == 3 and parts.shape[1] == 1:
            return parts[:, 0]  # one token: its features
        return parts.sum(axis=-1) if picture or parts.ndim > max(positions, 2) else parts
    if "words" in parts:
        return parts["words"].sum(axis=-1)
    kinds = np.array(model.encoders[name].categories or (0,) * parts["numbers"].shape[1])
    cells = np.zeros((len(parts["numbers"]), len(kinds)), np.float32)
    cells[:, kinds == 0] = parts["numbers"]
    cells[:, kinds > 0] = parts["categories"].sum(axis=-1)
    return cells
