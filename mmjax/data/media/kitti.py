"""Calibration and labels of KITTI's object benchmark.

Geiger et al. 2012, doi:10.1109/CVPR.2012.6248074. The format is that of the development kit at
https://www.cvlibs.net/datasets/kitti. Places are given in metres in a frame whose origin is the
left colour camera: x forward, y to the left, z up.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from mmjax.errors import UserError

_LIMIT = 1_000_000  # bytes of a text file
_AXES = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])  # from a camera's axes to the vehicle's


class Calibration(NamedTuple):
    """Where a frame's sensors are and how its camera projects, all lengths in metres."""

    focal: float  # of the left colour camera, in pixels
    centre: tuple[float, float]  # column and row of the point straight ahead
    shift: np.ndarray  # [3], from the rectified reference camera to the left colour camera, metres
    lidar: np.ndarray  # [3, 4], from the lidar's frame to the rectified reference camera

    def of_points(self, points: np.ndarray) -> np.ndarray:
        """Points `[point, 3 or more]` of the lidar, x, y and z moved to the vehicle's frame."""
        places = points[:, :3] @ self.lidar[:, :3].T + self.lidar[:, 3] + self.shift
        return np.concatenate([places @ _AXES.T, points[:, 3:]], axis=1).astype(np.float32)


class Box(NamedTuple):
    """A labelled object on the ground."""

    kind: str  # Car, Van, Truck, Pedestrian, Person_sitting, Cyclist, Tram or Misc
    centre: tuple[float, float]  # x and y, metres
    size: tuple[float, float]  # length and width, metres
    heading: float  # of its length, radians from x to y

    def inside(self, spacing: float) -> np.ndarray:
        """x and y of points all over its footprint, not further apart than `spacing` metres."""
        steps = [max(int(np.ceil(side / spacing)), 1) for side in self.size]
        along, across = (
            (np.arange(n) + 0.5) / n * side - side / 2
            for n, side in zip(steps, self.size, strict=True)
        )
        a, b = (grid.ravel() for grid in np.meshgrid(along, across))
        cos, sin = np.cos(self.heading), np.sin(self.heading)
        return np.stack([cos * a - sin * b, sin * a + cos * b], axis=1) + np.array(self.centre)


def open_calibration(path: Path) -> Calibration:
    """Read the lines P2, R0_rect and Tr_velo_to_cam; UserError where one is absent or damaged."""
    rows = {}
    for line in _lines(path):
        name, _, numbers = line.partition(":")
        rows[name.strip()] = numbers.split()
    values = []
    for name, shape in (("P2", (3, 4)), ("R0_rect", (3, 3)), ("Tr_velo_to_cam", (3, 4))):
        try:
            values.append(np.array(rows[name], np.float64).reshape(shape))
            if not np.all(np.isfinite(values[-1])):
                raise ValueError
        except (KeyError, ValueError):
            got = " ".join(rows.get(name, ["no such line"]))
            count = shape[0] * shape[1]
            raise UserError(
                f"{path}: expected a line {name} with {count} numbers, got {got!r:.80}"
            ) from None
    picture, rectified, lidar = values
    if not picture[0, 0] > 0:
        raise UserError(f"{path}: P2: expected a focal length above 0, got {picture[0, 0]:g}")
    shift = np.linalg.solve(picture[:, :3], picture[:, 3])
    centre = float(picture[0, 2]), float(picture[1, 2])
    return Calibration(float(picture[0, 0]), centre, shift, rectified @ lidar)


def open_labels(path: Path, calibration: Calibration) -> list[Box]:
    """Read the objects that have a place; regions marked DontCare have none.

    Raises:
        UserError: a line has fewer than 15 fields, or one of them is no number; names the line.
    """
    boxes = []
    for number, line in enumerate(_lines(path), 1):
        kind, *fields = line.split() or ("DontCare",)
        if kind == "DontCare":
            continue
        try:
            # Height, width, length; bottom centre in the reference camera; turn about its y axis.
            _, width, length, *place, turn = map(float, fields[7:14])
            x, _, z = np.array(place) + calibration.shift
            numbers = np.array([width, length, x, z, turn])
            if not np.all(np.isfinite(numbers)) or min(width, length) <= 0:
                raise ValueError
        except ValueError:
            raise UserError(
                f"{path}: line {number}: expected a type and 14 numbers, those from the ninth on "
                f"height, width, length, x, y, z, turn; got {line!r:.120}"
            ) from None
        heading = float(np.arctan2(-np.cos(turn), -np.sin(turn)))
        boxes.append(Box(kind, (float(z), float(-x)), (length, width), heading))
    return boxes


def _lines(path: Path) -> list[str]:
    if path.stat().st_size > _LIMIT:
        raise UserError(f"{path}: expected a text of at most {_LIMIT:,} bytes")
    try:
        return path.read_text("ascii").splitlines()
    except UnicodeDecodeError:
        raise UserError(f"{path}: expected a text, got other bytes") from None
