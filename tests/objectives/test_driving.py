"""Occupied cells and paths: the metrics as counted by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.data.targets import Route
from mmjax.metrics.paths import collides
from mmjax.objectives import OccupancyCrossEntropy, PathError
from mmjax.types import Batch, Masked, Outputs


def batch(weight=(1.0, 1.0), **targets):
    weight = np.array(weight, np.float32)
    return Batch({}, targets, weight, np.arange(len(weight), dtype=np.int32))


def test_the_intersection_over_union_is_that_of_all_known_cells():
    objective = OccupancyCrossEntropy(output="y", target="t")
    logits = jnp.array([[[2.0, 2, -2, 9]], [[-1.0, 1, 1, -1]]])
    truth = np.array([[[1, 0, 1, 0]], [[0, 1, 1, 0]]], np.float32)
    known = np.ones(truth.shape, bool)
    known[0, 0, 3] = False  # where a prediction would be wrong
    given = batch(t=Masked(truth, known))
    found = objective.metrics(
        {k: np.asarray(v) for k, v in objective.record(Outputs({"y": logits}), given).items()}, None
    )
    assert found == {"iou": 3 / 5, "precision": 3 / 4, "recall": 3 / 4}
    loss = objective(Outputs({"y": logits}), given)["loss"]
    np.testing.assert_allclose(loss.count, 7)
    none = batch(t=Masked(truth * 0, known))
    record = objective.record(Outputs({"y": logits * 0 - 1}), none)
    free = objective.metrics({k: np.asarray(v) for k, v in record.items()}, None)
    assert np.isnan([*free.values()]).all()


def test_displacements_are_in_metres_and_collisions_are_counted():
    kind = Route(((0.0, 0.0), (2.0, 0.0)), ((2.0, 1.0), (2.0, 1.0)))
    extent = (0.0, 4.0, -2.0, 2.0)
    objective = PathError(output="y", target="t", obstacles="grid", extent=extent)
    true = [[[1.0, 0.5], [3.0, 0.5]], [[1.0, -1.0], [np.nan, np.nan]]]
    target = kind(true)
    metres = np.array([[[1.0, 0.5], [3.0, 1.5]], [[1.0, 1.0], [9.0, 9.0]]])
    output = ((metres - np.array(kind.mean)) / np.array(kind.std)).astype(np.float32)
    grid = np.zeros((2, 2, 2), np.float32)
    grid[:, 1, 1] = 1  # x 2..4, y 0..2: where the first path ends
    grid[1, 0, 1] = 1  # and the second begins; its true path is on the other side
    given = batch(t=target, grid=Masked(grid, np.ones(grid.shape, bool)))
    record = objective.record(Outputs({"y": jnp.asarray(output)}), given)
    found = objective.metrics({k: np.asarray(v) for k, v in record.items()}, kind)
    assert found == pytest.approx(
        {
            "average_displacement": (0 + 1 + 2) / 3,
            "final_displacement": (1 + 2) / 2,
            "collisions": 1.0,
            "true_collisions": 0.5,
        }
    )
    (one, _) = objective.predictions(Outputs({"y": jnp.asarray(output)}), kind)
    assert one == {"value": [[1.0, 0.5], [3.0, 1.5]], "unit": "m"}


def test_a_path_that_leaves_the_grid_does_not_collide():
    path, weight = np.array([[[-1.0, 0.0], [9.0, 0.0]]]), np.ones((1, 2))
    assert not collides(path, np.ones((1, 2, 2), bool), (0.0, 4.0, -2.0, 2.0), weight > 0)
