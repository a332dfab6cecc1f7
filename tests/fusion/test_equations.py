"""Fusions against their equations, written out in NumPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.fusion import (
    AttentionSum,
    Concat,
    DeepSets,
    EncoderDecoder,
    Film,
    Gated,
    Late,
    Max,
    Mean,
    Mfb,
    Mlb,
    Multiplicative,
    Mutan,
    Perceiver,
    ProductOfExperts,
    Sum,
)
from mmjax.fusion.film import film
from mmjax.types import Tokens
from tests.samples import tokens

GIVEN = tokens(("a", "b", "c"), batch=8)
VECTOR = {
    name: np.stack([v[m].mean(axis=0) if m.any() else np.zeros(8, np.float32) for v, m in
                    zip(np.asarray(t.values), np.asarray(t.mask), strict=True)])
    for name, t in GIVEN.items()
}  # fmt: skip
THERE = {name: np.any(np.asarray(t.mask), axis=1) for name, t in GIVEN.items()}
ANY = np.any(list(THERE.values()), axis=0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def run(module, given=GIVEN):
    """Parameters moved away from zeros, and the fused vectors of the examples that are there."""
    start = jax.jit(functools.partial(module.init, train=False))
    variables = jax.tree.map(lambda x: x + 0.1, start(jax.random.key(0), given))
    fused = module.apply(variables, given, train=False)
    params = jax.tree.map(np.asarray, variables.get("params", {}))
    return params, np.asarray(fused.values[:, 0])[ANY]


def close(found, expected):
    np.testing.assert_allclose(found, expected[ANY], rtol=2e-5, atol=2e-5)


def test_some_modality_is_missing_in_some_example():
    assert any(np.any(ANY & ~there) for there in THERE.values())


def test_a_sum_is_a_concatenation_with_tied_weights():
    """W [z_1; ...; z_M] with W = [V, ..., V] is V sum_m z_m."""
    weight = np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32)
    _, joined = run(Concat())
    _, added = run(Sum())
    np.testing.assert_allclose(joined @ np.concatenate([weight] * 3), added @ weight, atol=1e-5)


def test_projected_sums_means_and_maxima():
    for module, reduce in ((Sum(4), np.nansum), (Mean(4), np.nanmean), (Max(4), np.nanmax)):
        params, found = run(module)
        parts = [
            np.where(THERE[n][:, None], VECTOR[n] @ params["projection"][n]["kernel"], np.nan)
            for n in VECTOR
        ]
        close(found, np.where(ANY[:, None], reduce(np.where(ANY[:, None], parts, 0.0), axis=0), 0))


def test_attention_weights_sum_to_one_over_what_is_there():
    params, found = run(AttentionSum(6))
    x = np.stack([VECTOR[n] @ params["projection"][n]["kernel"] for n in VECTOR], axis=1)
    hidden = np.tanh(x @ params["hidden"]["kernel"] + params["hidden"]["bias"])
    scores = (hidden @ params["score"]["kernel"])[..., 0]
    weights = np.where(np.stack(list(THERE.values()), axis=1), np.exp(scores), 0.0)
    weights = weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-9)
    close(found, np.einsum("bm,bmd->bd", weights, x))


def test_gated_multimodal_unit():
    params, found = run(Gated(6))
    everything = np.concatenate(list(VECTOR.values()), axis=1)
    close(
        found,
        sum(
            sigmoid(everything @ params[f"gate_{n}"]["kernel"] + params[f"gate_{n}"]["bias"])
            * np.tanh(VECTOR[n] @ params["projection"][n]["kernel"])
            for n in VECTOR
        ),
    )


def test_multiplicative_interactions():
    params, found = run(Multiplicative(5))
    linear = {n: VECTOR[n] @ params["projection"][n]["kernel"] for n in VECTOR}
    h = linear["a"] + params["bias"]
    for name in "bc":
        product = np.einsum("bi,ijd,bj->bd", h, params[f"kernel_{name}"], VECTOR[name])
        h = h + linear[name] + product
    close(found, h)


def test_of_two_modalities_it_is_the_papers_bilinear_form():
    """x' W z + V x + U z + b, with x and z read one after the other."""
    given = {n: GIVEN[n] for n in "ab"}
    module = Multiplicative(8)
    params = module.init(jax.random.key(0), given, train=False)["params"]
    params["projection"]["a"]["kernel"] = jnp.eye(8)
    found = module.apply({"params": params}, given, train=False).values[:, 0]
    x, z = VECTOR["a"], VECTOR["b"]
    bilinear = np.einsum("bi,ijd,bj->bd", x, params["kernel_b"], z)
    np.testing.assert_allclose(
        found, bilinear + x + z @ params["projection"]["b"]["kernel"], atol=1e-5
    )


