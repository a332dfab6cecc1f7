"""Driving on planted scenes: camera, lidar and radar, by day, by night, in rain, behind a truck.

Three tasks of one model, from above (bird's eye): which of 10 x 10 cells of 3 m are occupied, is
something closer than 2 seconds, and which path to take. The camera's features are lifted to the
cells by its known calibration, the points of lidar and radar are rastered. The scenes and what
each sensor measures of them are in driving_scene.py. What the sensors cannot know bounds the
scores: 2 % of the warnings are wrong (98.0 % at best), and paths have a noise of 0.1 m (an average
displacement of 0.125 m at best).

    python experiments/driving.py
    python experiments/driving.py --fast       # does it run?

On recordings in KITTI's folders, from sensors to occupied cells and a warning:

    python experiments/driving.py --kitti DIR

Prints a table for each task, and what each sensor is worth in each condition, which it also writes
as a picture. Figures over 3 seeds: experiments/README.md.
"""

import dataclasses
from pathlib import Path

import driving_scene as planted
import numpy as np
import study
import tyro

import mmjax
from mmjax import encoders, fusion, heads, objectives
from mmjax.devices import compilation_cache
from mmjax.statistics.shapley import shapley

TITLES = {
    "occupancy": "Occupied cells, intersection over union, %",
    "obstacle": "Closer than 2 seconds, accuracy, %",
    "path": "Path, average displacement in metres, and the share of paths that meet an obstacle",
}
WIDTH = 32  # of the tokens


def driving(steps: int) -> study.Study:
    """The models, measured by the occupied cells."""
    grid = {"extent": planted.EXTENT, "dim": WIDTH}
    points = encoders.BirdsEye(
        cells=(20, 20), features=(WIDTH,), pooling="none", positions=True, **grid
    )
    cells = int(np.prod(planted.CELLS))
    return study.Study(
        data=planted.Drives(train_size=8192, test_size=1024, validation_size=512),
        encoders={
            "camera": encoders.LiftedCamera(
                camera=tuple(planted.CAMERA.ravel().tolist()),
                image_size=planted.SIZE,
                cells=planted.CELLS,
                heights=(planted.GROUND + 0.2, 0.0),
                features=(16, 32),
                **grid,
            ),
            "lidar": points,
            "radar": points,
        },
        head=heads.Occupancy(cells=planted.CELLS, features=(16,)),
        objective=objectives.OccupancyCrossEntropy(
            output="occupancy", target="occupancy", pos_weight=3.0
        ),
        metric="iou",
        beside=(
            (
                heads.Logit(hidden=(64,)),
                objectives.BinaryCrossEntropy(output="obstacle", target="obstacle"),
            ),
            (
                heads.Waypoints(steps=planted.STEPS, hidden=(64,), pooling="flatten"),
                objectives.PathError(
                    output="path", target="path", obstacles="occupancy", extent=planted.EXTENT
                ),
            ),
        ),
        fusions={
            "gated": fusion.Gated(dim=WIDTH),
            "aligned, attention": fusion.Aligned(steps=cells, dim=WIDTH, method="attention"),
            "aligned": fusion.Aligned(steps=cells, dim=WIDTH),
        },
        alone=fusion.Aligned(steps=cells, dim=WIDTH),
        steps=steps,
        batch_size=32,
        conditions={
            name: planted.Drives(test_size=1024, condition=name) for name in planted.CONDITIONS
        },
    )


def worth(one: study.Study, runs: list[Path]) -> dict[str, dict[str, list[float]]]:
    """Shapley values of the sensors in each condition, {condition: {sensor: one for each run}}."""
    found = {}
    for condition, data in one.conditions.items():
        values = [shapley(study.subsets(one, run, data)) for run in runs]
        found[condition] = {name: [value[name] for value in values] for name in one.encoders}
    return found


