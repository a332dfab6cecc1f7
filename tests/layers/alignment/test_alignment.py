import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mmjax.layers.alignment.alignment import (
    AttentionAlign,
    CtcAlign,
    Resample,
    SinkhornAlign,
)
from mmjax.layers.tokens.pooling import masked_mean
from mmjax.layers.tracing.auxiliary import COLLECTION

STEPS, WIDTH = 3, 4
MODULES = [
    pytest.param(module, id=type(module).__name__)
    for module in (
        Resample(STEPS),
        AttentionAlign(STEPS, dim=6, heads=2),
        CtcAlign(STEPS),
        SinkhornAlign(STEPS, iterations=5),
    )
]
# Lengths 4, 3, 2, 1 and 0, with the padding at the end, at the front and in between.
MASK = jnp.array(
    [[1, 1, 0, 1, 1], [0, 0, 1, 1, 1], [1, 0, 0, 1, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 0]], bool
)
VALUES = jax.random.normal(jax.random.key(0), (*MASK.shape, WIDTH))
GARBAGE = jnp.sign(VALUES) * jnp.inf


def init(module, values, mask):
    return jax.jit(module.init)(jax.random.key(1), values, mask).get("params", {})


@functools.cache
def loss_and_gradients(module, rows=None, sown=True):
    """(params, values) -> a scalar that every output enters, with the module's own loss."""

    @jax.jit
    def of(params, values):
        def loss(params, values):
            steps, recorded = module.apply(
                {"params": params}, values, MASK[:rows], mutable=[COLLECTION] if sown else []
            )
            weights = jax.random.normal(jax.random.key(3), steps.shape)
            own = sum(jnp.sum(leaf) for leaf in jax.tree.leaves(recorded))
            return jnp.sum(weights * (steps + steps**2)) + own

        return jax.value_and_grad(loss, argnums=(0, 1))(params, values)

    return of


@pytest.mark.parametrize("module", MODULES)
def test_garbage_under_the_mask_changes_no_bit_and_gets_no_gradient(module):
    params = init(module, VALUES, MASK)
    of = loss_and_gradients(module)
    original = of(params, VALUES)
    chex.assert_trees_all_equal(of(params, jnp.where(MASK[:, :, None], VALUES, GARBAGE)), original)
    chex.assert_tree_all_finite(original)
    hidden = ~np.asarray(MASK)
    gradient = original[1][1]
    assert not np.any(gradient[hidden]) and np.all(np.any(gradient[~hidden], axis=-1))


@pytest.mark.parametrize("module", MODULES)
def test_it_depends_neither_on_the_batch_nor_on_where_the_padding_stands(module):
    params = init(module, VALUES, MASK)
    apply = jax.jit(lambda *inputs: module.apply({"params": params}, *inputs))
    together = apply(VALUES, MASK)
    assert together.shape[:2] == (len(MASK), STEPS)
    assert not np.any(together[-1])
    for i, mask in enumerate(np.asarray(MASK)):
        order = np.argsort(~mask, kind="stable")
        packed, shown = VALUES[i : i + 1, order], MASK[i : i + 1, order]
        longer = ((0, 0), (0, 2))
        alone = apply(jnp.pad(packed, (*longer, (0, 0))), jnp.pad(shown, longer))
        np.testing.assert_allclose(alone[0], together[i], atol=1e-5)


@pytest.mark.parametrize("sown", [True, False])
@pytest.mark.parametrize("module", MODULES)
def test_every_parameter_is_alive_with_two_tokens_or_more(module, sown):
    params = init(module, VALUES[:3], MASK[:3])
    _, (gradients, _) = loss_and_gradients(module, 3, sown)(params, VALUES[:3])
    chex.assert_tree_all_finite(gradients)
    dead = [
        jax.tree_util.keystr(path)
        for path, leaf in jax.tree_util.tree_leaves_with_path(gradients)
        if not np.any(leaf)
    ]
    assert not dead


def test_ctc_records_a_loss_for_examples_with_a_path_only():
    module = CtcAlign(STEPS, weight=0.5)
    params = init(module, VALUES, MASK)

    def recorded_by(module):
        apply = jax.jit(functools.partial(module.apply, mutable=[COLLECTION]))
        return apply({"params": params}, VALUES, MASK)

    _, recorded = recorded_by(module)
    loss, counts = recorded[COLLECTION]["ctc"]
    np.testing.assert_array_equal(counts, [1, 1, 0, 0, 0])
    assert np.all(loss[:2] > 0) and not np.any(loss[2:])
    _, recorded = recorded_by(module.clone(weight=1.0))
    np.testing.assert_allclose(recorded[COLLECTION]["ctc"][0], 2 * loss)


def test_sinkhorn_gives_each_step_a_mean_and_all_steps_the_same_share_of_the_tokens():
    module = SinkhornAlign(STEPS, iterations=100, temperature=0.3)
    steps = jax.jit(module.apply)({"params": init(module, VALUES, MASK)}, VALUES, MASK)
    mean = masked_mean(VALUES, MASK)
    np.testing.assert_allclose(steps.mean(1), mean, atol=1e-4)
    assert np.max(np.std(steps[0], axis=0)) > 0.1