def test_mlb_and_mutan_multiply_what_is_there():
    params, found = run(Mlb(7, 5))

    def affine(layer, x):
        return np.tensordot(x, layer["kernel"], 1) + layer["bias"]

    product = np.prod(
        [
            np.where(THERE[n][:, None], np.tanh(affine(params[f"projection_{n}"], VECTOR[n])), 1)
            for n in VECTOR
        ],
        axis=0,
    )
    close(found, affine(params["out"], product))
    params, found = run(Mutan(6, 3, 5))
    cores = [
        np.where(
            THERE[n][:, None, None],
            affine(params[f"core_{n}"], np.tanh(affine(params[f"projection_{n}"], VECTOR[n]))),
            1,
        )
        for n in VECTOR
    ]
    close(found, np.prod(cores, axis=0).sum(axis=1))


def test_mfb_sums_factors_and_has_length_one():
    params, found = run(Mfb(3, 5))
    parts = [
        np.where(
            THERE[n][:, None, None],
            np.tensordot(VECTOR[n], params[f"projection_{n}"]["kernel"], 1)
            + params[f"projection_{n}"]["bias"],
            1,
        )
        for n in VECTOR
    ]
    pooled = np.prod(parts, axis=0).sum(axis=-1)
    rooted = np.sign(pooled) * np.sqrt(np.abs(pooled))
    expected = rooted / np.linalg.norm(rooted, axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected[ANY], atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)


def test_a_product_of_experts_is_the_gaussian_that_bayes_would_give():
    """Normalise prior * prod_m expert_m on a grid, in each dimension by itself."""
    params, found = run(ProductOfExperts(3))
    grid = np.linspace(-6, 6, 4001)[:, None, None]
    log_density = -(grid**2) / 2
    for n in VECTOR:
        mean = VECTOR[n] @ params[f"mean_{n}"]["kernel"] + params[f"mean_{n}"]["bias"]
        raw = VECTOR[n] @ params[f"precision_{n}"]["kernel"] + params[f"precision_{n}"]["bias"]
        precision = np.where(THERE[n][:, None], np.log1p(np.exp(raw)), 0.0)
        log_density = log_density - precision * (grid - mean) ** 2 / 2
    density = np.exp(log_density - log_density.max(axis=0))
    close(found, (grid * density).sum(axis=0) / density.sum(axis=0))


def test_film_with_a_zero_condition_is_the_identity():
    x = jnp.asarray(VECTOR["a"])
    np.testing.assert_array_equal(film(x, jnp.zeros_like(x), jnp.zeros_like(x)), x)
    # All others missing: their vectors are zeros, and x_m comes out as it went in.
    gone = {
        n: Tokens(t.values, t.mask if n == "a" else jnp.zeros_like(t.mask))
        for n, t in GIVEN.items()
    }
    module = Film(5)
    variables = module.init(jax.random.key(0), gone, train=False)
    found = module.apply(variables, gone, train=False).values[:, 0]
    kernel = variables["params"]["projection"]["a"]["kernel"]
    np.testing.assert_allclose(found, VECTOR["a"] @ kernel, atol=1e-6)
    whole = module.apply(variables, GIVEN, train=False).values[:, 0]
    assert np.max(np.abs(whole - found)) > 0.1


@pytest.mark.parametrize(
    "module", [DeepSets(6), Perceiver(2, dim=8, heads=2)], ids=lambda m: type(m).__name__
)
def test_the_order_of_tokens_within_a_modality_does_not_matter(module):
    shuffled = {n: Tokens(t.values[:, ::-1], t.mask[:, ::-1]) for n, t in GIVEN.items()}
    variables = module.init(jax.random.key(0), GIVEN, train=False)
    before = module.apply(variables, GIVEN, train=False)
    after = module.apply(variables, shuffled, train=False)
    np.testing.assert_allclose(before.values, after.values, atol=1e-5)
    # ... and it is not that nothing matters.
    moved = {n: Tokens(t.values + float(n == "a"), t.mask) for n, t in GIVEN.items()}
    assert np.max(np.abs(module.apply(variables, moved, train=False).values - before.values)) > 0.01