def draw(values: dict[str, dict[str, list[float]]], picture: Path) -> None:
    """Bars of what each sensor adds, stacked by condition."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.add_subplot(
        ylabel="share of the IoU, points", title="What each sensor is worth (Shapley value)"
    )
    sensors = [*next(iter(values.values()))]
    place = np.arange(len(values))
    for i, (name, colour) in enumerate(
        zip(sensors, ("#0072b2", "#e69f00", "#009e73"), strict=True)
    ):
        several = [100 * np.array(by[name]) for by in values.values()]
        axes.bar(
            place + 0.27 * (i - 1),
            [one.mean() for one in several],
            width=0.25,
            yerr=[one.std() for one in several],
            label=name,
            color=colour,
        )
    axes.set_xticks(place, [*values])
    axes.axhline(0, color="grey", linewidth=0.5)
    axes.legend()
    figure.savefig(picture, dpi=120)


def recorded(kitti: Path, steps: int, workdir: Path) -> None:
    """Camera and lidar of recordings in KITTI's folders: occupied cells and a warning."""
    extent, cells = (0.0, 40.0, -20.0, 20.0), (16, 16)
    data = mmjax.data.Kitti(data_dir=str(kitti), extent=extent, cells=cells)
    data.prepare()
    grid = {"extent": extent, "dim": 64}
    lidar = encoders.BirdsEye(
        cells=(32, 32), features=(64,), pooling="none", positions=True, **grid
    )
    one = study.Study(
        data=data,
        encoders={"camera": encoders.LiftedCamera(cells=cells, **grid), "lidar": lidar},
        head=heads.Occupancy(cells=cells),
        objective=objectives.OccupancyCrossEntropy(
            output="occupancy", target="occupancy", pos_weight=3.0
        ),
        metric="iou",
        beside=(
            (heads.Logit(), objectives.BinaryCrossEntropy(output="obstacle", target="obstacle")),
        ),
        fusions={"aligned": fusion.Aligned(steps=int(np.prod(cells)))},
        alone=fusion.Aligned(steps=int(np.prod(cells))),
        steps=steps,
    )
    for place, title in ((None, "occupancy"), (0, "obstacle")):
        measured = one if place is None else one.turned(place, "accuracy")
        print(f"\n{TITLES[title]}\n\n{study.markdown(study.run(measured, workdir, 2))}")


def main(
    fast: bool = False,
    seeds: int = 3,
    steps: int = 600,
    kitti: Path | None = None,
    workdir: Path = Path("runs/driving"),
) -> None:
    """Train every model on three tasks at once, and measure each sensor in each condition.

    Args:
        fast: 2 seeds, 30 steps, one fusion and few scenes
        seeds: trainings of each model
        steps: of each training
        kitti: a folder with image_2, velodyne, calib and label_2, in place of the planted scenes
        workdir: the folder for the runs, the results and the picture
    """
    compilation_cache.enable()
    if kitti is not None:
        recorded(kitti, steps, workdir / "kitti")
        return
    one = driving(steps)
    if fast:
        study.compile_quickly()
        seeds, workdir = 2, workdir.with_name(f"{workdir.name}_fast")
        few = planted.Drives(train_size=256, test_size=64, validation_size=64)
        conditions = {"night": dataclasses.replace(few, condition="night")}
        one = dataclasses.replace(one.shortened(), data=few, conditions=conditions)
    tasks = {
        "occupancy": one,
        "obstacle": one.turned(0, "accuracy"),
        "path": one.turned(1, "average_displacement", higher=False, more=("collisions",)),
    }
    for name, task in tasks.items():
        table = study.markdown(study.run(task, workdir, seeds), percent=name != "path")
        print(f"\n{TITLES[name]}\n\n{table}")
    robust = [*one.models()][-1]
    values = worth(one, study.train(one, workdir, robust, seeds))
    picture = workdir / "worth.png"
    draw(values, picture)
    print(f"\nWhat each sensor adds to the IoU of {robust!r}, points\n")
    shares = {name: {c: by[name] for c, by in values.items()} for name in one.encoders}
    print(f"{study.markdown(shares)}\n\npicture: {picture}")


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
