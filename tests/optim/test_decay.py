"""Which parameters weight decay acts on."""

import fnmatch

import jax
import jax.numpy as jnp
import pytest

from mmjax.imputation import IMPUTATIONS
from mmjax.layers.tracing.paths import path_of
from mmjax.optim import AdamW, Sgd
from mmjax.optim.decay import DECAYED, KEPT, decayed, groups
from tests import samples

pytestmark = pytest.mark.usefixtures("standard_promotion")

TOKENS = samples.tokens(("a", "b", "c"))
MODULES = {
    "encoders": [(m, (make().values, make().mask)) for _, m, make in samples.encoders()],
    "fusions": [(module, (TOKENS,)) for _, module in samples.fusions()],
    "imputations": [(cls(), (TOKENS,)) for cls in IMPUTATIONS.values()],
    "heads": [(module, (TOKENS["a"],)) for _, module in samples.heads()],
}


def names(module, given):
    """The last parts of the paths of all parameters."""

    def init():
        return module.init({"params": jax.random.key(0)}, *given, train=False)

    params = jax.eval_shape(init).get("params", {})
    return {
        path_of(path).rpartition("/")[2] for path, _ in jax.tree_util.tree_leaves_with_path(params)
    }


@pytest.mark.parametrize("family", MODULES)
def test_of_every_parameter_it_is_said_whether_it_decays(family):
    for module, given in MODULES[family]:
        for name in names(module, given):
            assert len(groups(name)) == 1, (type(module).__name__, name, groups(name))


def test_nothing_is_said_of_names_that_no_parameter_has():
    found = set().union(*(names(*case) for cases in MODULES.values() for case in cases))
    for pattern in DECAYED + KEPT:
        assert fnmatch.filter(found, pattern), pattern


PARAMS = {
    "late": {"weight_image": jnp.ones(()), "kernel": jnp.ones((2, 2))},
    "own": {"matrix": jnp.ones((2, 2)), "offset": jnp.ones(2), "gain": jnp.ones(())},
    "fusion": {"kernel_text": jnp.ones((2, 2)), "factor_text": jnp.ones((2, 2))},
    "recurrent": {"hidden_kernel": jnp.ones((2, 2)), "candidate_bias": jnp.ones((1, 2))},
    "tokens": {"cls": jnp.ones((1, 2)), "stand_in_text": jnp.ones((1, 2))},
    "norm": {"scale": jnp.ones(2), "bias": jnp.ones(2)},
    "word": {"embedding": jnp.ones((3, 2))},
}


def test_names_of_which_nothing_is_said_decay_where_they_are_matrices():
    found = {name for group in decayed(PARAMS).values() for name, yes in group.items() if yes}
    assert found == {"kernel", "matrix", "kernel_text", "factor_text", "hidden_kernel", "embedding"}


@pytest.mark.parametrize("optim", [AdamW(weight_decay=0.5), Sgd(weight_decay=0.5)])
def test_without_gradients_only_what_decays_moves_and_it_gets_smaller(optim):
    zeros = jax.tree.map(jnp.zeros_like, PARAMS)
    tx = optim.chain(10)
    updates, _ = tx.update(zeros, tx.init(PARAMS), PARAMS)
    moved = jax.tree.map(lambda x: bool(jnp.all(x < 0)), updates)
    still = jax.tree.map(lambda x: bool(jnp.all(x == 0)), updates)
    assert moved == decayed(PARAMS)
    assert still == jax.tree.map(lambda yes: not yes, moved)
