"""Three tasks on one trunk: does a caption match, which digit is it, and how much ink does it take.

scikit-learn's digits with captions; the class and the ink of a picture are known for all training
pictures, or for one in ten of each class. Each task alone (the same network with one head) against
one network for all three, with fixed weights, learned uncertainties, GradNorm, PCGrad and dynamic
weight average.

    python experiments/digits_multitask.py
    python experiments/digits_multitask.py --fast      # 2 seeds, 60 steps: does it run?

writes table.md and results.json to runs/digits_multitask; the same command goes on where it was
stopped. The table with its spread over 3 seeds: experiments/README.md.
"""

from pathlib import Path

import numpy as np
import tyro

import mmjax
from mmjax import balance, heads, objectives
from mmjax.config.sweep import Point
from mmjax.devices import compilation_cache
from mmjax.io import json_file
from mmjax.train.loop.many_runs import fit_many

HEADS = {
    "match": heads.Logit(hidden=(64,)),
    "digit": heads.Classes(classes=10, hidden=(64,)),
    "ink": heads.Number(hidden=(64,)),
}
OBJECTIVES = {
    "match": objectives.BinaryCrossEntropy(output="match", target="match"),
    "digit": objectives.SoftmaxCrossEntropy(output="digit", target="digit"),
    "ink": objectives.SquaredError(output="ink", target="ink"),
}
METRICS = {"match": "match/accuracy", "digit": "digit/accuracy", "ink": "ink/r2"}
METHODS = {
    "fixed weights": balance.Joint(),
    "uncertainty": balance.Uncertainty(),
    "weight_average": balance.WeightAverage(window=40),
    "grad_norm": balance.GradNorm(),
    "pc_grad": balance.PcGrad(),
}
LABELLED = (1.0, 0.1)  # shares of the training pictures whose class and ink are known


def experiment(
    tasks: tuple[str, ...], method: balance.Balance, labelled: float, steps: int
) -> mmjax.Experiment:
    """The experiment of some of the tasks."""
    return mmjax.Experiment(
        model=mmjax.Multimodal(
            encoders={
                "image": mmjax.encoders.Cnn(features=(32, 64), dim=64),
                "text": mmjax.encoders.Lstm(dim=64),
            },
            fusion=mmjax.fusion.CrossAttention(),
            heads={name: HEADS[name] for name in tasks},
        ),
        objectives={name: OBJECTIVES[name] for name in tasks},
        data=mmjax.data.DigitsTasks(labelled=labelled),
        optim=mmjax.optim.Adam(peak_lr=3e-3),
        balance=method,
        steps=steps,
        batch_size=64,
        keeping=mmjax.Keeping(eval_every=steps, log_every=steps),
    )


def rows() -> dict[str, tuple[tuple[str, ...], balance.Balance]]:
    """{name: (tasks, method)} of the table."""
    alone = {f"{name} alone": ((name,), balance.JOINT) for name in HEADS}
    return alone | {name: (tuple(HEADS), method) for name, method in METHODS.items()}


def described(scores: dict[str, dict[str, list[float]]]) -> str:
    """A Markdown table: one row for single-task networks, one for each way to share."""

    def cell(values: list[float]) -> str:
        return f"{100 * np.mean(values):.2f} ± {100 * np.std(values, ddof=1):.2f}"

    columns = [(f"{share:g}", task) for share in LABELLED for task in METRICS]
    names = [f"{task}, {float(share):.0%} known" for share, task in columns]
    lines = [f"| network | {' | '.join(names)} |", "| --- " * (1 + len(names)) + "|"]
    alone = [cell(scores[f"{share}: {task} alone"][METRICS[task]]) for share, task in columns]
    lines.append(f"| one for each task | {' | '.join(alone)} |")
    for method in METHODS:
        cells = [cell(scores[f"{share}: {method}"][METRICS[task]]) for share, task in columns]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(
    fast: bool = False,
    seeds: int | None = None,
    steps: int | None = None,
    workdir: Path | None = None,
) -> None:
    """Train every network, and print the table; in hundredths: accuracies, and R2 of the ink.

    Args:
        fast: 2 seeds and 60 steps
        seeds: trainings of each network, at least 2; none: 3
        steps: of each training; none: 600
        workdir: the folder for the runs; runs/digits_multitask, or with --fast ..._fast
    """
    compilation_cache.enable()
    seeds, steps = seeds or (2 if fast else 3), steps or (60 if fast else 600)
    workdir = workdir or Path("runs") / f"digits_multitask{'_fast' if fast else ''}"
    scores: dict[str, dict[str, list[float]]] = {}
    for share in LABELLED:
        for name, (tasks, method) in rows().items():
            point = Point({}, experiment(tasks, method, share, steps))
            home = workdir / f"{share:g}" / name.replace(" ", "-")
            runs = fit_many([point], home, seeds=seeds)
            scores[f"{share:g}: {name}"] = {
                METRICS[task]: [run.metrics[METRICS[task]] for run in runs] for task in tasks
            }
            json_file.write(workdir / "results.json", {"steps": steps, "scores": scores})
    (workdir / "table.md").write_text(described(scores) + "\n", encoding="utf-8")
    print(described(scores))


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
