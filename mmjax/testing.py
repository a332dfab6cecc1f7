"""Checks for parts of your own: the contracts that every registered part is tested with.

    mmjax.testing.check_fusion(MyFusion())

Each raises an AssertionError that says which contract is broken, and takes some seconds.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from mmjax.objectives import Objective
from mmjax.types import Batch, Masked, Outputs, Tokens

TOLERANCE = 1e-5


def check_encoder(encoder: nn.Module, values: Any, mask: Any) -> None:
    """Check an encoder on `values` of which the mask hides some, and all of one example.

    Args:
        encoder: `(values, mask, train) -> Tokens`
        values: `[batch, ...]`, numbers or ids
        mask: `[batch]`, or `[batch, position]` for what may be padded; False is hidden
    """
    values, mask = jnp.asarray(values), jnp.asarray(mask)
    fast_norms: list[str] = []
    with nn.intercept_methods(_fast_norms(fast_norms)):
        variables = dict(_init(encoder, values, mask))
    _require(not fast_norms, f"use_fast_variance=False: {fast_norms} are off beside a large mean")
    continuous = jnp.issubdtype(values.dtype, jnp.floating)

    def loss(params, values, mask):
        tokens = encoder.apply({**variables, "params": params}, values, mask, train=False)
        return _scalar(tokens), tokens

    wanted = (0, 1) if continuous else (0,)
    measure = jax.jit(jax.grad(loss, argnums=wanted, has_aux=True))
    given = functools.partial(measure, variables.get("params", {}))
    original = given(values, mask)
    gradients, tokens = original
    _require_finite(original)
    _require_alive(gradients[0])
    # So large that a first layer would overflow: garbage must not get as far as that.
    changed = given(garbage(values, mask, scale=1e40), mask)
    _require_equal(original, changed, "hidden values affect tokens or gradients")
    if continuous:
        hidden = np.broadcast_to(_like(~np.asarray(mask), values.ndim), values.shape)
        gradient = np.asarray(gradients[1])
        _require(not np.any(gradient[hidden]), "hidden values receive a gradient")
        _require(bool(np.any(gradient[~hidden])), "visible values receive no gradient")
    nothing, missing = given(values, jnp.zeros_like(mask))
    _require(not np.any(missing.mask), "a missing modality has tokens")
    _require(not np.any(missing.values), "the values of masked tokens are not zero")
    _require(not _any(nothing), "a missing modality has a gradient")
    for extreme in extremes(values):
        _require_finite(given(extreme, mask))
    encode = jax.jit(functools.partial(encoder.apply, variables, train=False))
    for i in range(mask.shape[0]):
        alone: Any = encode(values[i : i + 1], mask[i : i + 1])
        _require_equal(alone.mask[0], tokens.mask[i], "an example depends on its batch")
        _require_close(alone.values[0], tokens.values[i], "an example depends on its batch")
    if mask.ndim == 2 and not hasattr(encoder, "categories"):  # what may be of any length
        _check_lengths(encode, values, mask, tokens)


def _check_lengths(encode: Any, values: jax.Array, mask: jax.Array, tokens: Tokens) -> None:
    padded: Any = encode(
        *(jnp.pad(x, [(0, 0), (0, 3)] + [(0, 0)] * (x.ndim - 2)) for x in (values, mask))
    )
    count = tokens.mask.shape[1]
    _require_equal(padded.mask[:, :count], tokens.mask, "longer padding changes the mask")
    _require(not np.any(padded.mask[:, count:]), "longer padding gives more tokens")
    _require_close(padded.values[:, :count], tokens.values, "longer padding changes tokens")
    empty: Any = encode(values[:, :0], mask[:, :0])
    _require(not np.any(empty.mask), "an empty sequence has tokens")
    _require(not np.any(empty.values), "the values of masked tokens are not zero")


def check_fusion(fusion: nn.Module, modalities: Sequence[str] = ("a", "b", "c")) -> None:
    """Check a fusion, `({modality: Tokens}, train) -> Tokens`, on 1 to all of these modalities."""
    for count in range(1, len(modalities) + 1):
        _check_fusion_of(fusion, list(modalities[:count]))
    _check_order(fusion, list(modalities))
    for given, message in _wrong_tokens(modalities):
        try:
            fusion.init(jax.random.key(0), given, train=False)
        except ValueError as error:
            _require(message in str(error), f"the error for wrong tokens says {error}")
        else:
            raise AssertionError(f"wrong tokens are not refused ({message})")


def _check_fusion_of(fusion: nn.Module, names: list[str]) -> None:
    given = tokens_of(names, batch=16)
    fast_norms: list[str] = []
    with nn.intercept_methods(_fast_norms(fast_norms)):
        variables = dict(_init(fusion, given))
    _require(not fast_norms, f"use_fast_variance=False: {fast_norms} are off beside a large mean")

    def loss(params, values, masks):
        tokens = {name: Tokens(values[name], masks[name]) for name in values}
        fused = fusion.apply({**variables, "params": params}, tokens, train=False)
        return _scalar(fused), fused

    compiled = jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))

    def measure(tokens: Mapping[str, Tokens]) -> Any:
        values = {name: t.values for name, t in tokens.items()}
        masks = {name: t.mask for name, t in tokens.items()}
        (params, inputs), fused = compiled(variables.get("params", {}), values, masks)
        return params, inputs, fused

    original = measure(given)
    params, inputs, fused = original
    _require_finite(original)
    _require_alive(params)
    changed = measure({n: Tokens(garbage(t.values, t.mask), t.mask) for n, t in given.items()})
    _require_equal(original, changed, "masked tokens affect the result or gradients")
    for name, tokens in given.items():
        gradient = np.asarray(inputs[name])
        _require(not np.any(gradient[~np.asarray(tokens.mask)]), "masked tokens receive a gradient")
        # Every position is read in some example (a maximum need not read it in all).
        _require(bool(np.all(np.any(gradient != 0, axis=(0, 2)))), f"{name}: tokens are not read")
    present = np.any([np.any(t.mask, axis=1) for t in given.values()], axis=0)
    _require_equal(fused.present(), present, "tokens where every modality is missing, or none else")
    _require(not np.any(fused.mask[3]), "an example without any modality has tokens")
    _require(not np.any(fused.values[3]), "the values of masked tokens are not zero")
    _check_extremes(measure, given)
    for name in names:  # each one missing in turn in the first example
        gone = {
            n: Tokens(t.values, t.mask.at[:1].set(t.mask[:1] & (n != name)))
            for n, t in given.items()
        }
        found = measure(gone)
        _require_finite(found)
        _require_close(found[2].values[1:], fused.values[1:], "an example depends on its batch")
        _require(not np.any(found[1][name][0]), "a missing modality receives a gradient")
        _require(bool(found[2].present()[0]) == (len(names) > 1), "tokens of what is missing")
        if len(names) > 1:
            changed = bool(np.any(found[2].values[0] != fused.values[0]))
            _require(changed, f"{name} makes no difference")


def _check_extremes(measure: Any, given: Mapping[str, Tokens]) -> None:
    """Constant tokens have no variance, zeros no length, and equal ones no order."""
    first = {n: t.mask & (jnp.arange(t.mask.shape[1]) == 0)[None] for n, t in given.items()}
    alone = next(iter(first))
    for each in zip(*(extremes(t.values) for t in given.values()), strict=True):
        values = dict(zip(first, each, strict=True))
        _require_finite(measure({n: Tokens(values[n], t.mask) for n, t in given.items()}))
        _require_finite(measure({n: Tokens(values[n], first[n] & (n == alone)) for n in first}))


def _check_order(fusion: nn.Module, names: list[str]) -> None:
    given = tokens_of(names)

    def fused(order: list[str]) -> Any:
        """Traced anew for each order: a jitted function would sort a dict that it is given."""
        start = jax.jit(
            lambda values, masks: fusion.init_with_output(
                jax.random.key(0), {n: Tokens(values[n], masks[n]) for n in order}, train=False
            )
        )
        return start({n: t.values for n, t in given.items()}, {n: t.mask for n, t in given.items()})

    expected = fused(names)
    for order in (names[::-1], names[1:] + names[:1]):
        _require_equal(fused(order), expected, "the order of the modalities matters")


def _wrong_tokens(names: Sequence[str]) -> Iterator[tuple[dict[str, Tokens], str]]:
    given = tokens_of(names[:2])
    last = names[1]
    yield {}, "at least one modality"
    yield {**given, last: Tokens(given[last].values, given[last].mask[:, 1:])}, f"{last!r}"
    yield {**given, last: Tokens(given[last].values[1:], given[last].mask[1:])}, f"{last!r}: 3"


def check_head(head: nn.Module) -> None:
    """Check a head, `(tokens, train) -> output`, on tokens of which some are masked."""
    given = tokens_of(("a", "b"))["b"]
    params = _init(head, given).get("params", {})

    @jax.jit
    def measure(params, tokens):
        def loss(params):
            output = head.apply({"params": params}, tokens, train=False)
            return _scalar(output), output

        return jax.grad(loss, has_aux=True)(params)

    original = measure(params, given)
    _require_finite(original)
    _require_alive(original[0])
    changed = measure(params, Tokens(garbage(given.values, given.mask), given.mask))
    _require_equal(original, changed, "masked tokens affect the output or gradients")
    # Biases start at zero: a prior that nothing has taught yet.
    moved = jax.tree.map(lambda x: x + 0.1, params)
    gradient, outputs = measure(moved, Tokens(given.values, jnp.zeros_like(given.mask)))
    for output in map(np.asarray, jax.tree.leaves(outputs)):
        _require(bool(np.all(np.isfinite(output))), "without a token the output is not finite")
        _require(bool(np.all(output == output[:1])), "without a token examples differ")
        _require(bool(np.all(output != 0)), "without a token there is no learned prior")
    _require(_any(gradient), "without a token the head has no gradient")


def check_objective(objective: Objective, output: Any, target: Masked) -> None:
    """Check an objective on an output `[batch, ...]` and a target that some examples miss.

    What stands in a target's values under a False mask, or in rows of weight 0, may be anything.
    """
    output, mask = jnp.asarray(output), jnp.asarray(target.mask)
    weight = jnp.ones(output.shape[0]).at[1].set(0.0)
    ids = jnp.arange(output.shape[0])

    def loss(output, values):
        targets = {objective.target or "": Masked(values, mask)}
        batch = Batch({}, targets, weight, ids)
        means = objective(Outputs({objective.output: output}), batch)
        return means["loss"].mean(), means

    measure = jax.jit(jax.grad(loss, has_aux=True))
    values = jnp.asarray(target.values)
    original = measure(output, values)
    _require_finite(original)
    hidden = ~np.asarray(mask) | (np.asarray(weight) == 0).reshape(-1, *[1] * (mask.ndim - 1))
    gradient = np.asarray(original[0])
    lost = np.broadcast_to(_like(hidden, gradient.ndim), gradient.shape)
    _require(not np.any(gradient[lost]), "an output without a target receives a gradient")
    _require(bool(np.any(gradient[~lost])), "the loss has no gradient")
    _require(int(np.sum(~hidden)) > 0, "every target of the check is missing")
    others = [garbage(values, ~hidden)]
    if jnp.issubdtype(values.dtype, jnp.floating):
        others.append(jnp.where(_like(~hidden, values.ndim), values, jnp.nan))
    for other in others:
        _require_equal(measure(output, other), original, "a missing target affects the loss")
    nan = jnp.where(lost, jnp.nan, output)
    _require_equal(measure(nan, values), original, "an output without a target affects the loss")


def tokens_of(names: Sequence[str], dim: int = 8, batch: int = 4) -> dict[str, Tokens]:
    """Tokens, a different number for each modality; example 0 has all, example 3 has none."""
    rng = np.random.default_rng(0)
    found = {}
    for position, name in enumerate(names):
        count = position + 2
        mask = rng.random((batch, count)) < 0.7
        mask[0], mask[3] = True, False
        values = rng.normal(size=(batch, count, dim)).astype(np.float32)
        found[name] = Tokens(jnp.asarray(values), jnp.asarray(mask))
    return found


def garbage(values: Any, mask: Any, scale: float = 1e30) -> jax.Array:
    """Other values wherever the mask is False: large for numbers, any other id for integers."""
    rng = np.random.default_rng(9)
    values = jnp.asarray(values)
    if jnp.issubdtype(values.dtype, jnp.integer):
        other = rng.integers(0, 20, values.shape).astype(values.dtype)
    else:
        other = np.clip(rng.normal(size=values.shape) * scale, -3e38, 3e38).astype(np.float32)
    return jnp.where(_like(mask, values.ndim), values, other)


def extremes(values: Any) -> list[jax.Array]:
    """Inputs of the same kind that are huge, constant or nothing but one unknown word."""
    if jnp.issubdtype(values.dtype, jnp.integer):
        return [jnp.full_like(values, number) for number in (0, 19, -1, 10**9)]
    return [1e4 * values, *(jnp.full_like(values, number) for number in (0.0, 1.0, -1e4))]


def _init(module: nn.Module, *inputs: Any) -> Any:
    return jax.jit(functools.partial(module.init, train=False))(jax.random.key(0), *inputs)


def _scalar(output: Any) -> jax.Array:
    """A number in which every visible value counts differently, nonlinearly."""
    total = jnp.zeros(())
    if isinstance(output, Tokens):
        output = jnp.where(output.mask[:, :, None], output.values, 0.0)
    for leaf in jax.tree.leaves(output):
        weights = jax.random.normal(jax.random.key(3), leaf.shape)
        total += jnp.sum(weights * (leaf + leaf**2))
    return total


def _fast_norms(found: list[str]) -> Any:
    """Collects norms whose variance is a difference of squares: wrong beside a large mean."""

    def watch(method: Any, args: tuple, kwargs: dict, context: Any) -> Any:
        norm = context.module
        if isinstance(norm, nn.LayerNorm | nn.GroupNorm) and norm.use_fast_variance:
            found.append("/".join(norm.path))
        return method(*args, **kwargs)

    return watch


def _like(mask: Any, ndim: int) -> Any:
    """A mask with as many axes as the values that it is of."""
    return np.reshape(np.asarray(mask), np.shape(mask) + (1,) * (ndim - np.ndim(mask)))


def _any(tree: Any) -> bool:
    return any(np.any(leaf) for leaf in jax.tree.leaves(tree))


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise AssertionError(otherwise)


def _require_finite(tree: Any) -> None:
    _require(all(np.all(np.isfinite(x)) for x in jax.tree.leaves(tree)), "NaN or infinity")


def _require_alive(gradients: Any) -> None:
    dead = [
        jax.tree_util.keystr(path, simple=True, separator="/")
        for path, leaf in jax.tree_util.tree_leaves_with_path(gradients)
        if not np.any(leaf)
    ]
    _require(not dead, f"the gradient of these parameters is zero: {dead}")


def _require_equal(left: Any, right: Any, otherwise: str) -> None:
    same = all(
        np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, (left, right)), strict=True)
    )
    _require(same, otherwise)


def _require_close(left: Any, right: Any, otherwise: str) -> None:
    close = np.allclose(left, right, rtol=1e-5, atol=TOLERANCE)
    _require(close, f"{otherwise}: by {np.max(np.abs(np.asarray(left) - np.asarray(right)))}")
