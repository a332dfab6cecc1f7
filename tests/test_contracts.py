"""The contracts of every registered encoder, fusion, head and objective."""

import dataclasses

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax import testing
from mmjax.fusion import Sum
from mmjax.objectives import Objective
from mmjax.types import Tokens, WeightedMean
from tests import samples

ENCODERS = [pytest.param(m, i, id=n) for n, m, i in samples.encoders()]
FUSIONS = [pytest.param(module, id=name) for name, module in samples.fusions()]
HEADS = [pytest.param(module, id=name) for name, module in samples.heads()]
PAIRS = [pytest.param(given, id=name) for name, *given in samples.pairs()]
OBJECTIVES = [pytest.param(*rest, id=name) for name, *rest in samples.objectives()]


@pytest.mark.parametrize("encoder, make", ENCODERS)
def test_an_encoder_keeps_its_contracts(encoder, make):
    given = make()
    testing.check_encoder(encoder, given.values, given.mask)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_fusion_keeps_its_contracts(fusion):
    testing.check_fusion(fusion)


@pytest.mark.parametrize("head", HEADS)
def test_a_head_keeps_its_contracts(head):
    testing.check_head(head)


@pytest.mark.parametrize("objective, output, target", OBJECTIVES)
def test_an_objective_keeps_its_contracts(objective, output, target):
    testing.check_objective(objective, output, target)


@pytest.mark.parametrize("given", PAIRS)
def test_an_objective_of_pairs_keeps_its_contracts(given):
    testing.check_pairs(*given)


class Faulty(nn.Module):
    """An encoder, a fusion or a head with one fault."""

    fault: str

    @nn.compact
    def __call__(self, *given, train):
        x = nn.Dense(4)(given[0])
        mask = given[1]
        if self.fault == "reads padding":
            x = x + jnp.mean(given[0]) * jnp.ones_like(x)
        if self.fault == "leaves values":
            return Tokens(x, mask)
        if self.fault == "mixes examples":
            x = x + jnp.sum(jnp.where(mask[:, :, None], x, 0.0))
        if self.fault == "dead":
            self.param("unused", nn.initializers.zeros, (3,))
        return Tokens(jnp.where(mask[:, :, None], x, 0.0), mask)


@pytest.mark.parametrize(
    "fault, message",
    [
        ("reads padding", "NaN or infinity|hidden values affect"),
        ("leaves values", "hidden values affect"),
        ("mixes examples", "depends on its batch"),
        ("dead", "parameters is zero"),
    ],
)
def test_an_encoder_that_breaks_a_contract_is_found_out(fault, message):
    given = samples.features()
    with pytest.raises(AssertionError, match=message):
        testing.check_encoder(Faulty(fault), given.values, given.mask)


class Doubled(nn.Module):
    """A fusion that reads the modalities in the order in which they come."""

    @nn.compact
    def __call__(self, modalities, train):
        ordered = {f"{place}{n}": t for place, (n, t) in enumerate(modalities.items())}
        first = next(iter(ordered.values()))
        fused = Sum(dim=first.values.shape[-1], name="sum")(ordered, train=train)
        return Tokens(fused.values * self.param("scale", nn.initializers.ones, ()), fused.mask)


def test_a_fusion_whose_order_matters_is_found_out():
    with pytest.raises(AssertionError, match="order of the modalities"):
        testing.check_fusion(Doubled())


def test_a_head_that_reads_masked_tokens_is_found_out():
    class Blind(nn.Module):
        @nn.compact
        def __call__(self, tokens, train):
            return nn.Dense(1)(jnp.mean(tokens.values, axis=1))[:, 0]

    with pytest.raises(AssertionError, match=r"NaN or infinity|masked tokens affect"):
        testing.check_head(Blind())


def test_an_objective_that_counts_missing_targets_is_found_out():
    _, _, output, target = next(iter(samples.objectives()))

    @dataclasses.dataclass(frozen=True)
    class Careless(Objective):
        def record(self, outputs, batch):
            return {}

        def metrics(self, records, kind):
            return {}

        def predictions(self, outputs, kind):
            return []

        def __call__(self, outputs, batch):
            error = outputs.values["y"] - batch.targets["t"].values
            return {"loss": WeightedMean(jnp.sum(error**2), jnp.asarray(6.0))}

    careless = Careless(output="y", target="t")
    with pytest.raises(AssertionError, match="without a target receives a gradient"):
        testing.check_objective(careless, np.asarray(output), target)
