"""The contracts of every registered encoder, fusion and head."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from mmjax.types import Tokens
from tests import samples

ENCODERS = [pytest.param((m, i), id=n) for n, m, i in samples.encoders()]
FUSIONS = [pytest.param(module, id=name) for name, module in samples.fusions()]
HEADS = [pytest.param(module, id=name) for name, module in samples.heads()]
MODALITIES = [("a",), ("a", "b"), ("a", "b", "c")]


def finite(tree):
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(tree))


def alive(gradients):
    dead = [
        jax.tree_util.keystr(path)
        for path, leaf in jax.tree_util.tree_leaves_with_path(gradients)
        if not np.any(leaf)
    ]
    assert not dead
    finite(gradients)


def init(module, *inputs):
    start = jax.jit(functools.partial(module.init, train=False))
    return start(jax.random.key(0), *inputs).get("params", {})


class EncoderProbe:
    """An encoder, compiled once for all that is asked of it."""

    def __init__(self, module, make):
        self.given = make()
        start = jax.jit(functools.partial(module.init, train=False))
        with nn.intercept_methods(samples.norms(self)):
            self.variables = dict(start(jax.random.key(0), self.given.values, self.given.mask))
        self.encode = jax.jit(functools.partial(module.apply, self.variables, train=False))
        self.continuous = jnp.issubdtype(self.given.values.dtype, jnp.floating)
        self.module = module
        wanted = (0, 1) if self.continuous else (0,)
        self._measure = jax.jit(jax.grad(self._loss, argnums=wanted, has_aux=True))

    def _loss(self, params, values, mask):
        tokens = self.module.apply({**self.variables, "params": params}, values, mask, train=False)
        shown = jnp.where(tokens.mask[:, :, None], tokens.values, 0.0)
        weights = jax.random.normal(jax.random.key(3), shown.shape)
        return jnp.sum(weights * (shown + shown**2)), tokens

    def __call__(self, values, mask):
        """(gradients of the parameters, and of continuous values), tokens."""
        return self._measure(self.variables["params"], values, mask)


@pytest.fixture(scope="module", params=ENCODERS)
def encoder(request):
    """One program serves all tests below: pytest runs those of one parameter together."""
    return EncoderProbe(*request.param)


class TestEncoder:
    def test_what_is_under_the_mask_changes_nothing(self, encoder):
        given = encoder.given
        # So large that a first layer would overflow: garbage must not get as far as that.
        other = samples.garbage(given.values, given.mask, scale=1e40)
        assert np.any(other != given.values)
        original = encoder(given.values, given.mask)
        chex.assert_trees_all_equal(original, encoder(other, given.mask))
        finite(original)

    def test_what_is_missing_gives_no_token_and_no_gradient(self, encoder):
        given = encoder.given
        gradients, tokens = encoder(given.values, jnp.zeros_like(given.mask))
        assert not np.any(tokens.mask) and not np.any(tokens.values)
        assert not any(np.any(leaf) for leaf in jax.tree.leaves(gradients))

    def test_a_hidden_value_gets_exactly_zero_gradient(self, encoder):
        if not encoder.continuous:
            return  # ids have no gradient
        (_, gradient), _ = encoder(encoder.given.values, encoder.given.mask)
        mask = np.asarray(encoder.given.mask)
        hidden = np.broadcast_to(
            np.expand_dims(~mask, tuple(range(mask.ndim, gradient.ndim))), gradient.shape
        )
        assert not np.any(gradient[hidden]) and np.any(gradient[~hidden])

    def test_an_example_does_not_depend_on_its_batch(self, encoder):
        given = encoder.given
        tokens = encoder.encode(given.values, given.mask)
        for i in range(len(given.mask)):
            alone = encoder.encode(given.values[i : i + 1], given.mask[i : i + 1])
            np.testing.assert_array_equal(alone.mask[0], tokens.mask[i])
            np.testing.assert_allclose(alone.values[0], tokens.values[i], atol=1e-5)

    def test_longer_padding_changes_nothing(self, encoder):
        given = encoder.given
        if given.mask.ndim == 1 or hasattr(encoder.module, "categories"):
            return  # an image or a row of a table is of one size
        short = encoder.encode(given.values, given.mask)
        values, mask = (
            jnp.pad(x, ((0, 0), (0, 3)) + ((0, 0),) * (x.ndim - 2))
            for x in (given.values, given.mask)
        )
        long = encoder.encode(values, mask)
        count = short.mask.shape[1]
        np.testing.assert_array_equal(long.mask[:, :count], short.mask)
        assert not np.any(long.mask[:, count:])
        np.testing.assert_allclose(long.values[:, :count], short.values, atol=1e-6)

    def test_a_sequence_of_nothing_is_one_that_is_missing(self, encoder):
        given = encoder.given
        if given.mask.ndim == 1 or hasattr(encoder.module, "categories"):
            return
        tokens = encoder.encode(given.values[:, :0], given.mask[:, :0])
        assert not np.any(tokens.mask) and not np.any(tokens.values)

    def test_extreme_values_have_finite_tokens_and_gradients(self, encoder):
        for values in samples.extremes(encoder.given.values):
            finite(encoder(values, encoder.given.mask))

    def test_norms_are_exact_where_the_mean_is_large(self, encoder):
        """That is, their variance is no difference of two squares (`use_fast_variance`)."""
        assert not encoder.inexact

    def test_every_parameter_is_alive(self, encoder):
        gradients, _ = encoder(encoder.given.values, encoder.given.mask)
        alive(gradients[0])


class Probe:
    """A fusion of some modalities, compiled once for all that is asked of it."""

    def __init__(self, module, names):
        self.given = samples.tokens(names, batch=16)
        self.module = module
        start = jax.jit(functools.partial(module.init, train=False))
        with nn.intercept_methods(samples.norms(self)):
            self.variables = start(jax.random.key(0), self.given)
        self.params = self.variables.get("params", {})
        self._measure = jax.jit(jax.grad(self._loss, argnums=(0, 1), has_aux=True))

    def _loss(self, params, values, masks):
        tokens = {name: Tokens(values[name], masks[name]) for name in values}
        fused = self.module.apply({**self.variables, "params": params}, tokens, train=False)
        shown = jnp.where(fused.mask[:, :, None], fused.values, 0.0)
        weights = jax.random.normal(jax.random.key(3), shown.shape)
        return jnp.sum(weights * (shown + shown**2)), fused

    def __call__(self, tokens):
        """(gradients of the parameters, gradients of the values, fused tokens)."""
        values = {name: t.values for name, t in tokens.items()}
        masks = {name: t.mask for name, t in tokens.items()}
        (params, inputs), fused = self._measure(self.params, values, masks)
        return params, inputs, fused


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((module, names), id=f"{name}-{len(names)}")
        for name, module in samples.fusions()
        for names in MODALITIES
    ],
)
def measure(request):
    """One program serves all tests below: pytest runs those of one parameter together."""
    return Probe(*request.param)


class TestFusion:
    def test_what_is_under_the_mask_changes_nothing(self, measure):
        given = measure.given
        other = {n: Tokens(samples.garbage(t.values, t.mask), t.mask) for n, t in given.items()}
        original, changed = measure(given), measure(other)
        chex.assert_trees_all_equal(original, changed)
        finite(original)

    def test_a_hidden_token_gets_exactly_zero_gradient(self, measure):
        _, gradient, _ = measure(measure.given)
        for name, tokens in measure.given.items():
            hidden = ~np.asarray(tokens.mask)
            assert not np.any(gradient[name][hidden])
            # Every place is read in some example (a maximum need not read it in all).
            assert np.all(np.any(np.asarray(gradient[name]) != 0, axis=(0, 2)))

    def test_extreme_values_and_single_tokens_have_finite_results_and_gradients(self, measure):
        """Constant tokens have no variance, zeros no length, and equal ones no order."""
        first = {
            n: t.mask & (jnp.arange(t.mask.shape[1]) == 0)[None] for n, t in measure.given.items()
        }
        alone = next(iter(first))
        for tokens in zip(
            *(samples.extremes(t.values) for t in measure.given.values()), strict=True
        ):
            values = dict(zip(first, tokens, strict=True))
            finite(measure({n: Tokens(values[n], t.mask) for n, t in measure.given.items()}))
            finite(measure({n: Tokens(values[n], first[n] & (n == alone)) for n in first}))

    def test_norms_are_exact_where_the_mean_is_large(self, measure):
        """That is, their variance is no difference of two squares (`use_fast_variance`)."""
        assert not measure.inexact

    def test_every_parameter_is_alive(self, measure):
        alive(measure(measure.given)[0])

    def test_an_example_that_misses_modalities_is_the_same_in_any_company(self, measure):
        """Each one missing in turn: what the others hold then does not depend on the batch."""
        names = list(measure.given)
        before = measure(measure.given)[2]
        for name in names:
            gone = {
                n: Tokens(t.values, t.mask.at[:1].set(t.mask[:1] & (n != name)))
                for n, t in measure.given.items()
            }
            gradients, inputs, fused = measure(gone)
            finite((gradients, inputs, fused))
            np.testing.assert_allclose(fused.values[1:], before.values[1:], atol=1e-5)
            assert not np.any(inputs[name][0])
            np.testing.assert_array_equal(fused.present()[0], len(names) > 1)
            if len(names) > 1:
                assert np.any(fused.values[0] != before.values[0])

    def test_with_everything_missing_there_is_no_token(self, measure):
        fused = measure(measure.given)[2]
        assert fused.values.shape[:2] == fused.mask.shape
        present = np.any([np.any(t.mask, axis=1) for t in measure.given.values()], axis=0)
        np.testing.assert_array_equal(fused.present(), present)
        assert not np.any(fused.mask[3]) and not np.any(fused.values[3])


@pytest.mark.parametrize("module", FUSIONS)
def test_the_order_of_modalities_does_not_matter(module):
    names = ("a", "b", "c")
    given = samples.tokens(names)

    def fused(order):
        """Traced anew for each order: a jitted function would sort a dict that it is given."""
        start = jax.jit(
            lambda values, masks: module.init_with_output(
                jax.random.key(0), {n: Tokens(values[n], masks[n]) for n in order}, train=False
            )
        )
        return start({n: t.values for n, t in given.items()}, {n: given[n].mask for n in names})

    expected = fused(names)
    for order in (("c", "b", "a"), ("b", "c", "a")):
        chex.assert_trees_all_equal(fused(order), expected)


@pytest.mark.parametrize("module", FUSIONS)
def test_what_a_fusion_cannot_take_is_refused(module):
    with pytest.raises(ValueError, match="at least one modality"):
        module.init(jax.random.key(0), {}, train=False)
    given = samples.tokens(("a", "b"))
    short = Tokens(given["b"].values, given["b"].mask[:, 1:])
    with pytest.raises(ValueError, match=r"modality 'b'.*\(4, 3, 8\) and \(4, 2\)"):
        module.init(jax.random.key(0), {**given, "b": short}, train=False)
    fewer = Tokens(given["b"].values[1:], given["b"].mask[1:])
    with pytest.raises(ValueError, match="'a': 4, 'b': 3"):
        module.init(jax.random.key(0), {**given, "b": fewer}, train=False)


@pytest.mark.parametrize("module", HEADS)
def test_what_is_under_a_heads_mask_changes_nothing(module):
    given = samples.tokens(("a", "b"))["b"]
    params = init(module, given)
    other = Tokens(samples.garbage(given.values, given.mask), given.mask)
    original = jax.value_and_grad(samples.loss_of(module, given))(params)
    chex.assert_trees_all_equal(
        original, jax.value_and_grad(samples.loss_of(module, other))(params)
    )
    finite(original)


@pytest.mark.parametrize("module", HEADS)
def test_without_a_token_a_head_gives_the_same_learned_prior(module):
    given = samples.tokens(("a", "b"))["b"]
    params = init(module, given)
    # Biases start at zero: a prior that nothing has taught yet.
    params = jax.tree.map(lambda x: x + 0.1, params)
    nothing = Tokens(given.values, jnp.zeros_like(given.mask))
    output = module.apply({"params": params}, nothing, train=False)
    output = np.asarray(output)
    assert np.all(output == output[:1]) and np.all(np.isfinite(output)) and np.all(output != 0)
    gradient = jax.grad(samples.loss_of(module, nothing))(params)
    assert any(np.any(leaf) for leaf in jax.tree.leaves(gradient))


@pytest.mark.parametrize("module", HEADS)
def test_every_parameter_of_a_head_is_alive(module):
    given = samples.tokens(("a", "b"))["b"]
    alive(jax.grad(samples.loss_of(module, given))(init(module, given)))
