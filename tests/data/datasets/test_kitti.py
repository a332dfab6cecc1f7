"""KITTI's folders: made-up files of its format, placed by hand."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from mmjax.data.datasets import Kitti
from mmjax.data.media.kitti import open_calibration, open_labels
from mmjax.data.targets.grid import UNKNOWN
from mmjax.errors import MissingFileError, UserError
from mmjax.layers.geometry.projection import camera, project

# Camera axes from the lidar's: x is right, y down, z forward; the lidar is 0.3 m behind and above.
CALIB = """P0: 700 0 600 0 0 700 180 0 0 0 1 0
P2: 700 0 600 42 0 700 180 0 0 0 1 0
R0_rect: 1 0 0 0 1 0 0 0 1
Tr_velo_to_cam: 0 -1 0 0 0 0 -1 -0.1 1 0 0 -0.3
Tr_imu_to_velo: 1 0 0 0 0 1 0 0 0 0 1 0

"""
# Bottom centre 10.06 m to the right in camera 2 (the shift is 42 / 700), 12 m ahead; turned by 0,
# its length lies along the camera's x axis. The second is 8 m ahead, along the road.
LABELS = """Car 0.00 0 0.0 1 2 3 4 1.5 2.0 4.0 9.94 1.6 12.0 0.0
Pedestrian 0.00 0 0.0 1 2 3 4 1.8 0.6 1.0 -0.06 1.6 8.0 -1.5707963
DontCare -1 -1 -10 1 2 3 4 -1 -1 -1 -1000 -1000 -1000 -10
"""
POINTS = np.array([[12.3, -10.0, -0.5, 0.7], [20.3, 1.0, 0.0, 0.1], [-5, 0, 0, 0]], "<f4")


@pytest.fixture
def recordings(tmp_path):
    """Twenty frames; the last has neither points nor labels."""
    for folder in ("image_2", "velodyne", "calib", "label_2", "radar/velodyne", "radar/calib"):
        (tmp_path / folder).mkdir(parents=True)
    picture = np.zeros((370, 1224, 3), np.uint8)
    picture[176:184, 596:604] = 255  # round the point straight ahead
    for i in range(20):
        name = f"{i:06d}"
        (tmp_path / f"calib/{name}.txt").write_text(CALIB)
        (tmp_path / f"radar/calib/{name}.txt").write_text(CALIB)
        Image.fromarray(picture).save(tmp_path / f"image_2/{name}.png", compress_level=1)
        np.ones((2, 7), "<f4").tofile(tmp_path / f"radar/velodyne/{name}.bin")
        if i < 19:
            (tmp_path / f"label_2/{name}.txt").write_text(LABELS)
            POINTS.tofile(tmp_path / f"velodyne/{name}.bin")
    return tmp_path


def data(folder, **fields):
    return Kitti(data_dir=str(folder), cells=(20, 20), image_size=(75, 248), **fields)


def test_points_are_moved_to_the_camera(recordings):
    frame = data(recordings).frame("000000")
    # 0.3 m less ahead; 0.06 m to the right, so -y; 0.1 m of camera's y down is z up.
    expected = [[12.0, -10.06, -0.4, 0.7], [20.0, 0.94, 0.1, 0.1]]  # the third is behind
    np.testing.assert_allclose(frame.inputs["lidar"], expected, atol=1e-5)
    assert data(recordings, points=1).frame("000000").inputs["lidar"].shape == (1, 4)


def test_boxes_lie_and_are_turned_as_labelled(recordings):
    calibration = open_calibration(recordings / "calib/000000.txt")
    car, person = open_labels(recordings / "label_2/000000.txt", calibration)
    assert (car.kind, person.kind) == ("Car", "Pedestrian")
    np.testing.assert_allclose([*car.centre, *person.centre], [12, -10, 8, 0], atol=1e-6)
    x, y = car.inside(0.1).T  # the length of 4 m across the road
    np.testing.assert_allclose([x.min(), x.max(), y.min(), y.max()], [11, 13, -12, -8], atol=0.06)
    x, y = person.inside(0.1).T  # the length of 1 m along it
    np.testing.assert_allclose([np.ptp(x), np.ptp(y)], [1, 0.6], atol=0.15)


def test_occupied_free_and_unseen_cells_are_told_apart(recordings):
    frame = data(recordings).frame("000000")
    grid = np.asarray(frame.occupancy)  # cells of 2 m, from y = -20
    assert frame.obstacle == 1.0
    assert {tuple(cell) for cell in np.argwhere(grid == 1)} == {
        *((5, 5), (6, 4), (6, 5)),
        *((row, column) for row in (3, 4) for column in (9, 10)),
    }
    # The car reaches into (5, 4) too, which is to the right of the picture.
    assert grid[0, 0] == grid[3, 19] == grid[5, 4] == UNKNOWN and grid[10, 10] == 0
    apart = data(recordings, corridor=(5.0, 1.25)).frame("000000")
    assert apart.obstacle == 0.0


def test_every_picture_is_that_of_the_reference_camera(recordings):
    picture = np.asarray(data(recordings).frame("000000").inputs["camera"])
    assert picture.shape == (75, 248, 3)
    bright = np.argwhere(picture[..., 0] > 128).mean(axis=0)
    seen = project(np.array([[30.0, 0, 0]]), camera(721.54, (609.56, 172.85))).pixels[0]
    np.testing.assert_allclose(bright[::-1], (seen + 0.5) * 0.2 - 0.5, atol=0.5)


def test_absent_sensors_and_labels_are_missing_and_counted(recordings):
    given = data(recordings, radar=str(recordings / "radar"))
    given.prepare()
    facts = given.facts()
    assert facts["missing"] == {"camera": 0, "lidar": 1, "radar": 0, "labels": 1}
    assert sum(facts["rows"].values()) == 20
    frame = given.frame("000019")
    assert frame.inputs["lidar"] is None and frame.occupancy is None and frame.obstacle is None
    assert frame.inputs["radar"].shape == (2, 7)
    preprocessing = given.preprocessing()
    source = given.source("train")
    examples = source.read(np.arange(3), None)
    lidar = preprocessing.transforms["lidar"](examples.inputs["lidar"])
    assert lidar.values.shape == (3, 8192, 4) and 0 < lidar.mask.sum() <= 6


def test_lists_of_frames_say_which_are_tested(recordings):
    (recordings / "ImageSets").mkdir()
    (recordings / "ImageSets/train.txt").write_text("\n".join(f"{i:06d}" for i in range(15)))
    (recordings / "ImageSets/val.txt").write_text("000015\n000016\n")
    frames = data(recordings).frames
    assert frames["test"] == ["000015", "000016"]
    assert len(frames["train"]) + len(frames["validation"]) == 15
    (recordings / "ImageSets/val.txt").write_text("000099\n")
    with pytest.raises(UserError, match="frame '000099' has no file in calib"):
        _ = data(recordings).frames


@pytest.mark.parametrize(
    "file, content, message",
    [
        ("calib/000000.txt", CALIB.replace("R0_rect", "R0"), "a line R0_rect with 9 numbers, got"),
        ("calib/000000.txt", CALIB.replace("P2: 700", "P2: x"), "a line P2 with 12 numbers"),
        ("calib/000000.txt", CALIB.replace("P2: 700", "P2: -7"), "P2: expected a focal length"),
        ("label_2/000000.txt", "Car 1 2 3", "line 1: expected a type and 14 numbers"),
        ("velodyne/000000.bin", "12345", "5 bytes, not 16 a point"),
    ],
)
def test_damaged_files_are_named(recordings, file, content, message):
    (recordings / file).write_text(content)
    with pytest.raises(UserError, match=message) as caught:
        data(recordings).frame("000000")
    assert file in str(caught.value)


def test_folders_without_frames_are_refused(tmp_path):
    with pytest.raises(MissingFileError, match=r"calib: expected files such as 000000\.txt"):
        data(tmp_path).prepare()
    with pytest.raises(UserError, match=r"--data\.data-dir: expected a folder"):
        Kitti().prepare()
    with pytest.raises(UserError, match="extent, cells: expected ranges"):
        dataclasses.replace(Kitti(), extent=(1.0, 1.0, 0.0, 1.0))
