"""Every registered fusion, on tasks whose best accuracy is known and on digits_match: one table.

On the planted tasks the head is linear: what the modalities say together, the fusion has to find.
Everything else is the same for all: encoders of width 32, optimiser, steps, batches, seeds.

    python experiments/fusion_table.py --fast
    python experiments/fusion_table.py

writes table.md, table.png and results.json to runs/fusion_table_fast and runs/fusion_table; the
same command goes on where it was stopped. --fast, about a minute, only asks whether it runs; in
full about 72 minutes on 2 CPU cores that other work shared. Accuracies with their spread over
seeds: experiments/README.md.
"""

import dataclasses
import functools
import itertools
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from at_once import at_once
from tqdm import tqdm

import mmjax
from mmjax import eval_batches, train_batches
from mmjax.evaluation.cost import measure_costs
from mmjax.fusion import FUSIONS
from mmjax.io import json_file
from mmjax.reports.comparison import Comparison

WIDTH = 32  # of every encoder's tokens and, where it can be chosen, of the fusion
PLANTED = (mmjax.data.Planted, mmjax.data.PlantedChain)
TASKS = ("redundant", "unique", "synergy", "missing", "noisy", "misaligned")
Group = tuple[str, tuple["Column", ...], tuple[int, ...]]  # a row, some columns, the seeds
SHAPES = (
    "image_text",
    "image_table",
    "speech_text",
    "camera_radar_lidar",
    "camera_radar_lidar_imu",
)
BEST_SINGLE = "best single modality"
FAST = ("concat", "gated")  # the fusions of --fast
BATCH = 64
TEST = 4096  # examples to test on: a standard error of 0.3 points at 95 %


@dataclasses.dataclass(frozen=True)
class Column:
    """One task: its data, and how long it is trained."""

    name: str
    data: Any
    steps: int

    @property
    def optimum(self) -> float | None:
        """The best possible accuracy, where it is known."""
        return self.data.best_accuracy() if isinstance(self.data, PLANTED) else None

    @property
    def best_score(self) -> float | None:
        """What the best decisions score on these very test examples."""
        return self.data.best_score("test") if isinstance(self.data, PLANTED) else None

    @property
    def shape(self) -> str:
        """Columns of one shape run the same compiled program."""
        return self.data.shape if isinstance(self.data, mmjax.data.Planted) else self.name

    @property
    def label(self) -> str:
        """The name of the label, and so of the head."""
        return "label" if isinstance(self.data, PLANTED) else "match"


def columns(fast: bool) -> list[Column]:
    """What the fusions are compared on; the tasks first at one shape, then XOR at all others.

    Those of `fast`: XOR, and the pictures and words of digits_match.
    """

    def planted(name: str, task: Any, shape: Any, steps: int) -> Column:
        return Column(name, mmjax.data.Planted(task=task, shape=shape, test_size=TEST), steps)

    digits = mmjax.data.DigitsMatch(word_dropout=0.05)
    if fast:
        xor = planted("synergy", "synergy", "vision_touch", 100)
        return [xor, Column("digits_match", digits, 30)]
    found = [planted(task, task, "vision_touch", 1500) for task in TASKS]
    found += [planted(f"synergy: {s.replace('_', ' ')}", "synergy", s, 500) for s in SHAPES]
    found.append(Column("chain", mmjax.data.PlantedChain(test_size=TEST), 3000))
    return [*found, Column("digits_match", digits, 600)]


def encoder(name: str) -> Any:
    """One that keeps a sequence a sequence."""
    match name:
        case "image":
            return mmjax.encoders.Cnn(features=(16,), dim=WIDTH)
        case "text":
            return mmjax.encoders.Lstm(vocabulary_size=100, embedding_dim=16, dim=WIDTH)
        case _:
            return mmjax.encoders.Features(dim=WIDTH, hidden=(WIDTH,))


