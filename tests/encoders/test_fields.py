"""Fields that no constructor checks: linen modules are plain dataclasses."""

import dataclasses

import jax.numpy as jnp
import pytest

from mmjax.encoders import ENCODERS
from mmjax.layers.recurrent.recurrent_stack import RecurrentStack
from mmjax.testing.checks import init
from mmjax.types import Masked
from tests import samples

MODULES = {name: samples.ENCODER_VARIANTS[name][0] for name in ENCODERS}


def having(field):
    return [
        name for name, cls in ENCODERS.items() if field in {f.name for f in dataclasses.fields(cls)}
    ]


def refused(name, field, value):
    module, given = MODULES[name].clone(**{field: value}), samples.INPUTS[name]()
    with pytest.raises(ValueError, match=rf"\.{field}: expected"):
        init(module, given.values, given.mask)


@pytest.mark.parametrize("name", having("dropout"))
def test_a_dropout_out_of_range_is_refused(name):
    refused(name, "dropout", 1.5)


@pytest.mark.parametrize("name", having("layers"))
def test_a_negative_number_of_layers_is_refused(name):
    refused(name, "layers", -1)


def test_an_unknown_pooling_is_refused_with_those_that_are_known():
    stack = RecurrentStack("lstm", 4, 1, False, 0.0, "last")
    given = {"rnn": (jnp.zeros((1, 2, 3)), jnp.ones((1, 2), bool))}
    modules = {name: MODULES[name] for name in having("pooling") if name not in ("lstm", "gru")}
    for name, module in {**modules, "rnn": stack}.items():
        bound = module.bind({})
        object.__setattr__(bound, "pooling", "median")  # past the types that tests check
        values = samples.INPUTS[name]() if name in modules else Masked(*given[name])
        with pytest.raises(ValueError, match=r"\.pooling: got 'median', choose from"):
            bound(values.values, values.mask, train=False)
