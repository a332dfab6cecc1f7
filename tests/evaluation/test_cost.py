import jax.numpy as jnp
import pytest

from mmjax.evaluation.cost import measure_costs
from mmjax.fusion import Concat, Film, Sum, Tensor


def test_parameters_and_operations_are_those_of_the_equations():
    width, batch = 4, 3
    costs = measure_costs(
        {"sum": Sum(dim=5), "tensor": Tensor(inner=None, dim=7), "concat": Concat()},
        width=width,
        batch=batch,
        lengths={"a": 2, "b": 3},
    )
    assert costs["sum"].parameters == 2 * width * 5
    assert costs["tensor"].parameters == (width + 1) ** 2 * 7
    assert costs["concat"].parameters == 0
    assert costs["tensor"].flops >= 2 * 25 * 7  # the product with W
    assert costs["sum"].flops == 2 * 2 * width * 5 and costs["concat"].flops == 0
    assert all(cost.forward > 0 and cost.milliseconds > 0 for cost in costs.values())


def test_a_wider_fusion_costs_more():
    costs = measure_costs(
        {"narrow": Film(dim=4), "wide": Film(dim=64)}, width=4, batch=2, lengths={"a": 1, "b": 1}
    )
    assert costs["wide"].flops > 5 * costs["narrow"].flops
    assert costs["wide"].parameters == pytest.approx(2 * (4 * 64 + 2 * 64 * 64))
    assert jnp.isfinite(costs["wide"].milliseconds)