def fusion(name: str) -> Any:
    """A registered fusion at the common width; a sketch stays as wide as it needs to be."""
    cls = FUSIONS[name]
    fields = {field.name for field in dataclasses.fields(cls)}
    return cls(dim=WIDTH) if "dim" in fields and name != "compact_bilinear" else cls()


def network(label: str, name: str, modalities: Sequence[str]) -> mmjax.Multimodal:
    """The model of a row; a single modality needs no fusion."""
    hidden = (128,) if label == "match" else ()
    return mmjax.Multimodal(
        encoders={modality: encoder(modality) for modality in modalities},
        fusion=mmjax.fusion.Concat() if name == BEST_SINGLE else fusion(name),
        heads={label: mmjax.heads.Logit(hidden=hidden)},
    )


@functools.cache
def batches(column: Column, seeds: tuple[int, ...]) -> tuple[mmjax.Batch, mmjax.Batch]:
    """All training batches [seed, step, batch, ...], and the test split in one."""
    column.data.prepare()
    preprocessing, source = column.data.preprocessing(), column.data.source("train")

    def stream(seed: int) -> mmjax.Batch:
        found = train_batches(
            column.data, source, preprocessing, batch_size=BATCH, seed=seed, start=0
        )
        return jax.tree.map(lambda *rows: np.stack(rows), *itertools.islice(found, column.steps))

    training = jax.tree.map(lambda *rows: np.stack(rows), *map(stream, seeds))
    test = column.data.source("test")
    return training, next(eval_batches(test, preprocessing, batch_size=len(test)))


@functools.cache
def programs(label: str, name: str, modalities: tuple[str, ...], steps: int) -> Any:
    """(train, evaluate) of a row, all seeds as one program; compiled once for each shape."""
    model = network(label, name, modalities)
    tx = mmjax.optim.Adam(peak_lr=3e-3).chain(steps)
    objectives = {label: mmjax.objectives.BinaryCrossEntropy(output=label, target=label)}
    step = functools.partial(mmjax.train_step, model=model, objectives=objectives, tx=tx, axis=None)

    def train(seed: jax.Array, batches: mmjax.Batch) -> Any:
        first = jax.tree.map(lambda rows: rows[0], batches)
        start = mmjax.create_state(model, tx, first, seed=seed)
        end, _ = jax.lax.scan(lambda state, batch: (step(state, batch)[0], None), start, batches)
        return end.variables

    def evaluate(variables: Any, test: mmjax.Batch) -> jax.Array:
        outputs = cast(mmjax.Outputs, model.apply(variables, test.inputs, train=False))
        return jnp.mean((outputs.values[label] > 0) == (test.targets[label].values > 0.5))

    return jax.jit(jax.vmap(train)), jax.jit(jax.vmap(evaluate, in_axes=(0, None)))


def accuracies(column: Column, name: str, seeds: tuple[int, ...]) -> list[float]:
    """Test accuracy of every seed."""
    training, test = batches(column, seeds)

    def run(modalities: tuple[str, ...]) -> list[float]:
        def only(batch: mmjax.Batch) -> mmjax.Batch:
            inputs = {modality: batch.inputs[modality] for modality in modalities}
            return dataclasses.replace(batch, inputs=inputs)

        train, evaluate = programs(column.label, name, modalities, column.steps)
        return np.asarray(evaluate(train(jnp.array(seeds), only(training)), only(test))).tolist()

    modalities = tuple(sorted(training.inputs))
    if name != BEST_SINGLE:
        return run(modalities)
    # The better one by the very accuracy that is reported: if anything, the baseline is flattered.
    return max((run((modality,)) for modality in modalities), key=np.mean)


def work(group: Group) -> list[dict[str, Any]]:
    """Some cells of one row."""
    name, todo, seeds = group
    cells = []
    for column in todo:
        begin = time.perf_counter()
        found = accuracies(column, name, seeds)
        cells.append(
            {
                "fusion": name,
                "column": column.name,
                "steps": column.steps,
                "accuracies": found,
                "seconds": time.perf_counter() - begin,
            }
        )
    return cells


