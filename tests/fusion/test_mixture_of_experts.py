import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.fusion import MixtureOfExperts
from mmjax.fusion.mixture_of_experts import top_k_gates
from tests.samples import tokens

GIVEN = tokens(("a", "b"), batch=16)


@functools.cache
def started(module):
    start = jax.jit(functools.partial(module.init, train=False))
    return start(jax.random.key(0), GIVEN)


def test_routing_weights_sum_to_one_over_k_experts():
    logits = jax.random.normal(jax.random.key(0), (50, 6))
    for k in (2, 3, 6):
        gates = np.asarray(top_k_gates(logits, k))
        np.testing.assert_allclose(gates.sum(axis=1), 1, rtol=1e-6)
        np.testing.assert_array_equal((gates > 0).sum(axis=1), k)
        largest = np.sort(np.argsort(logits, axis=1)[:, -k:], axis=1)
        np.testing.assert_array_equal(np.argwhere(gates > 0)[:, 1].reshape(-1, k), largest)


def test_the_load_is_the_share_of_the_routing_weights():
    module = MixtureOfExperts(experts=3, dim=4, decay=0.0)
    variables = started(module)
    _, found = module.apply(variables, GIVEN, train=True, mutable=["statistics", "intermediates"])
    (gates,) = found["intermediates"]["routing"]
    there = np.any([np.any(t.mask, axis=1) for t in GIVEN.values()], axis=0)
    load = found["statistics"]["routed"]
    np.testing.assert_allclose(load, np.asarray(gates)[there].sum(axis=0) / 16, rtol=1e-5)
    np.testing.assert_allclose(load.sum(), there.mean(), rtol=1e-5)


def test_the_load_runs_on_from_batch_to_batch():
    module = MixtureOfExperts(experts=3, dim=4, decay=0.9)
    variables = started(module)
    loads = []
    for _ in range(2):
        _, found = module.apply(variables, GIVEN, train=True, mutable=["statistics"])
        variables = {**variables, **found}
        loads.append(np.asarray(found["statistics"]["routed"]))
    np.testing.assert_allclose(loads[1], 1.9 * loads[0], rtol=1e-5)


def test_evaluation_does_not_change_the_load():
    module = MixtureOfExperts(experts=3, dim=4)
    _, found = module.apply(started(module), GIVEN, train=False, mutable=["statistics"])
    assert not np.any(found["statistics"]["routed"])


def test_an_expert_that_carries_much_costs_the_examples_that_go_there():
    module = MixtureOfExperts(experts=3, dim=4, balance=1.0)
    params = started(module)["params"]

    def cost(router, routed):
        variables = {
            "params": {**params, "router": {"kernel": router}},
            "statistics": {"routed": jnp.asarray(routed)},
        }
        _, found = module.apply(variables, GIVEN, train=True, mutable=["losses", "statistics"])
        loss, counts = found["losses"]["balance"]
        return jnp.sum(loss) / jnp.sum(counts)

    kernel = params["router"]["kernel"]
    np.testing.assert_allclose(cost(kernel, [1.0, 1.0, 1.0]), 1.0, rtol=1e-5)
    gradient = jax.grad(cost)(kernel, [3.0, 0.0, 0.0])
    less = cost(kernel - 0.5 * gradient, [3.0, 0.0, 0.0])
    assert less < cost(kernel, [3.0, 0.0, 0.0])


@pytest.mark.parametrize("k", [1, 4])
def test_a_number_of_experts_that_cannot_be_is_refused(k):
    with pytest.raises(ValueError, match=f"--model.fusion.k: expected 2 to 3 experts, got {k}"):
        MixtureOfExperts(experts=3, k=k).init(jax.random.key(0), GIVEN, train=False)
