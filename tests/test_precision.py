"""bfloat16 compute from float32 parameters: every module, and the option of the model."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from mmjax.fusion import FUSIONS as REGISTERED
from mmjax.heads import Decoder
from mmjax.imputation import IMPUTATIONS
from mmjax.layers.tracing.precision import cast_floats
from mmjax.types import Masked, Tokens
from tests import samples

# Linen's LayerNorm and jax's attention compute their statistics in float32, and mix types there. A
# module that promotes where it should not is found all the same: its result is float32 then.
pytestmark = pytest.mark.usefixtures("standard_promotion")

half = cast_floats(jnp.bfloat16)


def both(module, *inputs, given=None):
    """What a module makes of its inputs in float32 and, its parameters cast, in bfloat16.

    Extreme inputs, for which there is nothing to compare, are held to be finite in both.
    """
    start = jax.jit(functools.partial(module.init, train=False))
    variables = dict(start(jax.random.key(0), *inputs))
    params = variables.pop("params", {})
    run = jax.jit(lambda params, *inputs: module.apply(
        {"params": params, **variables}, *inputs, train=True, mutable=[*variables, "losses"],
        rngs={"dropout": jax.random.key(1)},
    ))  # fmt: skip
    full, kept = run(params, *inputs)
    low_inputs = inputs if given is None else given
    low, changed = run(half(params), *low_inputs)
    for place in range(4):
        for weights, values in ((params, inputs), (half(params), low_inputs)):
            for leaf in jax.tree.leaves(run(weights, *extreme(values, place))):
                assert np.all(np.isfinite(np.asarray(leaf, np.float32))), place
    for name, leaf in jax.tree_util.tree_leaves_with_path(changed):
        assert leaf.dtype in (jnp.float32, jnp.int32), jax.tree_util.keystr(name)
    assert jax.tree.structure(kept) == jax.tree.structure(changed)
    return full, low


def extreme(inputs, place):
    """The inputs with other values and the same masks."""
    return jax.tree.map(lambda x: x if x.dtype == bool else samples.extremes(x)[place], inputs)


def close(full, low, tolerance):
    assert low.dtype == jnp.bfloat16
    full, low = np.asarray(full, np.float64), np.asarray(low, np.float64)
    assert np.all(np.isfinite(low))
    scale = np.sqrt(np.mean(full**2)) + 1e-6
    assert np.sqrt(np.mean((full - low) ** 2)) <= tolerance * scale


# One variant of each: two programs are compiled for every one.
ENCODERS = {n.split("-")[0]: (m, i) for n, m, i in samples.encoders()}
FUSIONS = {n: m for n, m in samples.fusions() if n in REGISTERED or n.startswith("aligned-")}


@pytest.mark.parametrize("module, make", ENCODERS.values(), ids=ENCODERS)
def test_an_encoder_reads_float32_and_computes_in_half_precision(module, make):
    """Raw input stays float32: time stamps, waveforms and categories would be wrong in half."""
    given = make()
    full, low = both(module, given.values, given.mask)
    np.testing.assert_array_equal(full.mask, low.mask)
    close(full.values, low.values, 0.1)


@pytest.mark.parametrize("module", FUSIONS.values(), ids=FUSIONS)
def test_a_fusion_computes_in_half_precision(module):
    given = samples.tokens(("a", "b", "c"), batch=8)
    full, low = both(module, given, given=(half(given),))
    np.testing.assert_array_equal(full.mask, low.mask)
    close(full.values, low.values, 0.2)


class Logits(nn.Module):
    """A head, of those that write texts the logits."""

    head: nn.Module

    @nn.compact
    def __call__(self, tokens, train):
        if isinstance(self.head, Decoder):
            words = jnp.broadcast_to(jnp.array([[3, 2]], jnp.int32), (len(tokens.mask), 2))
            target = Masked(words, jnp.ones(words.shape, bool))
            return self.head(tokens, train=train, target=target, write=False)["logits"]
        output = self.head(tokens, train=train)
        return output["logits"] if isinstance(output, dict) else output


@pytest.mark.parametrize("module", [pytest.param(m, id=n) for n, m in samples.heads()])
def test_a_head_computes_in_half_precision(module):
    given = samples.tokens(("a",))["a"]
    full, low = both(Logits(module), given, given=(half(given),))
    close(full, low, 0.05)


@pytest.mark.parametrize("name", IMPUTATIONS)
def test_what_stands_in_for_the_missing_is_of_half_precision(name):
    given = samples.tokens(("a", "b", "c"))
    full, low = both(IMPUTATIONS[name](), given, given=(half(given),))
    for modality, tokens in low.items():
        assert isinstance(tokens, Tokens)
        shown = np.asarray(tokens.mask)
        close(full[modality].values[shown], tokens.values[shown], 0.1)