def compute(
    rows: Sequence[str], todo: Sequence[Column], seeds: tuple[int, ...], path: Path, jobs: int
) -> list[dict[str, Any]]:
    """All cells: those in the file, and the others; the file holds what is done so far."""
    stored = json_file.read(path)["cells"] if path.exists() else []
    known = {(cell["fusion"], cell["column"]): cell for cell in stored}
    asked = [
        (name, column)
        for name in rows
        for column in todo
        if len(known.get((name, column.name), {}).get("accuracies", ())) < len(seeds)
        or known[name, column.name]["steps"] != column.steps
    ]
    # A row's columns of one shape in one process: they share a program.
    groups = [
        (name, tuple(column for _, column in cells), seeds)
        for (name, _), cells in itertools.groupby(asked, key=lambda x: (x[0], x[1].shape))
    ]
    with tqdm(total=len(asked), desc="cells", disable=not sys.stderr.isatty()) as bar:
        for cells in at_once(work, groups, jobs):
            known |= {(cell["fusion"], cell["column"]): cell for cell in cells}
            json_file.write(path, {"cells": list(known.values())})
            bar.update(len(cells))
            for cell in cells if bar.disable else ():
                mean = np.mean(cell["accuracies"])
                print(f"{cell['fusion']:>22} on {cell['column']}: {mean:.4f}", flush=True)
    return [known[name, column.name] for name in rows for column in todo]


def main(
    fast: bool = False,
    seeds: int | None = None,
    fusions: tuple[str, ...] = (),
    tasks: tuple[str, ...] = (),
    out: Path | None = None,
    jobs: int = os.cpu_count() or 1,
) -> None:
    """Train every fusion on every task, and write the table.

    Args:
        fast: 2 fusions, 2 tasks, 2 seeds and few steps
        seeds: trainings of each cell, at least 2; none: 3, and 2 with --fast
        fusions: only these; none: all, and 2 of them with --fast
        tasks: only these columns of the table; none: all
        out: the folder for the table; runs/fusion_table or runs/fusion_table_fast by default
        jobs: processes at a time
    """
    seeds = (2 if fast else 3) if seeds is None else seeds
    fusions = fusions or (FAST if fast else tuple(FUSIONS))
    for name, value, least in (("seeds", seeds, 2), ("jobs", jobs, 1)):
        if value < least:
            raise SystemExit(f"error: --{name}: expected at least {least}, got {value}")
    if unknown := sorted(set(fusions) - set(FUSIONS)):
        raise SystemExit(f"error: --fusions {' '.join(unknown)}: choose from {', '.join(FUSIONS)}")
    out = out or Path("runs") / ("fusion_table_fast" if fast else "fusion_table")
    out.mkdir(parents=True, exist_ok=True)
    every = columns(fast)
    if unknown := sorted(set(tasks) - {column.name for column in every}):
        names = ", ".join(repr(column.name) for column in every)
        raise SystemExit(f"error: --tasks {' '.join(unknown)}: choose from {names}")
    todo = [column for column in every if not tasks or column.name in tasks]
    rows = [BEST_SINGLE, *fusions]
    begin = time.perf_counter()
    cells = compute(rows, todo, tuple(range(seeds)), out / "results.json", jobs)
    costs = measure_costs({name: fusion(name) for name in fusions}, width=WIDTH, batch=BATCH)
    comparison = Comparison(
        scores={
            column.name: {
                cell["fusion"]: cell["accuracies"][:seeds]
                for cell in cells
                if cell["column"] == column.name
            }
            for column in todo
        },
        optimum={column.name: column.optimum for column in todo},
        best={column.name: column.best_score for column in todo},
        baselines=(BEST_SINGLE,),
        costs=costs,
    )
    (out / "table.md").write_text(comparison.markdown(), encoding="utf-8")
    comparison.draw(out / "table.png")
    print(comparison.markdown())
    minutes = (time.perf_counter() - begin) / 60
    print(f"{out / 'table.md'} and {out / 'table.png'}, {minutes:.1f} minutes")


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
