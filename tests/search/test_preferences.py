"""Choices between results, as the page saves them, teach a run that stays searchable."""

import dataclasses

import numpy as np
import pytest

import mmjax
from mmjax.data.tables import columns
from mmjax.errors import UserError
from mmjax.evaluation.opened import open_run
from mmjax.search import Embedder, Index
from mmjax.search.build import build
from mmjax.train.loop.fit import fit

pytestmark = pytest.mark.usefixtures("standard_promotion")


def test_a_run_learns_what_people_prefer_and_both_items_are_read_by_one_encoder(
    colours, embedder, tmp_path
):
    run, table = colours
    own = open_run(run).experiment
    names = [f"pictures/{word}/{n}.png" for n, word in enumerate(("red", "green", "blue", "white"))]
    lines = ["words,image,better,worse,choice"]
    for number in range(0, 40, 2):
        lines.append(f"square,,{names[2]},{names[0]},{number}")
        lines.append(f",{names[1]},{names[2]},{names[0]},{number + 1}")
    choices = table.with_name("choices.csv")
    choices.write_text("\n".join(lines))
    picture = columns.ImageColumn(size=(4, 4))
    said = mmjax.data.TableData(
        file=choices.name,
        data_dir=str(choices.parent),
        group="choice",
        columns={"words": columns.TextColumn()}
        | dict.fromkeys(("image", "better", "worse"), picture),
    )
    taught = dataclasses.replace(
        own,
        model=own.model.clone(shared={"better": "image", "worse": "image"}),
        objectives={
            "pairs": mmjax.objectives.InfoNce(modalities=("image", "words")),
            "preference": mmjax.objectives.BradleyTerry(),
        },
        data=mmjax.data.Mixed({"pairs": own.data, "choices": said}),
        init=str(run),
        steps=40,
        keeping=dataclasses.replace(own.keeping, eval_every=40),
    )
    with pytest.raises(UserError, match=r"--model\.shared: the data have no modality better"):
        fit(dataclasses.replace(taught, data=own.data), tmp_path / "none")
    metrics = fit(taught, tmp_path / "taught")
    assert np.isfinite(metrics["preference/loss"])
    transforms = mmjax.data.Preprocessing.load(tmp_path / "taught").transforms
    assert transforms["better"] == transforms["worse"] == transforms["image"]
    after = Embedder(tmp_path / "taught")
    assert set(after.preprocessing.transforms) == {"image", "words"}
    pixels = [after.read("image", name, table.parent) for name in names]

    def gaps(embed):
        """How much nearer blue is than red: to the word, and to the green picture."""
        pictures = embed("image", pixels)
        queries = np.stack([embed("words", ["square"])[0], pictures[1]])
        return queries @ (pictures[2] - pictures[0])

    assert np.all(gaps(after) > np.maximum(gaps(embedder), 0) + 0.1)
    index = build(after, table, tmp_path / "index").index
    assert len(Index.open(tmp_path / "index")) == len(index) == 64
