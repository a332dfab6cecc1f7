"""Models of one data set side by side: each modality alone, late fusion and fusions, over seeds.

Every model is also tested with each modality missing. Late fusion adds the outputs of the models of
single modalities with weights that the validation split chooses; where a modality is missing the
others' weights are scaled to their sum.
"""

import dataclasses
import itertools
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from at_once import at_once
from flax import linen as nn

import mmjax
from mmjax.config.sweep import Point
from mmjax.devices import compilation_cache
from mmjax.io import json_file
from mmjax.statistics.shapley import subsets as every_subset
from mmjax.train.loop.many_runs import fit_many

LATE = "late fusion"
LONG = 100  # steps of trainings that are worth processes of their own
OPTIM = mmjax.optim.Adam(peak_lr=3e-3)
# XLA compiles in half the time, and programs run slower.
QUICK = (
    "--xla_backend_optimization_level=0",
    "--xla_llvm_disable_expensive_passes=true",
    "--xla_cpu_use_fusion_emitters=false",
    "--xla_cpu_parallel_codegen_split_count=1",
)
Scores = dict[str, dict[str, list[float]]]  # {model: {condition: one for each seed}}


@dataclasses.dataclass(frozen=True)
class Study:
    """What the models have in common, and the fusions that are compared.

    `metric` is one of the objective's, such as `accuracy`, and `more` are others that are measured
    on the whole test split; `conditions` are more data sets to test on, by name, which differ from
    `data` in their test split alone.
    """

    data: mmjax.data.Dataset
    encoders: Mapping[str, nn.Module]
    head: nn.Module
    objective: Any
    metric: str
    fusions: Mapping[str, nn.Module]
    optim: Any = OPTIM
    # Learning rates of encoders by modality, as factors of the optimiser's.
    rates: Mapping[str, float] = dataclasses.field(default_factory=dict)
    steps: int = 500
    batch_size: int = 64
    dropped: float = 0.3  # chance of each modality to be hidden in the training of the last fusion
    higher: bool = True  # whether a higher value of the metric is better
    more: tuple[str, ...] = ()
    conditions: Mapping[str, mmjax.data.Dataset] = dataclasses.field(default_factory=dict)
    # The fusion of the models of single modalities.
    alone: nn.Module = dataclasses.field(default_factory=mmjax.fusion.Concat)
    # More tasks of the same models: their heads and objectives.
    beside: tuple[tuple[nn.Module, Any], ...] = ()

    def shortened(self) -> "Study":
        """With the last fusion alone and 30 steps, to see whether it runs."""
        name, fusion = [*self.fusions.items()][-1]
        return dataclasses.replace(self, fusions={name: fusion}, steps=30)

    @property
    def _tasks(self) -> list[tuple[nn.Module, Any]]:
        tasks = [(self.head, self.objective), *self.beside]
        return sorted(tasks, key=lambda task: task[1].output)  # whichever is measured

    def turned(
        self, place: int, metric: str, *, higher: bool = True, more: tuple[str, ...] = ()
    ) -> "Study":
        """The same models, measured by another task: the one at this place of `beside`."""
        rest = [(self.head, self.objective), *self.beside]
        head, objective = rest.pop(1 + place)
        changes: dict[str, Any] = {"head": head, "objective": objective, "beside": tuple(rest)}
        return dataclasses.replace(self, metric=metric, higher=higher, more=more, **changes)

    def models(self) -> dict[str, mmjax.Multimodal]:
        """Every model by its name in the table."""
        heads = {one.output: head for head, one in self._tasks}
        found = {
            f"{name} alone": mmjax.Multimodal(
                encoders={name: encoder}, fusion=self.alone, heads=heads
            )
            for name, encoder in self.encoders.items()
        }
        for name, fusion in self.fusions.items():
            found[name] = mmjax.Multimodal(encoders=self.encoders, fusion=fusion, heads=heads)
        name = list(self.fusions)[-1]
        dropping = dataclasses.replace(found[name], modality_dropout=self.dropped)
        return found | {f"{name}, modalities dropped": dropping}

    def experiment(self, model: mmjax.Multimodal) -> mmjax.Experiment:
        """The training of a model."""
        rates = {
            f"encoders_{name}": self.rates[name] for name in self.rates if name in model.encoders
        }
        return mmjax.Experiment(
            model=model,
            objectives={one.output: one for _, one in self._tasks},
            data=self.data,
            optim=dataclasses.replace(self.optim, rates=rates),
            steps=self.steps,
            batch_size=self.batch_size,
            keeping=mmjax.Keeping(eval_every=self.steps, log_every=self.steps),
        )


