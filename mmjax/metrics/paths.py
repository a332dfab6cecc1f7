"""Metrics of predicted paths."""

import numpy as np


def displacements(output: np.ndarray, target: np.ndarray, weight: np.ndarray) -> dict[str, float]:
    """`average_displacement` and `final_displacement` of paths `[example, waypoint, 2]`.

    The mean L2 distance over the known waypoints, and over each path's last known one (Alahi et al.
    2016, doi:10.1109/CVPR.2016.110), in the unit of the paths.

    Args:
        output: predicted waypoints, x and y
        target: true waypoints
        weight: `[example, waypoint]`, 0 where the waypoint is unknown
    """
    distance = np.linalg.norm(output - target, axis=2)
    last = weight.shape[1] - 1 - np.argmax(weight[:, ::-1] > 0, axis=1)
    rows = np.arange(len(weight))
    return {
        "average_displacement": float(np.average(distance, weights=weight)),
        "final_displacement": float(np.average(distance[rows, last], weights=weight[rows, last])),
    }


def collides(
    path: np.ndarray,
    obstacles: np.ndarray,
    extent: tuple[float, float, float, float],
    counts: np.ndarray,
) -> np.ndarray:
    """Whether a waypoint that counts lies in an occupied cell, `[example]`; outside is free.

    Args:
        path: waypoints, `[example, waypoint, 2]`
        obstacles: which cells are occupied, `[example, row, cell]`, rows along x
        extent: of the cells, in the unit of the path: x from, to; y from, to
        counts: `[example, waypoint]`
    """
    places = []
    for axis, cells in enumerate(obstacles.shape[1:]):
        low, high = extent[2 * axis : 2 * axis + 2]
        places.append(np.floor((path[:, :, axis] - low) / (high - low) * cells).astype(int))
    row, column = places
    inside = counts & (row >= 0) & (row < obstacles.shape[1])
    inside &= (column >= 0) & (column < obstacles.shape[2])
    example = np.broadcast_to(np.arange(len(path))[:, None], row.shape)
    cells = obstacles[example, np.where(inside, row, 0), np.where(inside, column, 0)]
    return np.any(inside & cells, axis=1)
