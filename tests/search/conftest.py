"""A dual encoder that was trained on pictures of one colour, and words for them."""

import csv

import jax
import numpy as np
import pytest
from PIL import Image

import mmjax
from mmjax.data.tables import columns
from mmjax.search import Embedder

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 220), "white": (240,) * 3}


def paint(path, word, seed=0):
    """A picture of this colour with a little noise."""
    noise = np.random.default_rng(seed).integers(-15, 16, (12, 12, 3))
    pixels = np.clip(np.array(COLOURS[word]) + noise, 0, 255).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture(scope="session")
def colours(tmp_path_factory):
    """(run, table): its folder `pictures` has 16 pictures of each colour."""
    from mmjax.train.loop.fit import fit

    folder = tmp_path_factory.mktemp("colours")
    with (folder / "rows.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "words"])
        for number in range(64):
            word = list(COLOURS)[number % 4]
            name = f"pictures/{word}/{number}.png"
            paint(folder / name, word, number)
            writer.writerow([name, f"{word} square" if number % 3 else word])
    data = mmjax.data.TableData(
        file="rows.csv",
        data_dir=str(folder),
        columns={"image": columns.ImageColumn(size=(4, 4)), "words": columns.TextColumn()},
    )
    with jax.numpy_dtype_promotion("standard"):
        data.prepare()
        encoders = {
            "image": mmjax.encoders.Cnn((8,), 8),
            "words": mmjax.encoders.BagOfWords(8, dim=8),
        }
        experiment = mmjax.Experiment(
            model=mmjax.DualEncoder(encoders=encoders, dim=8),
            objectives={"pairs": mmjax.objectives.InfoNce()},
            data=data,
            optim=mmjax.optim.Adam(peak_lr=3e-2),
            steps=80,
            batch_size=16,
            keeping=mmjax.Keeping(eval_every=80, log_every=80),
        )
        fit(experiment, folder / "run")
    return folder / "run", folder / "rows.csv"


@pytest.fixture(scope="session")
def embedder(colours):
    with jax.numpy_dtype_promotion("standard"):
        return Embedder(colours[0])