class _Split(NamedTuple):
    """All examples of a split, in one batch, and the kind of the target."""

    batch: mmjax.Batch
    kind: Any


def compile_quickly() -> None:
    """For a few steps; to be called before JAX computes anything."""
    os.environ["XLA_FLAGS"] = " ".join([os.environ.get("XLA_FLAGS", ""), *QUICK])


def train(study: Study, workdir: Path, name: str, seeds: int) -> list[Path]:
    """Train one model with every seed, as far as that is not done; returns its runs."""
    home = workdir / name.replace(" ", "-").replace(",", "")
    experiment = study.experiment(study.models()[name])
    if seeds == 1:
        mmjax.fit(experiment, home / "seed-0")
        return [home / "seed-0"]
    return [home / one.name for one in fit_many([Point({}, experiment)], home, seeds=seeds)]


def run(study: Study, workdir: Path, seeds: int) -> Scores:
    """Train every model with every seed, as far as that is not done, and measure all."""
    return run_all({workdir: study}, seeds)[0]


def run_all(studies: Mapping[Path, Study], seeds: int) -> list[Scores]:
    """`run` for several studies, each in its folder; on CPUs as many models at once as cores."""
    for study in studies.values():
        study.data.prepare()
    jobs = [
        (study, workdir, name, seeds)
        for workdir, study in studies.items()
        for name in study.models()
    ]
    short = any(study.steps < LONG for study in studies.values())
    outputs: dict[Path, dict[str, list[Any]]] = {workdir: {} for workdir in studies}
    for number, (workdir, name, found) in enumerate(
        at_once(_trained, jobs, 1 if short else None), 1
    ):
        outputs[workdir][name] = found
        print(f"trained {number} of {len(jobs)}: {workdir.name}, {name}", flush=True)
    return [_measure(study, home, outputs[home]) for home, study in studies.items()]


def _trained(job: tuple[Study, Path, str, int]) -> tuple[Path, str, list[Any]]:
    """Train a model, perhaps in a process of its own; with its place, its outputs of each seed."""
    study, workdir, name, seeds = job
    compilation_cache.enable()
    splits = _splits(study, workdir)
    runs = train(study, workdir, name, seeds)
    return workdir, name, [_outputs(one, splits, study.objective.output) for one in runs]


_made: dict[tuple[Path, str], dict[str, _Split]] = {}  # the last ones: a study has many models


def _splits(study: Study, workdir: Path) -> dict[str, _Split]:
    """The splits on which models are measured, by the names of conditions."""
    key = (workdir, study.objective.target)
    if key not in _made:
        preprocessing = study.data.preprocessing()
        _made.clear()
        _made[key] = {
            name: _split(data, split, preprocessing, study)
            for name, data, split in (
                ("validation", study.data, "validation"),
                ("all", study.data, "test"),
                *((name, data, "test") for name, data in study.conditions.items()),
            )
        }
    return _made[key]


def _measure(study: Study, workdir: Path, outputs: Mapping[str, list[Any]]) -> Scores:
    """The scores of every model, by its outputs with each seed; written to results.json."""
    splits = _splits(study, workdir)
    scores = {
        name: _columns([_measured(study, splits, one) for one in outputs[name]])
        for name in study.models()
    }
    if len(study.encoders) > 1:
        alone = [outputs[f"{name} alone"] for name in study.encoders]
        late = [_late(study, splits, one) for one in zip(*alone, strict=True)]
        scores = {**scores, LATE: _columns(late)}
    json_file.write(workdir / "results.json", {"metric": study.metric, "scores": scores})
    return scores


def _split(data: Any, split: str, preprocessing: Any, study: Study) -> _Split:
    source = data.source(split)
    batches = mmjax.eval_batches(source, preprocessing, batch_size=len(source))
    return _Split(next(iter(batches)), preprocessing.targets[study.objective.target])


def _shown(batch: mmjax.Batch, names: Collection[str]) -> dict[str, mmjax.Masked]:
    """The inputs, of which all other modalities are missing."""
    return {
        name: mmjax.Masked(given.values, given.mask & (name in names))
        for name, given in batch.inputs.items()
    }


def _outputs(
    path: Path, splits: Mapping[str, _Split], output: str
) -> dict[tuple[str, str | None], np.ndarray]:
    """The head's values on every split, {(split, hidden modality or None): values}."""
    model, variables, _ = mmjax.restore(path)
    apply = jax.jit(lambda inputs: model.apply(variables, inputs, train=False))
    found: dict[tuple[str, str | None], np.ndarray] = {}
    for name, (batch, _) in splits.items():
        missing = [None, *(model.encoders if len(model.encoders) > 1 and name == "all" else ())]
        for modality in missing:
            inputs = _shown(batch, {*model.encoders} - {modality})
            result: Any = apply({n: inputs[n] for n in model.encoders})
            found[name, modality] = np.asarray(result.values[output])
    return found


