import io

import jax
import jax.numpy as jnp
import pytest
from rich.console import Console

from mmjax.optim import Adam
from mmjax.train.trainable import Row, rows, table

PARAMS = {
    "encoders_image": {"conv": {"kernel": jnp.ones((3, 4))}, "norm": {"scale": jnp.ones(4)}},
    "fusion": {"out": {"kernel": jnp.ones((4, 2)), "bias": jnp.ones(2)}},
}


def test_a_module_is_a_row_and_its_parts_are_where_their_rates_differ():
    optim = Adam(peak_lr=0.01, rates={"encoders_image/conv": 0.0})
    assert rows(PARAMS, optim, {"image": "a.safetensors"}) == [
        Row("encoders_image (conv)", 12, 0.0, "a.safetensors"),
        Row("encoders_image (norm)", 4, 0.01, "a.safetensors"),
        Row("fusion", 10, 0.01, ""),
    ]
    assert rows(PARAMS, Adam(peak_lr=0.01), {}) == [
        Row("encoders_image", 16, 0.01, ""),
        Row("fusion", 10, 0.01, ""),
    ]


def test_the_table_says_what_is_frozen_and_how_much_learns():
    console = Console(width=100, file=io.StringIO())
    optim = Adam(peak_lr=0.01, rates={"encoders_image": 0.0, "fusion": 0.1})
    console.print(table(rows(PARAMS, optim, {})))
    shown = console.file.getvalue()
    assert "frozen" in shown and "0.001" in shown and "from" not in shown
    assert "10 of 26 parameters learn" in shown


@pytest.mark.parametrize("path", ["fusion", "fusion/out/kernel"])
def test_every_parameter_is_in_one_row(path):
    found = rows(PARAMS, Adam(rates={path: 0.5}), {})
    assert sum(row.parameters for row in found) == sum(x.size for x in jax.tree.leaves(PARAMS))
