"""Planted scenes of driving: what a camera, a lidar and a radar measure of boxes on a road.

The frame is that of the vehicle: x forward, y to the left, z up, metres, its origin at the camera,
1.6 m above the road. Cars, trucks and people are solid, clouds of steam are not: lidar measures
both, radar measures metal, and the camera sees which is which. Near objects hide what is behind
them from camera and lidar; radar passes below them and alone measures speeds.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

import mmjax
from mmjax.data.synthetic.drawn import Drawn
from mmjax.data.synthetic.planting import Draws, frozen
from mmjax.data.targets import Binary, Grid, Route
from mmjax.data.transforms.features import FeatureTransform
from mmjax.data.transforms.image import ImageTransform
from mmjax.layers.geometry.projection import camera

EXTENT, CELLS = (0.0, 30.0, -15.0, 15.0), (10, 10)
SIZE, FOCAL = (24, 48), 24.0  # of the pictures: height and width, and the focal length, in pixels
CAMERA = camera(FOCAL, (SIZE[1] / 2 - 0.5, SIZE[0] / 2 - 0.5))
GROUND = -1.6  # metres
SPEED, LANE, STEPS = 10.0, 3.5, 6  # own speed in m/s, width of a lane in m, waypoints
OBJECTS = 6  # at most
# Half length, half width and height in metres, and the brightness in the picture, 0..1.
KINDS = np.array(
    [[2.2, 0.9, 1.5, 0.9], [3.5, 1.25, 3.0, 0.55], [0.4, 0.4, 1.8, 0.1], [1.2, 1.2, 2.2, 0.72]]
)
TRUCK, PERSON, STEAM = 1, 2, 3
CONDITIONS = ("clear", "night", "rain", "hidden")
Condition = Literal["mixed", "clear", "night", "rain", "hidden"]
WRONG, PATH_NOISE = 0.02, 0.1  # share of wrong warnings, and standard deviation of paths in metres


class Scene(NamedTuple):
    """Boxes; all arrays are `[example, object]`, those that are not `there` count for nothing."""

    there: np.ndarray
    kind: np.ndarray  # a row of KINDS
    x: np.ndarray  # centre, metres
    y: np.ndarray
    speed: np.ndarray  # along x, m/s

    @property
    def solid(self) -> np.ndarray:
        """Whether one must not drive there."""
        return self.there & (self.kind != STEAM)


@dataclass(frozen=True)
class Drives(Drawn):
    """Scenes with the targets "occupancy", "obstacle" (closer than 2 s) and "path".

    With `mixed` each of the conditions has a quarter of the scenes; in `hidden` ones a truck ahead
    hides what is behind it.
    """

    condition: Condition = "mixed"

    def draw(self, count: int, draws: Draws) -> mmjax.data.Examples:
        """Pictures, points `[point, 4]` of lidar and radar, and the targets."""
        drawn = (draws.random(count) * len(CONDITIONS)).astype(int)
        if self.condition != "mixed":
            drawn = np.full(count, CONDITIONS.index(self.condition))
        night, rain, hidden = (drawn == CONDITIONS.index(name) for name in CONDITIONS[1:])
        scene = _scene(draws, hidden)
        wrong = draws.random(count) < WRONG
        warned = np.any(_in_lane(scene, 0.0) & (_time_left(scene) < 2), axis=1) ^ wrong
        path = _path(scene) + PATH_NOISE * draws.standard_normal((count, STEPS, 2))
        return mmjax.data.Examples(
            {
                "camera": _pictures(scene, night, rain, draws),
                "lidar": _echoes(scene, rain, draws),
                "radar": _reflections(scene, draws),
            },
            {
                "occupancy": list(occupied(scene)),
                "obstacle": warned.astype(float).tolist(),
                "path": list(path),
            },
        )

    def preprocessing(self) -> mmjax.data.Preprocessing:
        """Statistics of a fixed draw; points stay in metres and metres per second."""
        rows = self.draw(512, frozen(self.seed, "train"))
        return mmjax.data.Preprocessing(
            {
                "camera": ImageTransform.fit(np.asarray(rows.inputs["camera"])),
                "lidar": FeatureTransform.draft(4, max_tokens=RAYS),
                "radar": FeatureTransform.draft(4, max_tokens=2 * OBJECTS + CLUTTER),
            },
            {
                "occupancy": Grid(CELLS),
                "obstacle": Binary(),
                "path": Route.fit(rows.targets["path"]),
            },
        )


mmjax.register(Drives, family="data")

RAYS, RANGE = 64, 35.0  # of the lidar: rays to the front and to the sides, metres
CLUTTER = 3  # reflections of the radar that mean nothing


def _scene(draws: Draws, hidden: np.ndarray) -> Scene:
    shape = (len(hidden), OBJECTS)
    kind = (draws.random(shape) * len(KINDS)).astype(int)
    x, y = 5 + 24 * draws.random(shape), 13 * (2 * draws.random(shape) - 1)
    vehicle, on_road = kind < PERSON, draws.random(shape) < 0.6
    y = np.where(vehicle & on_road, np.rint(y / 13 * 1.5) * LANE, y)  # they keep their lane
    speed = np.where(vehicle, 14 * draws.random(shape), 0.0)
    there = draws.random(shape) < 0.6
    for array, value in ((kind, TRUCK), (x, 9 + x[:, 0] / 10), (there, True)):
        array[:, 0] = np.where(hidden, value, array[:, 0])
    y[:, 0] = np.where(hidden, 2.0 * np.sign(y[:, 0]), y[:, 0])
    return Scene(there, kind, x, y, speed)


def _in_lane(scene: Scene, centre: float) -> np.ndarray:
    """Solid objects that reach into the lane with this centre."""
    return scene.solid & (np.abs(scene.y - centre) < KINDS[scene.kind, 1] + 1.0)


def _time_left(scene: Scene) -> np.ndarray:
    """Seconds until an object is reached, if both go on."""
    gap = np.maximum(scene.x - KINDS[scene.kind, 0], 0.1)
    return gap / np.maximum(SPEED - scene.speed, 0.01)


def occupied(scene: Scene) -> np.ndarray:
    """Cells with the centre of a solid object or 0.5 m of it, uint8 `[example, row, cell]`."""
    inside = []
    for axis, place in enumerate((scene.x, scene.y)):
        edges = np.linspace(EXTENT[2 * axis], EXTENT[2 * axis + 1], CELLS[axis] + 1)
        half, low, high = KINDS[scene.kind, axis][..., None], edges[:-1], edges[1:]
        at = place[..., None]
        overlap = np.minimum(at + half, high) - np.maximum(at - half, low)
        inside.append((overlap >= 0.5) | ((at >= low) & (at < high)))
    cells = inside[0][..., None] & inside[1][..., None, :] & scene.solid[..., None, None]
    return np.any(cells, axis=1).astype(np.uint8)


def _path(scene: Scene) -> np.ndarray:
    """Straight on, else the lane on the left, else on the right, else a stop, `[.., step, 2]`."""
    left, ahead, right = (
        np.any(_in_lane(scene, centre) & (scene.x < 22), axis=1) for centre in (LANE, 0.0, -LANE)
    )
    aside = np.where(~ahead, 0.0, np.where(~left, LANE, np.where(~right, -LANE, 0.0)))
    stops = ahead & left & right
    gap = np.where(_in_lane(scene, 0.0), scene.x - KINDS[scene.kind, 0], 99.0).min(axis=1) - 1.5
    share = np.arange(1, STEPS + 1) / STEPS
    x = np.where(
        stops[:, None], np.clip(gap, 0.5, 18)[:, None] * (1 - (1 - share) ** 2), 18 * share
    )
    smooth = np.clip(share * 1.5, 0, 1)
    return np.stack([x, aside[:, None] * smooth**2 * (3 - 2 * smooth)], axis=-1)


def _pictures(scene: Scene, night: np.ndarray, rain: np.ndarray, draws: Draws) -> np.ndarray:
    """Grey pictures uint8 `[example, height, width, 1]`; what is nearer hides what is behind."""
    count, (height, width) = len(night), SIZE
    row, column = np.arange(height)[:, None], np.arange(width)[None]
    horizon = height / 2 - 0.5
    image = np.broadcast_to(np.where(row > horizon, 0.35, 0.6), (count, height, width)).copy()
    length, half, tall, bright = (KINDS[scene.kind, i] for i in range(4))
    face = np.maximum(scene.x - length, 1.0)
    for place in np.argsort(-face, axis=1).T:
        pick = np.arange(count), place
        depth, y = face[pick], scene.y[pick]
        low, high = (width / 2 - 0.5 - FOCAL * (y + s * half[pick]) / depth for s in (1, -1))
        bottom = horizon - FOCAL * GROUND / depth
        top = horizon - FOCAL * (GROUND + tall[pick]) / depth
        shown = (column >= low[:, None, None]) & (column <= high[:, None, None])
        shown = shown & (row >= top[:, None, None]) & (row <= bottom[:, None, None])
        shown &= scene.there[pick][:, None, None]
        image = np.where(shown, bright[pick][:, None, None], image)
    image = np.where(night[:, None, None], 0.1 * image, image)
    image = np.where(rain[:, None, None], 0.4 + 0.3 * image, image)
    image = image + 0.04 * draws.standard_normal(image.shape)
    return np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)[..., None]


def _echoes(scene: Scene, rain: np.ndarray, draws: Draws) -> list[np.ndarray]:
    """x, y, z and strength of the nearest surface on each ray; rain loses and makes echoes."""
    angle = np.linspace(-np.pi / 2.2, np.pi / 2.2, RAYS)
    along = np.stack([np.cos(angle), np.sin(angle)])[:, None, :, None]  # [axis, 1, ray, 1]
    near, far = np.zeros(()), np.full((), np.inf)
    for axis, place in enumerate((scene.x, scene.y)):
        half = KINDS[scene.kind, axis]
        one, other = ((place + s * half)[:, None, :] / along[axis] for s in (-1, 1))
        near = np.maximum(near, np.minimum(one, other))
        far = np.minimum(far, np.maximum(one, other))
    distance = np.where((near <= far) & (near > 0) & scene.there[:, None], near, np.inf).min(axis=2)
    distance = distance + 0.1 * draws.standard_normal(distance.shape)
    lost, false, closer = (draws.random(distance.shape) for _ in range(3))
    wet = rain[:, None]
    distance = np.where(wet & (lost < 0.6), np.inf, distance)
    distance = np.where(wet & (false < 0.25), 2 + 20 * closer, distance)
    strength = 1 / (1 + distance / 10)
    x, y = np.minimum(distance, RANGE) * along[:, 0, :, 0][:, None]
    points = np.stack([x, y, np.full_like(x, -0.6), strength], axis=-1).astype(np.float32)
    return [row[kept] for row, kept in zip(points, distance < RANGE, strict=True)]


def _reflections(scene: Scene, draws: Draws) -> list[np.ndarray]:
    """x, y, speed towards the vehicle and strength of reflections, two of most metal objects."""
    count = len(scene.x)
    shape = (count, OBJECTS, 2)
    error = draws.standard_normal((*shape, 3)) * np.array([0.8, 0.8, 0.3])
    metal = np.where(scene.kind == PERSON, 0.3, 0.9)[..., None]
    kept = (draws.random(shape) < metal) & scene.solid[..., None]
    distance = np.hypot(scene.x, scene.y)
    closing = (SPEED - scene.speed) * scene.x / distance
    values = np.stack([scene.x, scene.y, closing], axis=-1)[:, :, None] + error
    strength = KINDS[scene.kind, 0][..., None, None] * np.ones((*shape, 1))
    objects = np.concatenate([values, strength], axis=-1).reshape(count, -1, 4)
    noise = draws.random((count, CLUTTER, 4))
    clutter = noise * np.array([30.0, 30.0, 0.0, 1.0]) + np.array([0.0, -15.0, SPEED, 0.2])
    points = np.concatenate([objects, clutter], axis=1).astype(np.float32)
    points[..., 2] /= SPEED
    kept = np.concatenate([kept.reshape(count, -1), np.ones((count, CLUTTER), bool)], axis=1)
    return [row[keep] for row, keep in zip(points, kept, strict=True)]
