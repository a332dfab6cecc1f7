"""Recordings of camera, lidar and radar in the folders of KITTI's object benchmark.

KITTI: Geiger et al. 2012, doi:10.1109/CVPR.2012.6248074, https://www.cvlibs.net/datasets/kitti.
The radar in folders of the same kind: View-of-Delft, Palffy et al. 2022,
doi:10.1109/LRA.2022.3147324.
"""

import functools
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from mmjax.data.dataset import SPLITS, Dataset, Examples, Place, Source, check_split
from mmjax.data.media.image import open_image
from mmjax.data.media.kitti import Calibration, open_calibration, open_labels
from mmjax.data.media.points import open_points
from mmjax.data.preprocessing import Preprocessing
from mmjax.data.share import Rng
from mmjax.data.tables.splits import Rule
from mmjax.data.targets import Binary, Grid
from mmjax.data.targets.grid import UNKNOWN
from mmjax.data.transforms.features import FeatureTransform
from mmjax.data.transforms.image import ImageFit
from mmjax.errors import MissingFileError, UserError
from mmjax.layers.geometry.projection import camera, cell_centres, project, visible

# Every picture is resampled to this camera, for which `encoders.LiftedCamera` has its defaults.
FOCAL, CENTRE, SIZE = 721.54, (609.56, 172.85), (375, 1242)
_FIT = 500  # training frames from which the statistics of pictures are taken
_SPACING = 0.2  # metres between the points by which a footprint is rastered
_WIDTHS = {"lidar": 4, "radar": 7}  # numbers of a point


class _Frame(NamedTuple):
    inputs: dict[str, np.ndarray | None]
    occupancy: np.ndarray | None
    obstacle: float | None


class KittiSource(Source):
    """The frames of one split, read from their files when they are needed."""

    draws = False

    def __init__(self, data: "Kitti", frames: list[str]) -> None:
        self._data, self._frames = data, frames

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def threads(self) -> int:
        """How many batches are read at once; pictures and points are decoded from files."""
        return min(os.cpu_count() or 1, 8)

    def read(self, indices: np.ndarray, rng: Rng | None, own: slice = slice(None)) -> Examples:
        """Pictures, points in metres, and the targets "occupancy" and "obstacle"."""
        frames = [self._data.frame(self._frames[i]) for i in indices[own]]
        names = self._data.modalities
        return Examples(
            {name: [frame.inputs[name] for frame in frames] for name in names},
            {
                "occupancy": [frame.occupancy for frame in frames],
                "obstacle": [frame.obstacle for frame in frames],
            },
        )