def test_in_deep_sets_the_number_of_tokens_matters():
    twice = {
        n: Tokens(jnp.concatenate([t.values] * 2, axis=1), jnp.concatenate([t.mask] * 2, axis=1))
        for n, t in GIVEN.items()
    }
    module = DeepSets(6)
    variables = module.init(jax.random.key(0), GIVEN, train=False)
    params = jax.tree.map(np.asarray, variables["params"])

    def mlp(layers, x):
        first, second = layers["Dense_0"], layers["Dense_1"]
        hidden = np.maximum(x @ first["kernel"] + first["bias"], 0)
        return hidden @ second["kernel"] + second["bias"]

    total = 0
    for name, t in twice.items():
        layer = params["join"]["streams"][name]
        x = np.where(t.mask[..., None], t.values, 0.0) @ layer["kernel"] + layer["bias"]
        total = total + np.where(t.mask[..., None], mlp(params["phi"], x), 0.0).sum(axis=1)
    found = module.apply(variables, twice, train=False).values[:, 0]
    close(np.asarray(found)[ANY], mlp(params["rho"], total))


def test_an_encoder_decoder_asks_its_queries_then_the_memory_then_thinks():
    module = EncoderDecoder(queries=2, dim=8, heads=2)
    params = module.init(jax.random.key(0), GIVEN, train=False)["params"]
    assert set(params) == {"join", "encoder_0", "queries", "decoder_0", "out"}
    assert {"query", "cross_query", "mlp"} < set(params["decoder_0"])


def test_below_a_linear_head_late_fusion_is_the_mean_of_the_modalities_logits():
    module = Late(weights="mean", dim=4)
    variables = module.init(jax.random.key(0), GIVEN, train=False)
    head = np.random.default_rng(0).normal(size=4).astype(np.float32)
    fused = module.apply(variables, GIVEN, train=False).values[:, 0] @ head
    alone = []
    for name in GIVEN:
        params = {"params": {k: v for k, v in variables["params"].items() if k.endswith(name)}}
        logit = module.apply(params, {name: GIVEN[name]}, train=False).values[:, 0] @ head
        alone.append(np.where(THERE[name], logit, np.nan))
    close(np.asarray(fused)[ANY], np.nanmean(np.where(ANY, alone, 0.0), axis=0))


def test_learned_weights_of_late_fusion_are_shared_out_among_what_is_there():
    module = Late(dim=4)
    variables = module.init(jax.random.key(0), GIVEN, train=False)
    params = {**variables["params"], "weight_a": jnp.log(3.0)}
    fused = module.apply({"params": params}, GIVEN, train=False).values[:, 0]
    parts, shares = [], []
    for name, weight in (("a", 3.0), ("b", 1.0), ("c", 1.0)):
        alone = {"params": {k: v for k, v in params.items() if k == f"mlp_{name}"}}
        parts.append(module.apply(alone, {name: GIVEN[name]}, train=False).values[:, 0])
        shares.append(weight * THERE[name])
    weights = np.array(shares) / np.maximum(np.sum(shares, axis=0), 1e-9)
    close(np.asarray(fused)[ANY], np.einsum("mb,mbd->bd", weights, np.array(parts)))


def test_widths_that_cannot_be_joined_are_named_with_what_would_fix_it():
    given = {**tokens(("a",)), "b": tokens(("b",), dim=12)["b"]}
    for module in (Sum(), Mean(), Max()):
        with pytest.raises(ValueError, match=r"'a': 8, 'b': 12.*--model.fusion.dim 12"):
            module.init(jax.random.key(0), given, train=False)


def test_heads_that_do_not_divide_the_width_are_refused_with_those_that_do():
    with pytest.raises(ValueError, match=r"heads=3 must divide dim=8; choose from \[1, 2, 4, 8\]"):
        Perceiver(dim=8, heads=3).init(jax.random.key(0), GIVEN, train=False)


@pytest.mark.parametrize(
    "module, message",
    [
        (Sum(dim=0), "Projections.dim: expected at least 1, got 0"),
        (Perceiver(dim=0), "Streams.dim: expected at least 1, got 0"),
        (Perceiver(layers=0), "Perceiver.layers: expected at least 1, got 0"),
        (Mfb(factors=0), "Mfb.factors: expected at least 1, got 0"),
        (Mutan(rank=0), "Mutan.rank: expected at least 1, got 0"),
        (DeepSets(dropout=1.0), "Mlp.dropout: expected 0 to below 1, got 1.0"),
    ],
)
def test_sizes_that_cannot_be_are_refused(module, message):
    with pytest.raises(ValueError, match=message):
        module.init(jax.random.key(0), GIVEN, train=False)
