"""Pruning by magnitude with fine-tuning: accuracy against operations, on digits_match.

A trained network goes on learning while its smallest weights become zero, more with every step up
to a share of each kernel (gradual magnitude pruning, Zhu and Gupta 2017, arXiv:1710.01878). The
operations are those of a kernel that skips zeros: usual dense kernels do them all the same.

    python experiments/pruning.py
    python experiments/pruning.py --fast       # does it run?

Prints a table and writes it as a picture. Figures over 3 seeds: experiments/README.md.
"""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import digits_match
import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro

import mmjax
from mmjax.config.sweep import Point
from mmjax.devices import compilation_cache
from mmjax.io import json_file
from mmjax.layers.tracing.paths import path_of
from mmjax.reports.describe import describe
from mmjax.runs import folder
from mmjax.train.loop.fit import fit
from mmjax.train.loop.many_runs import fit_many

SHARES = (0.5, 0.25, 0.1, 0.05, 0.02)  # of the weights that are kept
EVERY = 25  # steps between choices of the weights


class Pruning(NamedTuple):
    """The state of `pruned`."""

    count: jax.Array
    masks: Any  # of every parameter: which of its numbers are kept


def pruned(keep: float, steps: int) -> optax.GradientTransformation:
    """Sets the smallest weights of each kernel to zero; the last third of the steps keeps them.

    The share that is pruned rises as s (1 - (1 - t / T)^3).
    """

    def init(params: Any) -> Pruning:
        return Pruning(
            jnp.zeros((), jnp.int32), jax.tree.map(lambda x: jnp.ones_like(x, bool), params)
        )

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Pruning]:
        progress = jnp.clip(state.count / (2 * steps / 3), 0.0, 1.0)
        share = (1 - keep) * (1 - (1 - progress) ** 3)

        def choose() -> Any:
            def one(path: Any, weights: jax.Array) -> jax.Array:
                if not path_of(path).endswith("kernel"):
                    return jnp.ones_like(weights, bool)
                size = jnp.abs(weights)
                return size >= jnp.quantile(size, share)

            return jax.tree_util.tree_map_with_path(one, params)

        due = (state.count % EVERY == 0) & (progress < 1) | (state.count == round(2 * steps / 3))
        masks = jax.lax.cond(due, choose, lambda: state.masks)
        updates = jax.tree.map(lambda m, u, p: jnp.where(m, u, -p), masks, updates, params)
        return updates, Pruning(state.count + 1, masks)

    return optax.GradientTransformation(init, update)


@dataclasses.dataclass(frozen=True)
class PrunedAdam(mmjax.optim.Optim):
    """Adam whose smallest weights become zero."""

    keep: float = 0.5  # share of each kernel's weights that is not zero at the end

    def direction(self) -> optax.GradientTransformation:
        return optax.scale_by_adam()

    def chain(self, steps: int, *args: Any, **options: Any) -> optax.GradientTransformation:
        """The whole update."""
        return optax.chain(super().chain(steps, *args, **options), pruned(self.keep, steps))


mmjax.register(PrunedAdam, family="optim")


def operations(run: Path) -> tuple[float, float]:
    """MFLOPs of a forward pass per example: all, and those with weights that are not zero."""
    experiment, (_, variables, preprocessing) = folder.require(run), mmjax.restore(run)
    parts = describe(experiment, preprocessing, memory=False).parts
    dense = kept = 0.0
    for part in parts:
        leaves = jax.tree_util.tree_leaves_with_path(variables["params"].get(part.path, {}))
        kernels = [np.asarray(x) for path, x in leaves if path_of(path).endswith("kernel")]
        size = sum(kernel.size for kernel in kernels)
        share = sum(np.count_nonzero(kernel) for kernel in kernels) / size if size else 1.0
        dense, kept = dense + part.flops / 1e6, kept + share * part.flops / 1e6
    return dense, kept


def draw(rows: dict[float, tuple[float, list[float]]], picture: Path) -> None:
    """Accuracy against operations."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3), layout="constrained")
    axes = figure.add_subplot(
        xlabel="MFLOPs an example, zeros skipped", ylabel="accuracy, %", xscale="log"
    )
    operations, scores = zip(*rows.values(), strict=True)
    mean = [100 * np.mean(one) for one in scores]
    spread = [100 * np.std(one, ddof=1) for one in scores]
    axes.errorbar(operations, mean, spread, marker="o", capsize=3)
    figure.savefig(picture, dpi=120)


def main(
    fast: bool = False, seeds: int = 3, steps: int = 600, workdir: Path = Path("runs/pruning")
) -> None:
    """Train a network with every seed, then prune each to several shares of its weights.

    Args:
        fast: 2 seeds, 20 steps and one share
        seeds: trainings
        steps: of fine-tuning
        workdir: the folder for the runs, the results and the picture
    """
    compilation_cache.enable()
    dense, shares = digits_match.experiment, SHARES
    if fast:
        seeds, steps, shares, workdir = 2, 20, (0.1,), workdir.with_name(f"{workdir.name}_fast")
        dense = dataclasses.replace(dense, steps=20)
    dense = dataclasses.replace(dense, keeping=mmjax.Keeping(eval_every=dense.steps))
    trained = fit_many([Point({}, dense)], workdir / "dense", seeds=seeds)
    first = workdir / "dense" / trained[0].name
    rows = {1.0: (operations(first)[0], [one.metrics["match/accuracy"] for one in trained])}
    for keep in shares:
        scores, kept = [], 0.0
        for seed, one in enumerate(trained):
            run = workdir / f"keep-{keep}" / f"seed-{seed}"
            fine = dataclasses.replace(
                dense,
                optim=PrunedAdam(keep=keep, peak_lr=1e-3),
                init=str(workdir / "dense" / one.name),
                steps=steps,
                seed=seed,
                keeping=mmjax.Keeping(eval_every=steps),
            )
            scores.append(fit(fine, run)["match/accuracy"])
            kept = operations(run)[1]
        rows[keep] = kept, scores
    json_file.write(workdir / "results.json", {str(k): list(row) for k, row in rows.items()})
    draw(rows, workdir / "pruning.png")
    print("\n| weights kept, % | MFLOPs an example | accuracy, % |\n| --- | --- | --- |")
    for keep, (cost, scores) in rows.items():
        spread = 100 * np.std(scores, ddof=1)
        print(f"| {100 * keep:g} | {cost:.3f} | {100 * np.mean(scores):.2f} ± {spread:.2f} |")
    print(f"\npicture: {workdir / 'pruning.png'}")


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
