"""Modality imbalance: what a joint training leaves unused, and what four remedies do about it.

The planted task "dominated": two sensors both tell the label without error, vision in an easy form
and touch in a hard one (the parity of two places). The joint training is content with vision. How
much touch has learned shows when vision is missing: the best possible accuracy is then still 1.

    python experiments/modality_balance.py

trains every method with several seeds, each in a folder of its own below runs/modality_balance (the
same command goes on where it was stopped), and prints a table. Gradient-Blending takes its weights
from the runs with auxiliary losses. On 2 CPU cores about 5 minutes. Test accuracy without vision,
mean ± standard deviation over 5 seeds: joint 69.9 ± 27.2 %, unimodal auxiliary losses 100.0 ± 0.0,
OGM-GE 88.7 ± 15.7, Gradient-Blending 100.0 ± 0.0, modality dropout 100.0 ± 0.0; with both
modalities all reach 100.
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import tyro

import mmjax
from mmjax.balance import Balance, blend_weights
from mmjax.runs import log

joint = mmjax.Experiment(
    model=mmjax.Multimodal(
        encoders={
            "touch": mmjax.encoders.Features(dim=32, hidden=(32, 32)),
            "vision": mmjax.encoders.Features(dim=32, hidden=(32, 32)),
        },
        fusion=mmjax.fusion.Concat(),
        heads={"label": mmjax.heads.Logit(hidden=())},
    ),
    objectives={"label": mmjax.objectives.BinaryCrossEntropy(output="label", target="label")},
    data=mmjax.data.Planted(task="dominated", shape="vision_touch", test_size=4096),
    optim=mmjax.optim.Adam(peak_lr=1e-3),
    steps=500,
    batch_size=64,
    keeping=mmjax.Keeping(eval_every=100, log_every=100),
)


def balanced(balance: Balance, unimodal: str) -> mmjax.Experiment:
    """The same training, balanced."""
    model = dataclasses.replace(joint.model, unimodal=unimodal)
    return dataclasses.replace(joint, model=model, balance=balance)


def blended(run: Path) -> mmjax.Experiment:
    """Gradient-Blending with weights measured on a run with auxiliary losses.

    Between its first and its last validation, with the training losses of the same steps.
    """
    lines = log.read(run / log.FILE)
    names = {None: "label", "touch": "label/touch", "vision": "label/vision"}

    def losses(step: int) -> dict[str | None, tuple[float, float]]:
        at = {line["split"]: line for line in lines if line["step"] == step}
        return {
            modality: (at["train"][f"{name}/loss"], at["validation"][f"{name}/loss"])
            for modality, name in names.items()
        }

    weights = blend_weights(losses(joint.keeping.eval_every), losses(joint.steps))
    # Summing to 3, so that the step is as long as with three losses of weight 1.
    scaled = {modality: 3 * weight for modality, weight in weights.items()}
    own = {modality: weight for modality, weight in scaled.items() if modality is not None}
    return balanced(mmjax.balance.Blend(joint=scaled[None], weights=own), "train")


def without_vision(run: Path) -> float:
    """Test accuracy of a finished run that gets to see nothing of vision."""
    model, variables, preprocessing = mmjax.restore(run)
    source = joint.data.source("test")
    right = []
    for batch in mmjax.eval_batches(source, preprocessing, batch_size=len(source)):
        vision = batch.inputs["vision"]
        blind = mmjax.Masked(vision.values, np.zeros_like(vision.mask))
        outputs: Any = model.apply(variables, {**batch.inputs, "vision": blind}, train=False)
        right.append(
            (np.asarray(outputs.values["label"]) > 0) == (batch.targets["label"].values > 0.5)
        )
    return float(np.mean(np.concatenate(right)))


def main(seeds: int = 5, workdir: Path = Path("runs/modality_balance")) -> None:
    """Train, and print the table.

    Args:
        seeds: runs of each method
        workdir: the folder of the runs' folders
    """
    if seeds < 1:
        raise SystemExit(f"error: --seeds: expected at least 1, got {seeds}")
    dropout = dataclasses.replace(joint.model, modality_dropout=0.3)
    methods = {
        "joint": lambda seed: joint,
        "unimodal auxiliary losses": lambda seed: balanced(mmjax.balance.Auxiliary(), "train"),
        "OGM-GE": lambda seed: balanced(mmjax.balance.OgmGe(alpha=1.0), "probe"),
        "Gradient-Blending": lambda seed: blended(workdir / f"unimodal_auxiliary_losses_{seed}"),
        "modality dropout": lambda seed: dataclasses.replace(joint, model=dropout),
    }
    rows = {}
    for name, make in methods.items():
        scores = []
        for seed in range(seeds):
            run = workdir / f"{name.replace(' ', '_')}_{seed}"
            metrics = mmjax.fit(dataclasses.replace(make(seed), seed=seed), run)
            scores.append((metrics["label/accuracy"], without_vision(run)))
        rows[name] = 100 * np.array(scores)
    print("| training | accuracy, % | without vision, % | lowest |")
    print("| --- | --- | --- | --- |")
    print("| *best possible* | 100 | 100 | 100 |")
    for name, found in rows.items():
        spread = found.std(axis=0, ddof=1) if seeds > 1 else np.zeros(2)
        cells = [f"{m:.1f} ± {s:.1f}" for m, s in zip(found.mean(axis=0), spread, strict=True)]
        print(f"| {name} | {cells[0]} | {cells[1]} | {found[:, 1].min():.1f} |")


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