@pytest.mark.parametrize("module", [param for param in MODULES if param.id != "AttentionAlign"])
def test_it_keeps_half_precision(module, standard_promotion):
    """With parameters in full precision, as linen's layers promote them."""
    params = init(module, VALUES, MASK)
    steps = jax.jit(module.apply)({"params": params}, VALUES.astype(jnp.bfloat16), MASK)
    assert steps.dtype == jnp.bfloat16
    exact = module.apply({"params": params}, VALUES, MASK)
    np.testing.assert_allclose(steps.astype(jnp.float32), exact, atol=0.1)


@pytest.mark.parametrize(
    "module, message",
    [
        (Resample(0), "steps must be at least 1, got 0"),
        (AttentionAlign(0, dim=4), r"AttentionAlign\.steps: expected at least 1, got 0"),
        (CtcAlign(-1), r"CtcAlign\.steps: expected at least 1, got -1"),
        (SinkhornAlign(1), r"SinkhornAlign\.steps: expected at least 2, got 1"),
        (SinkhornAlign(2, temperature=-1.0), "temperature must be greater than 0, got -1.0"),
        (SinkhornAlign(2, iterations=0), "iterations must be at least 1, got 0"),
    ],
)
def test_fields_out_of_range_are_refused(module, message):
    with pytest.raises(ValueError, match=message):
        module.init(jax.random.key(0), VALUES, MASK)


COUNT, DELAYS, CONTENT = 6, 5, 8


def delayed(key, batch):
    """Six known words in their order with contents of their own, after a planted delay of 0..4.

    Returns:
        the sequences, noise before and after the words; the contents; the delays.
    """
    word, noise, content, delay = jax.random.split(key, 4)
    words = jax.random.normal(jax.random.key(42), (COUNT, CONTENT))
    contents = jax.random.normal(content, (batch, COUNT, CONTENT))
    delays = jax.random.randint(delay, (batch,), 0, DELAYS)
    places = delays[:, None] + jnp.arange(COUNT)[None, :]
    heard = words[None] + 0.1 * jax.random.normal(word, contents.shape)
    tokens = 0.5 * jax.random.normal(noise, (batch, COUNT + DELAYS, 2 * CONTENT))
    told = jnp.concatenate([heard, contents], axis=-1)
    return tokens.at[jnp.arange(batch)[:, None], places].set(told), contents, delays


def trained(module, loss_of, updates=150):
    """The parameters after a short training on `delayed` sequences."""
    tokens, contents, _ = delayed(jax.random.key(0), 32)
    mask = jnp.ones(tokens.shape[:2], bool)
    tx = optax.adam(0.03)

    def update(carry, _):
        params, opt_state = carry
        steps_of = functools.partial(module.apply, values=tokens, mask=mask, mutable=[COLLECTION])
        gradient = jax.grad(lambda p: loss_of(*steps_of({"params": p}), contents))(params)
        updates, opt_state = tx.update(gradient, opt_state)
        return (optax.apply_updates(params, updates), opt_state), None

    @jax.jit
    def run(params):
        return jax.lax.scan(update, (params, tx.init(params)), length=updates)[0][0]

    return run(init(module, tokens, mask))


def shift_of_each_step(module, params, tokens):
    """Which token a step reads, less the step: the token with the largest gradient of the step."""
    mask = jnp.ones((1, tokens.shape[1]), bool)

    def steps_of(tokens):
        return jnp.sum(module.apply({"params": params}, tokens[None], mask)[0, :, CONTENT:], -1)

    gradient = jax.jit(jax.vmap(jax.jacrev(steps_of)))(tokens)[..., CONTENT:]
    read = jnp.argmax(jnp.sum(gradient**2, axis=-1), axis=-1)
    return read - jnp.arange(COUNT)[None]


def test_ctc_learns_a_planted_shift_from_the_task_and_its_own_loss(standard_promotion):
    def loss(steps, recorded, told):
        return jnp.mean((steps[..., CONTENT:] - told) ** 2) + jnp.mean(
            recorded[COLLECTION]["ctc"][0]
        )

    module = CtcAlign(COUNT)
    params = trained(module, loss)
    tokens, contents, delays = delayed(jax.random.key(1), 64)
    assert np.mean(shift_of_each_step(module, params, tokens) == delays[:, None]) > 0.95
    steps = module.apply({"params": params}, tokens, jnp.ones(tokens.shape[:2], bool))
    assert np.mean((steps[..., CONTENT:] - contents) ** 2) < 0.1  # the contents' variance is 1


def test_attention_learns_a_planted_shift_from_the_task(standard_promotion):
    module = AttentionAlign(COUNT, dim=2 * CONTENT, heads=1)
    params = trained(module, lambda steps, _, told: jnp.mean((steps[..., CONTENT:] - told) ** 2))
    tokens, contents, delays = delayed(jax.random.key(1), 64)
    assert np.mean(shift_of_each_step(module, params, tokens) == delays[:, None]) > 0.95
    steps = module.apply({"params": params}, tokens, jnp.ones(tokens.shape[:2], bool))
    assert np.mean((steps[..., CONTENT:] - contents) ** 2) < 0.1
