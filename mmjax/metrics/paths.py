"""Metrics of predicted paths."""

import numpy as np


def path_metrics(
    output: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray,
    obstacles: np.ndarray | None,
    extent: tuple[float, float, float, float],
) -> dict[str, float]:
    """Displacement errors and collisions of paths `[example, waypoint, 2]`.

    Args:
        output: predicted waypoints, x and y
        target: true waypoints, in the same unit
        weight: `[example, waypoint]`, 0 where the waypoint is unknown
        obstacles: which cells are occupied, `[example, row, cell]`, rows along x
        extent: of the cells: x from, to; y from, to

    Returns:
        average_displacement, the mean L2 distance over the known waypoints, and
        final_displacement, that of each path's last known one (Alahi et al. 2016,
        doi:10.1109/CVPR.2016.110); with obstacles `collisions`, the share of predicted paths that
        have a waypoint in an occupied cell, and `true_collisions`, that of the true paths.
    """
    distance = np.linalg.norm(output - target, axis=2)
    last = weight.shape[1] - 1 - np.argmax(weight[:, ::-1] > 0, axis=1)
    rows, known = np.arange(len(weight)), np.any(weight > 0, axis=1)
    share = weight[rows, last]
    found = {
        "average_displacement": float(np.average(distance, weights=weight)),
        "final_displacement": float(np.average(distance[rows, last], weights=share)),
    }
    if obstacles is not None:
        for name, path in (("collisions", output), ("true_collisions", target)):
            hit = collides(path, obstacles, extent, weight > 0)
            found[name] = float(np.mean(hit[known]))
    return found


def collides(
    path: np.ndarray,
    obstacles: np.ndarray,
    extent: tuple[float, float, float, float],
    counts: np.ndarray,
) -> np.ndarray:
    """Whether a waypoint that counts lies in an occupied cell, `[example]`; outside is free."""
    hit = np.zeros(len(path), bool)
    places = []
    for axis, cells in enumerate(obstacles.shape[1:]):
        low, high = extent[2 * axis : 2 * axis + 2]
        places.append(np.floor((path[:, :, axis] - low) / (high - low) * cells).astype(int))
    row, column = places
    inside = counts & (row >= 0) & (row < obstacles.shape[1])
    inside &= (column >= 0) & (column < obstacles.shape[2])
    example = np.broadcast_to(np.arange(len(path))[:, None], row.shape)
    cells = obstacles[example, np.where(inside, row, 0), np.where(inside, column, 0)]
    hit |= np.any(inside & cells, axis=1)
    return hit
