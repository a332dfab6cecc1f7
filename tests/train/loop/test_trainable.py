import dataclasses
import io

import jax
import jax.numpy as jnp
import pytest
from rich.console import Console

from mmjax.optim import Adam
from mmjax.train.loop.trainable import Row, rows, table
from tests.config.experiments import SMALL, small

PARAMS = {
    "encoders_image": {"conv": {"kernel": jnp.ones((3, 4))}, "norm": {"scale": jnp.ones(4)}},
    "fusion": {"out": {"kernel": jnp.ones((4, 2)), "bias": jnp.ones(2)}},
}


def experiment(frozen=(), **optim):
    model = dataclasses.replace(SMALL.model, frozen=frozen)
    return small(model=model, optim=Adam(peak_lr=0.01, **optim))


def test_a_module_is_a_row_and_its_parts_are_where_their_rates_differ():
    rated = experiment(rates={"encoders_image/conv": 0.0})
    assert rows(PARAMS, rated, {"encoders_image": "a.safetensors"}) == [
        Row("encoders_image (conv)", 12, 0.0, "a.safetensors"),
        Row("encoders_image (norm)", 4, 0.01, "a.safetensors"),
        Row("fusion", 10, 0.01),
    ]
    assert rows(PARAMS, experiment(), {}) == [
        Row("encoders_image", 16, 0.01),
        Row("fusion", 10, 0.01),
    ]


def test_what_the_model_calls_frozen_is_frozen_whatever_its_rates():
    found = rows(PARAMS, experiment(("image",), rates={"encoders_image/conv": 5.0}), {})
    assert found[0] == Row("encoders_image", 16, 0.0, frozen=True)


def test_the_table_says_what_is_frozen_and_how_much_learns():
    console = Console(width=100, file=io.StringIO())
    console.print(table(rows(PARAMS, experiment(("image",), rates={"fusion": 0.1}), {})))
    shown = console.file.getvalue()
    assert "frozen" in shown and "0.001" in shown and "from" not in shown
    assert "10 of 26 parameters learn" in shown


@pytest.mark.parametrize("path", ["fusion", "fusion/out/kernel"])
def test_every_parameter_is_in_one_row(path):
    found = rows(PARAMS, experiment(rates={path: 0.5}), {})
    assert sum(row.parameters for row in found) == sum(x.size for x in jax.tree.leaves(PARAMS))
