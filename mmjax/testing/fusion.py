"""The contracts of a fusion."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from mmjax.testing import checks
from mmjax.testing.samples import extremes, garbage, tokens_of
from mmjax.types import Tokens


def check_fusion(fusion: nn.Module, modalities: Sequence[str] = ("a", "b", "c")) -> None:
    """Check a fusion, `({modality: Tokens}, train) -> Tokens`, on 1 to all of these modalities.

    Raises:
        AssertionError: the fusion breaks a contract; says which.
    """
    for count in range(1, len(modalities) + 1):
        _check_fusion_of(fusion, list(modalities[:count]))
    _check_order(fusion, list(modalities))
    for given, message in _wrong_tokens(modalities):
        try:
            fusion.init(jax.random.key(0), given, train=False)
        except ValueError as error:
            checks.require(message in str(error), f"the error for wrong tokens says {error}")
        else:
            raise AssertionError(f"wrong tokens are not refused ({message})")


def _check_fusion_of(fusion: nn.Module, names: list[str]) -> None:
    given = tokens_of(names, batch=16)
    variables = checks.init(fusion, given)

    def loss(params, values, masks):
        tokens = {name: Tokens(values[name], masks[name]) for name in values}
        fused = fusion.apply({**variables, "params": params}, tokens, train=False)
        return checks.scalar(fused), fused

    compiled = jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))

    def measure(tokens: Mapping[str, Tokens]) -> Any:
        values = {name: t.values for name, t in tokens.items()}
        masks = {name: t.mask for name, t in tokens.items()}
        (params, inputs), fused = compiled(variables.get("params", {}), values, masks)
        return params, inputs, fused

    original = measure(given)
    params, inputs, fused = original
    checks.require_finite(original)
    checks.require_alive(params)
    changed = measure({n: Tokens(garbage(t.values, t.mask), t.mask) for n, t in given.items()})
    checks.require_equal(original, changed, "masked tokens affect the result or gradients")
    for name, tokens in given.items():
        gradient = np.asarray(inputs[name])
        checks.require(
            not np.any(gradient[~np.asarray(tokens.mask)]), "masked tokens receive a gradient"
        )
        # Every position must be read in some example; a maximum does not read it in all.
        checks.require(
            bool(np.all(np.any(gradient != 0, axis=(0, 2)))), f"{name}: tokens are not read"
        )
    present = np.any([np.any(t.mask, axis=1) for t in given.values()], axis=0)
    checks.require_equal(
        fused.present(), present, "tokens where every modality is missing, or none else"
    )
    checks.require(not np.any(fused.mask[3]), "an example without any modality has tokens")
    checks.require(not np.any(fused.values[3]), "the values of masked tokens are not zero")
    _check_extremes(measure, given)
    for name in names:  # each one missing in turn in the first example
        gone = {
            n: Tokens(t.values, t.mask.at[:1].set(t.mask[:1] & (n != name)))
            for n, t in given.items()
        }
        found = measure(gone)
        checks.require_finite(found)
        checks.require_close(
            found[2].values[1:], fused.values[1:], "an example depends on its batch"
        )
        checks.require(not np.any(found[1][name][0]), "a missing modality receives a gradient")
        checks.require(bool(found[2].present()[0]) == (len(names) > 1), "tokens of what is missing")
        if len(names) > 1:
            changed = bool(np.any(found[2].values[0] != fused.values[0]))
            checks.require(changed, f"{name} makes no difference")


def _check_extremes(measure: Any, given: Mapping[str, Tokens]) -> None:
    """Constant tokens have no variance, zeros no norm, and equal ones no order."""
    first = {n: t.mask & (jnp.arange(t.mask.shape[1]) == 0)[None] for n, t in given.items()}
    alone = next(iter(first))
    for each in zip(*(extremes(t.values) for t in given.values()), strict=True):
        values = dict(zip(first, each, strict=True))
        checks.require_finite(measure({n: Tokens(values[n], t.mask) for n, t in given.items()}))
        checks.require_finite(
            measure({n: Tokens(values[n], first[n] & (n == alone)) for n in first})
        )


def _check_order(fusion: nn.Module, names: list[str]) -> None:
    given = tokens_of(names)

    def fused(order: list[str]) -> Any:
        """Not jitted with the dict as argument: JAX would sort its keys."""
        start = jax.jit(
            lambda values, masks: fusion.init_with_output(
                jax.random.key(0), {n: Tokens(values[n], masks[n]) for n in order}, train=False
            )
        )
        return start({n: t.values for n, t in given.items()}, {n: t.mask for n, t in given.items()})

    expected = fused(names)
    for order in (names[::-1], names[1:] + names[:1]):
        checks.require_equal(fused(order), expected, "the order of the modalities matters")


def _wrong_tokens(names: Sequence[str]) -> Iterator[tuple[dict[str, Tokens], str]]:
    given = tokens_of(names[:2])
    last = names[1]
    yield {}, "at least one modality"
    yield {**given, last: Tokens(given[last].values, given[last].mask[:, 1:])}, f"{last!r}"
    yield {**given, last: Tokens(given[last].values[1:], given[last].mask[1:])}, f"{last!r}: 3"
