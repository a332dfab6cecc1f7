"""A classifier of colours, by a picture and a word that may be missing."""

import csv

import jax
import numpy as np
import pytest

import mmjax
from mmjax.data.tables import columns
from tests.search.conftest import COLOURS, paint


@pytest.fixture(scope="session")
def coloured(tmp_path_factory):
    """(run, table of new rows, {row: true colour}); the last three new rows are test examples."""
    from mmjax.train.loop.fit import fit

    folder = tmp_path_factory.mktemp("coloured")
    known, new, truth = [], [], {}
    for number in range(140):
        word = list(COLOURS)[number % 4]
        name = f"pictures/{number}.png"
        paint(folder / name, word, number)
        said = word if number % 5 else ""
        if number < 80:
            part = ("train", "train", "train", "validation", "test")[number // 4 % 5]
            known.append([name, said, word, part])
        else:
            new.append([name, said])
            truth[str(len(new) + 1)] = word
    tested = [row[:2] for row in known if row[3] == "test"][:3]
    for file, header, rows in (
        ("known.csv", ["image", "words", "colour", "part"], known),
        ("new.csv", ["image", "words"], new + tested),
    ):
        with (folder / file).open("w", newline="") as out:
            csv.writer(out).writerows([header, *rows])
    data = mmjax.data.TableData(
        file="known.csv",
        data_dir=str(folder),
        split="part",
        columns={
            "image": columns.ImageColumn(size=(4, 4)),
            "words": columns.TextColumn(),
            "colour": columns.ClassColumn(),
        },
    )
    with jax.numpy_dtype_promotion("standard"):
        experiment = mmjax.Experiment(
            model=mmjax.Multimodal(
                encoders={
                    "image": mmjax.encoders.Cnn((4,), 8),
                    "words": mmjax.encoders.BagOfWords(8, dim=8),
                },
                fusion=mmjax.fusion.Concat(),
                heads={"colour": mmjax.heads.Classes(classes=4, hidden=(8,), dropout=0.3)},
            ),
            objectives={
                "colour": mmjax.objectives.SoftmaxCrossEntropy(output="colour", target="colour")
            },
            data=data,
            optim=mmjax.optim.Adam(peak_lr=3e-2),
            steps=40,
            batch_size=16,
            keeping=mmjax.Keeping(eval_every=40, log_every=40),
        )
        fit(experiment, folder / "run")
    return folder / "run", folder / "new.csv", truth


@pytest.fixture
def rng():
    return np.random.default_rng(0)