@dataclass(frozen=True)
class Kitti(Dataset):
    """Folders image_2, velodyne, calib and label_2 with a file for each frame, such as 000042.

    The frame of all places has its origin at the left colour camera: x forward, y to the left, z
    up. Pictures are resampled to one camera, so that a single calibration holds for all. A cell of
    the target "occupancy" is occupied where a labelled object reaches into it, and unknown outside
    the camera's view, where nothing is labelled; "obstacle" says whether one is in the corridor.
    A file that is absent is a missing modality or target, except those of calib.

    With ImageSets/train.txt and val.txt the frames of val are the test split; else splits are drawn
    by the frame's name. Consecutive frames resemble each other: prefer the lists.
    """

    data_dir: Place = None  # the folder that holds the others
    radar: Place = None  # a folder with velodyne and calib of a radar, 7 numbers a point; or none
    extent: tuple[float, float, float, float] = (0.0, 40.0, -20.0, 20.0)  # metres: x, then y
    cells: tuple[int, int] = (16, 16)  # along x and along y
    corridor: tuple[float, float] = (15.0, 1.25)  # metres ahead, and to each side
    image_size: tuple[int, int] = (94, 311)  # height and width of the pictures, in pixels
    points: int = 8192  # points of a sensor within the extent; of more, every k-th is read
    shares: tuple[float, float] = (0.1, 0.2)  # of validation and, without lists, test

    def __post_init__(self) -> None:
        x_low, x_high, y_low, y_high = self.extent
        if not (x_low < x_high and y_low < y_high) or min(self.cells) < 1:
            raise UserError(
                f"extent, cells: expected ranges and 1 x 1 cells or more, got {self.extent} and "
                f"{self.cells}"
            )
        if self.points < 1 or min(self.image_size) < 1:
            raise UserError(
                f"points, image_size: expected 1 or more, got {self.points}, {self.image_size}"
            )

    @property
    def modalities(self) -> tuple[str, ...]:
        """The sensors."""
        return ("camera", "lidar", *(("radar",) if self.radar else ()))

    def prepare(self) -> None:
        """See that the folders are there; UserError, or MissingFileError that names one, if not."""
        for split in SPLITS:
            if not self.frames[split]:
                raise UserError(f"{self._folder}: expected frames of every split, {split} has none")
        self.frame(self.frames["train"][0])

    @property
    def _folder(self) -> Path:
        if self.data_dir is None:
            raise UserError("--data.data-dir: expected a folder with image_2, velodyne and calib")
        return Path(self.data_dir)

    @functools.cached_property
    def frames(self) -> dict[str, list[str]]:
        """The names of the frames of each split."""
        folder, found = self._folder, {split: [] for split in SPLITS}
        known = sorted(path.stem for path in (folder / "calib").glob("*.txt"))
        if not known:
            raise MissingFileError(f"{folder / 'calib'}: expected files such as 000000.txt")
        rule, tested = Rule(shares=self.shares), None
        if (folder / "ImageSets" / "val.txt").is_file():
            lists = [folder / "ImageSets" / f"{name}.txt" for name in ("train", "val")]
            listed, tested = ([*dict.fromkeys(path.read_text().split())] for path in lists)
            if absent := sorted({*listed, *tested} - {*known}):
                raise UserError(f"{folder / 'ImageSets'}: frame {absent[0]!r} has no file in calib")
            known, rule = listed, Rule(shares=(self.shares[0], 0.0))
        for name in known:
            digest = hashlib.sha256(name.encode()).digest()
            found[SPLITS[rule.split_of(int.from_bytes(digest[:8], "big"))]].append(name)
        return found if tested is None else {**found, "test": tested}

    def facts(self) -> Mapping[str, Any]:
        """The number of frames, and of those without a sensor or labels."""
        folders = {"camera": self._folder / "image_2", "lidar": self._folder / "velodyne"}
        folders |= {"radar": Path(self.radar) / "velodyne"} if self.radar else {}
        folders |= {"labels": self._folder / "label_2"}
        names = [name for split in SPLITS for name in self.frames[split]]
        missing = {}
        for what, folder in folders.items():
            known = {path.stem for path in folder.glob("*")}
            missing[what] = sum(name not in known for name in names)
        return {**super().facts(), "missing": missing}

    def preprocessing(self) -> Preprocessing:
        """Statistics of pictures from the first training frames; points stay in metres."""
        fit = ImageFit((*self.image_size, 3))
        for name in self.frames["train"][:_FIT]:
            fit.add(self._camera(name, self._calibration(self._folder, name)))
        sensors = {
            name: FeatureTransform.draft(_WIDTHS[name], max_tokens=self.points)
            for name in self.modalities[1:]
        }
        targets = {"occupancy": Grid(self.cells), "obstacle": Binary()}
        return Preprocessing({"camera": fit.result(), **sensors}, targets)

    def source(self, split: str) -> KittiSource:
        check_split(split)
        return KittiSource(self, self.frames[split])

    def frame(self, name: str) -> _Frame:
        """Read the files of one frame; UserError that names the file where one is damaged."""
        folder = self._folder
        calibration = self._calibration(folder, name)
        inputs = {
            "camera": self._camera(name, calibration),
            "lidar": self._points(folder, name, calibration, "lidar"),
        }
        if self.radar:
            radar = Path(self.radar)
            inputs["radar"] = self._points(radar, name, self._calibration(radar, name), "radar")
        path = folder / "label_2" / f"{name}.txt"
        if not path.is_file():
            return _Frame(inputs, None, None)
        boxes = open_labels(path, calibration)
        places = np.concatenate([np.zeros((0, 2)), *(box.inside(_SPACING) for box in boxes)])
        x, y = places.T
        ahead, aside = self.corridor
        near = np.any((x > 0) & (x < ahead) & (np.abs(y) < aside))
        return _Frame(inputs, self._occupied(places), float(near))

    def _occupied(self, places: np.ndarray) -> np.ndarray:
        """1 in cells that hold a place `[place, 2]`, else 0; unknown outside the camera's view."""
        low, high = np.reshape(self.extent, (2, 2)).T
        cells = np.floor((places - low) / (high - low) * self.cells).astype(int)
        kept = cells[np.all((cells >= 0) & (cells < self.cells), axis=1)]
        grid = np.zeros(self.cells, np.uint8)
        grid[tuple(kept.T)] = 1
        return np.where(_in_view(self.extent, self.cells), grid, UNKNOWN).astype(np.uint8)

    @staticmethod
    def _calibration(folder: Path, name: str) -> Calibration:
        return open_calibration(folder / "calib" / f"{name}.txt")

    def _camera(self, name: str, calibration: Calibration) -> np.ndarray | None:
        for suffix in (".png", ".jpg"):
            path = self._folder / "image_2" / f"{name}{suffix}"
            if path.is_file():
                return _picture(open_image(path), calibration, self.image_size)
        return None

    def _points(
        self, folder: Path, name: str, calibration: Calibration, sensor: str
    ) -> np.ndarray | None:
        path = folder / "velodyne" / f"{name}.bin"
        if not path.is_file():
            return None
        points = calibration.of_points(open_points(path, features=_WIDTHS[sensor]))
        x_low, x_high, y_low, y_high = self.extent
        x, y = points[:, 0], points[:, 1]
        points = points[(x >= x_low) & (x < x_high) & (y >= y_low) & (y < y_high)]
        return points[:: -(-len(points) // self.points) or 1]


def _picture(image: Image.Image, given: Calibration, size: tuple[int, int]) -> np.ndarray:
    """The picture that the reference camera would have taken, uint8 `[height, width, 3]`."""
    zoom = given.focal / FOCAL
    left, top = (own - zoom * one for own, one in zip(given.centre, CENTRE, strict=True))
    # PIL counts from the corner of the first pixel, calibrations from its centre.
    edge = 0.5 - 0.5 * zoom
    moved = image.convert("RGB").transform(
        (SIZE[1], SIZE[0]),
        Image.Transform.AFFINE,
        (zoom, 0.0, left + edge, 0.0, zoom, top + edge),
        Image.Resampling.BILINEAR,
    )
    return np.asarray(moved.resize((size[1], size[0]), Image.Resampling.BOX), np.uint8)


@functools.cache
def _in_view(extent: tuple[float, float, float, float], cells: tuple[int, int]) -> np.ndarray:
    """Which cells the reference camera sees, `[row, cell]`."""
    seen = project(cell_centres(extent, cells, 0.0), camera(FOCAL, CENTRE))
    return visible(seen.pixels, SIZE).reshape(cells)