def outputs(study: Study, path: Path, split: str) -> np.ndarray:
    """The values of a run's head on a split of the study's data."""
    one = {split: _split(study.data, split, study.data.preprocessing(), study)}
    return _outputs(path, one, study.objective.output)[split, None]


def subsets(study: Study, path: Path, data: mmjax.data.Dataset) -> dict[frozenset[str], float]:
    """The metric of a run on a test split, for every subset of the modalities that is present."""
    model, variables, preprocessing = mmjax.restore(path)
    split = _split(data, "test", preprocessing, study)
    apply = jax.jit(lambda inputs: model.apply(variables, inputs, train=False))
    found = {}
    for shown in every_subset([*study.encoders]):
        result: Any = apply(_shown(split.batch, shown))
        values = np.asarray(result.values[study.objective.output])
        found[shown] = metrics(study, split, values)[study.metric]
    return found


def metrics(study: Study, split: _Split, values: np.ndarray) -> Mapping[str, float]:
    """All metrics of outputs on a split."""
    outputs = mmjax.Outputs({study.objective.output: jax.numpy.asarray(values)})
    records = jax.device_get(study.objective.record(outputs, split.batch))
    return study.objective.metrics(records, split.kind)


def _named(key: tuple[str, str | None]) -> str:
    return key[0] if key[1] is None else f"without {key[1]}"


def _measured(study: Study, splits: Mapping[str, _Split], outputs: Any) -> dict[str, float]:
    found = {}
    for key, values in outputs.items():
        measured = metrics(study, splits[key[0]], values)
        found[_named(key)] = measured[study.metric]
        if key == ("all", None):
            found |= {name: measured[name] for name in study.more}
    return found


def _late(study: Study, splits: Mapping[str, _Split], alone: Any) -> dict[str, float]:
    """The scores of the best weighted sum of outputs, one for each modality."""
    names = [*study.encoders]
    grid = [w for w in itertools.product(np.linspace(0, 1, 11), repeat=len(names)) if sum(w) > 0]

    def added(weights: Any, split: str) -> np.ndarray:
        shares = np.asarray(weights) / np.sum(weights)
        return np.sum([w * one[split, None] for w, one in zip(shares, alone, strict=True)], axis=0)

    def quality(weights: Any) -> float:
        found = metrics(study, splits["validation"], added(weights, "validation"))
        return found[study.metric] if study.higher else -found[study.metric]

    best = max(grid, key=quality)
    outputs: dict[tuple[str, str | None], np.ndarray]
    outputs = {(name, None): added(best, name) for name in splits}
    for place, modality in enumerate(names):
        rest = [0.0 if i == place else max(w, 1e-6) for i, w in enumerate(best)]
        outputs["all", modality] = added(rest, "all")
    return _measured(study, splits, outputs)


def _columns(rows: list[dict[str, float]]) -> dict[str, list[float]]:
    return {name: [row[name] for row in rows] for name in rows[0] if name != "validation"}


def over_folds(folds: Sequence[Scores]) -> tuple[Scores, dict[str, float]]:
    """Means over folds, and the standard deviation of each model's score over them."""
    means = {
        name: {
            condition: np.mean([one[name][condition] for one in folds], axis=0).tolist()
            for condition in row
        }
        for name, row in folds[0].items()
    }
    spread = {name: float(np.std(row["all"])) for name, row in by_fold(folds).items()}
    return means, spread


def by_fold(folds: Sequence[Scores]) -> Scores:
    """The means over seeds of each fold."""
    return {
        name: {
            condition: [float(np.mean(one[name][condition])) for one in folds] for condition in row
        }
        for name, row in folds[0].items()
    }


def markdown(scores: Scores, *, percent: bool = True) -> str:
    """A table of means ± standard deviations, of several; empty where a model has no score."""
    columns = list(dict.fromkeys(name for row in scores.values() for name in row))
    factor, digits = (100, 1) if percent else (1, 3)

    def cell(values: list[float]) -> str:
        mean = f"{factor * np.mean(values):.{digits}f}"
        spread = f" ± {factor * np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else ""
        return mean + spread

    lines = [f"| model | {' | '.join(columns)} |", "| --- " * (1 + len(columns)) + "|"]
    for name, row in scores.items():
        cells = [cell(row[column]) if column in row else "" for column in columns]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)
