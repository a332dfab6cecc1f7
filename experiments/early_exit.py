"""Early exit by modality: the cheap one answers alone where it is sure (planted diagnosis).

Each encoder of a network has a head of its own beside that of the fusion, and all are trained (as
the exits of BranchyNet, Teerapittayanon et al. 2016, arXiv:1709.01686). In a test the encoder of
lowest cost answers first; only where its probability is below a threshold are the other encoder
and the fusion run. The data are those of diagnosis.py: a scan and a record with missing cells.

    python experiments/early_exit.py
    python experiments/early_exit.py --fast       # does it run?

Prints accuracy against operations for thresholds that are shares of test examples, and writes them
as a picture. Figures over 3 seeds: experiments/README.md.
"""

from pathlib import Path
from typing import Any, NamedTuple

import diagnosis
import numpy as np
import tyro

import mmjax
from mmjax.config.sweep import Point
from mmjax.devices import compilation_cache
from mmjax.io import json_file
from mmjax.reports.describe import describe
from mmjax.runs import folder
from mmjax.train.loop.many_runs import fit_many

EARLY = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)  # shares of the examples that the first modality answers
HEAD = "malignant"


class Exits(NamedTuple):
    """Answers of one network on the test split; logits and labels are `[example]`."""

    first: str  # the modality of lowest cost
    early: np.ndarray  # its logits
    late: np.ndarray  # logits of all modalities together
    label: np.ndarray
    cost: tuple[float, float]  # MFLOPs an example: of the first modality alone, of all

    def at(self, share: float) -> tuple[float, float]:
        """MFLOPs an example and accuracy, where this share leaves early: the surest ones."""
        leaves = np.zeros(len(self.label), bool)
        leaves[np.argsort(-np.abs(self.early))[: round(share * len(leaves))]] = True
        right = (np.where(leaves, self.early, self.late) > 0) == (self.label > 0.5)
        alone, whole = self.cost
        # A whole pass reuses what the first encoder computed, but not its head.
        return alone + float(np.mean(~leaves)) * whole, float(np.mean(right))


def exits(run: Path) -> Exits:
    """The answers of a run."""
    model, variables, preprocessing = mmjax.restore(run)
    experiment = folder.require(run)
    flops = {p.path: p.flops / 1e6 for p in describe(experiment, preprocessing, memory=False).parts}
    encoders = {name: flops[model.path_of(name)] for name in model.encoders}
    first = min(encoders, key=lambda name: encoders[name])
    alone = sum(cost for path, cost in flops.items() if path.startswith("alone_") and first in path)
    rest = sum(encoders.values()) - encoders[first]
    rest += flops["fusion"] + flops[model.path_of_head(HEAD)]
    source = experiment.data.source("test")
    batch = next(iter(mmjax.eval_batches(source, preprocessing, batch_size=len(source))))
    inputs = {name: batch.inputs[name] for name in model.encoders}
    outputs: Any = model.apply(variables, inputs, train=False)
    early, late = outputs.unimodal[HEAD][first], outputs.values[HEAD]
    label = np.asarray(batch.targets[HEAD].values)
    cost = encoders[first] + alone, rest
    return Exits(first, np.asarray(early), np.asarray(late), label, cost)


def draw(rows: dict[float, np.ndarray], picture: Path) -> None:
    """Accuracy against operations; a row is `[seed, 2]`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3), layout="constrained")
    axes = figure.add_subplot(xlabel="MFLOPs an example", ylabel="accuracy, %")
    values = np.stack(list(rows.values()))
    mean, spread = values.mean(axis=1), values.std(axis=1, ddof=1)
    axes.errorbar(mean[:, 0], 100 * mean[:, 1], 100 * spread[:, 1], marker="o", capsize=3)
    for share, (cost, score) in zip(rows, mean, strict=True):
        place = {"textcoords": "offset points", "xytext": (6, -9)}
        axes.annotate(f"{100 * share:.0f} % early", (cost, 100 * score), fontsize=7, **place)
    axes.margins(x=0.2)
    figure.savefig(picture, dpi=120)


def main(
    fast: bool = False, seeds: int = 3, steps: int = 400, workdir: Path = Path("runs/early_exit")
) -> None:
    """Train networks with an exit for each modality, and let shares of the examples leave early.

    Args:
        fast: 2 seeds, 20 steps and few patients
        seeds: trainings
        steps: of each training
        workdir: the folder for the data, the runs, the results and the picture
    """
    compilation_cache.enable()
    if fast:
        seeds, steps, workdir = 2, 20, workdir.with_name(f"{workdir.name}_fast")
    if not (workdir / "data" / "rows.csv").exists():
        diagnosis.write_planted(workdir / "data", patients=200 if fast else 1600)
    table = diagnosis.data(workdir / "data", "")
    table.prepare()
    one = diagnosis.studies(table, steps)[HEAD]
    experiment = mmjax.Experiment(
        model=mmjax.Multimodal(
            encoders=one.encoders,
            fusion=mmjax.fusion.Concat(),
            heads={HEAD: one.head},
            unimodal="train",
        ),
        objectives={HEAD: one.objective},
        balance=mmjax.balance.Auxiliary(),
        data=table,
        optim=mmjax.optim.Adam(peak_lr=3e-3),
        steps=steps,
        batch_size=64,
        keeping=mmjax.Keeping(eval_every=steps, log_every=steps),
    )
    trained = fit_many([Point({}, experiment)], workdir / "runs", seeds=seeds)
    found = [exits(workdir / "runs" / run.name) for run in trained]
    rows = {share: np.array([one.at(share) for one in found]) for share in EARLY}
    json_file.write(workdir / "results.json", {str(s): row.tolist() for s, row in rows.items()})
    draw(rows, workdir / "early_exit.png")
    print(f"\n| answered by the {found[0].first} alone, % | MFLOPs an example | accuracy, % |")
    print("| --- | --- | --- |")
    for share, row in rows.items():
        spread = 100 * row[:, 1].std(ddof=1)
        score = f"{100 * row[:, 1].mean():.1f} ± {spread:.1f}"
        print(f"| {100 * share:.0f} | {row[:, 0].mean():.3f} | {score} |")
    print(f"\npicture: {workdir / 'early_exit.png'}")


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
