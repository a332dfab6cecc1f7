"""What survives when everything is tuned alike: modalities alone, late fusion, and fusions.

After Rheude, Eils, Wild 2025, "Fusion or Confusion? Multimodal Complexity Is Not All You Need",
arXiv:2512.22991. Every row gets the same random search over learning rate, weight decay and width:
the same drawn values, the same steps and batches. The validation split picks; the picked values are
trained again from new initial weights, and only these are tested. Late fusion adds the logits of
the tuned single modalities, with a weight that the validation split picks.

    python experiments/fairness.py --fast
    python experiments/fairness.py --fsdd DIR --food DIR   # folders of the original files

prints a table for each task, the tests against the best single modality and the late-fusion
Transformer (SimBaMM's form), ranks over tasks, and what the paper asks for. It writes results.json
and the logits of each row to runs/fairness; the same command goes on where it was stopped. Without
--fsdd or --food their tasks are left out. Figures with their command: experiments/README.md.
"""

import dataclasses
import functools
import itertools
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

import food_table
import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro

import mmjax
from mmjax.devices import compilation_cache
from mmjax.fusion import FUSIONS
from mmjax.io import json_file
from mmjax.statistics import hypotheses

WIDTHS = (16, 32)
RATES, DECAYS = (3e-4, 3e-2), (1e-5, 1e-1)
BATCH = 64
LATE, SIMPLE = "late fusion", "late_transformer"
CHOSEN = ("concat", "gated", "tensor", "cross_attention", "mult", "bottleneck", SIMPLE)


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """Data of one target, and what encodes them."""

    name: str
    data: Any
    target: str
    classes: int  # 1: yes or no
    steps: int

    def encoder(self, modality: str, width: int) -> Any:
        match modality:
            case "image":
                return mmjax.encoders.Cnn(features=(16,), dim=width)
            case "text":
                return mmjax.encoders.BagOfWords(vocabulary_size=100, dim=width)
            case "table":
                return mmjax.encoders.TableMlp(dim=width, hidden=(width,))
        return mmjax.encoders.AudioCnn(
            sample_rate=8000, hop=0.02, mels=16, features=(8, 16), dim=width
        )

    def model(self, method: str, modalities: tuple[str, ...], width: int) -> mmjax.Multimodal:
        head = mmjax.heads.Logit() if self.classes == 1 else mmjax.heads.Classes(self.classes)
        return mmjax.Multimodal(
            encoders={name: self.encoder(name, width) for name in modalities},
            fusion=FUSIONS[method](**({"dim": width} if _has_dim(method) else {})),
            heads={self.target: head},
        )

    @property
    def objective(self) -> Any:
        one = mmjax.objectives
        kind = one.BinaryCrossEntropy if self.classes == 1 else one.SoftmaxCrossEntropy
        return kind(output=self.target, target=self.target)


class Row(NamedTuple):
    """A tuned method on a task."""

    validation: np.ndarray  # logits [seed, example, class]
    test: np.ndarray
    picked: dict[str, float]
    parameters: int
    seconds: float


def tasks(fsdd: Path | None, food: Path | None, steps: int, workdir: Path) -> list[Task]:
    """Two to four tasks; spoken_digit is tested on a person who is not heard in training."""
    found = [
        Task("digits_match", mmjax.data.DigitsMatch(word_dropout=0.05), "match", 1, steps),
        Task("digits_class", mmjax.data.DigitsClass(wrong=0.3), "digit", 10, steps),
    ]
    if fsdd is not None:
        noisy = mmjax.data.SpokenDigit(
            manual_dir=str(fsdd), max_samples=4000, held_out="theo", image_noise=0.4, speech_noise=5
        )
        found.append(Task("spoken_digit", noisy, "digit", 10, steps))
    if food is not None:
        home = workdir / "food"
        if not (home / "rows.csv").exists():
            food_table.write_table(food, home)
        foods = food_table.table(home, fold=1)
        foods.prepare()
        groups: Any = foods.preprocessing().targets["food_group"]
        found.append(Task("food", foods, "food_group", len(groups.names), steps))
    return found


def drawn(trials: int) -> list[dict[str, Any]]:
    """The trials of every row of every task: log-uniform rates, as many of each width."""
    rng = np.random.default_rng(0)

    def between(low: float, high: float) -> float:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    return [
        {"rate": between(*RATES), "decay": between(*DECAYS), "width": WIDTHS[i % len(WIDTHS)]}
        for i in range(trials)
    ]


@functools.cache
def batches(task: Task) -> tuple[mmjax.Batch, dict[str, mmjax.Batch]]:
    """All training batches [step, batch, ...], and the other splits in one batch each."""
    task.data.prepare()
    preprocessing = task.data.preprocessing()
    stream = mmjax.train_batches(
        task.data, task.data.source("train"), preprocessing, batch_size=BATCH, seed=0, start=0
    )
    training = jax.tree.map(lambda *rows: np.stack(rows), *itertools.islice(stream, task.steps))
    stream.close()
    splits = {}
    for split in ("validation", "test"):
        source = task.data.source(split)
        splits[split] = next(mmjax.eval_batches(source, preprocessing, batch_size=len(source)))
    return training, splits


def accuracy(task: Task, split: str, logits: np.ndarray) -> np.ndarray:
    """Of logits [..., example, class], for each leading index."""
    target = batches(task)[1][split].targets[task.target]
    if task.classes == 1:
        right = (logits[..., 0] > 0) == (target.values > 0.5)
    else:
        right = logits.argmax(axis=-1) == target.values
    return right[..., target.mask].mean(axis=-1)


def tune(task: Task, method: str, modalities: tuple[str, ...], trials: int, seeds: int) -> Row:
    """Search, pick by the validation accuracy, and train again from `seeds` new initial weights."""
    begin = time.perf_counter()
    given = tuple(_only(one, modalities) for one in batches(task))

    @functools.cache
    def program(width: int) -> Any:
        model = task.model(method, modalities, width)

        def outputs(variables: Any, batch: mmjax.Batch) -> jax.Array:
            found = cast(mmjax.Outputs, model.apply(variables, batch.inputs, train=False))
            logits = found.values[task.target]
            return logits[:, None] if logits.ndim == 1 else logits

        def train(rate: jax.Array, decay: jax.Array, seed: jax.Array, given: Any) -> Any:
            training, splits = given
            unit = optax.warmup_cosine_decay_schedule(0.0, 1.0, task.steps // 10, task.steps)
            tx = optax.chain(  # AdamW, whose rate and decay the trials of one program differ in
                optax.clip_by_global_norm(1.0),
                optax.scale_by_adam(),
                optax.add_decayed_weights(cast(float, decay)),
                optax.scale_by_schedule(lambda count: -rate * unit(count)),
            )
            objectives = {"answer": task.objective}
            step = functools.partial(
                mmjax.train_step, model=model, objectives=objectives, tx=tx, axis=None
            )
            first = jax.tree.map(lambda rows: rows[0], training)
            start = mmjax.create_state(model, tx, first, seed=seed)
            end, _ = jax.lax.scan(lambda s, batch: (step(s, batch)[0], None), start, training)
            count = sum(leaf.size for leaf in jax.tree.leaves(end.params))
            return {name: outputs(end.variables, one) for name, one in splits.items()}, count

        return jax.jit(jax.vmap(train, in_axes=(0, 0, 0, None), out_axes=(0, None)))

    todo = drawn(trials)
    size = max(seeds, -(-trials // len(WIDTHS)))  # of one program, for the search and the seeds
    scores = np.zeros(trials)
    for width in WIDTHS:
        own = [i for i, trial in enumerate(todo) if trial["width"] == width]
        if own:
            padded = [*own, *(own[-1:] * (size - len(own)))]
            rates, decays = (jnp.array([todo[i][k] for i in padded]) for k in ("rate", "decay"))
            logits, _ = program(width)(rates, decays, jnp.zeros(size, jnp.int32), given)
            measured = accuracy(task, "validation", np.asarray(logits["validation"]))
            scores[own] = measured[: len(own)]
    picked = todo[int(scores.argmax())]
    many = [jnp.full(size, picked[name]) for name in ("rate", "decay")]
    logits, count = program(picked["width"])(*many, 1 + jnp.arange(size), given)
    validation, test = (np.asarray(logits[split])[:seeds] for split in ("validation", "test"))
    return Row(validation, test, picked, int(count), time.perf_counter() - begin)


def late(task: Task, alone: list[Row]) -> Row:
    """Sums of logits with, for each seed, the weights that are best on the validation split."""
    grid = [w for w in itertools.product(np.linspace(0, 1, 11), repeat=len(alone)) if sum(w) > 0]
    sums = {
        split: np.stack([sum(w * getattr(r, split) for w, r in zip(ws, alone)) for ws in grid])  # noqa: B905
        for split in ("validation", "test")
    }
    best = accuracy(task, "validation", sums["validation"]).argmax(axis=0)  # by seed
    seeds = np.arange(len(best))
    parameters, seconds = sum(r.parameters for r in alone), sum(r.seconds for r in alone)
    return Row(sums["validation"][best, seeds], sums["test"][best, seeds], {}, parameters, seconds)


def rows(
    task: Task, fusions: tuple[str, ...], trials: int, seeds: int, home: Path
) -> Mapping[str, Row]:
    """Every row of a task, as far as it is not done."""
    modalities = tuple(sorted(batches(task)[0].inputs))
    todo = {f"{one} alone": ("concat", (one,)) for one in modalities}
    todo |= {name: (name, modalities) for name in fusions}
    found = {}
    for name, (method, own) in todo.items():
        path = home / f"{task.name}-{name.replace(' ', '-')}-{trials}x{task.steps}-{seeds}.npz"
        if not path.is_file():
            row = tune(task, method, own, trials, seeds)
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_suffix(".draft.npz")
            facts = np.array([*row.picked.values(), row.parameters, row.seconds])
            np.savez(draft, validation=row.validation, test=row.test, facts=facts)
            draft.replace(path)
            print(f"{task.name}: {name}: {row.seconds:.0f} s", flush=True)
        with np.load(path) as kept:
            *picked, parameters, seconds = kept["facts"].tolist()
            named: dict[str, float] = dict(zip(("rate", "decay", "width"), picked, strict=True))
            found[name] = Row(kept["validation"], kept["test"], named, int(parameters), seconds)
    return found | {LATE: late(task, [found[f"{one} alone"] for one in modalities])}


def compared(scores: Mapping[str, np.ndarray], reference: str) -> dict[str, tuple[float, float]]:
    """{method: (difference of mean accuracies, p of Welch's test)}; alike where nothing varies."""
    base = scores[reference]
    return {
        name: (float(own.mean() - base.mean()), hypotheses.welch(own.tolist(), base.tolist()))
        for name, own in scores.items()
        if name != reference
    }


def verdicts(
    by_task: Mapping[str, Mapping[str, np.ndarray]], references: Mapping[str, str]
) -> dict[str, dict[str, str]]:
    """{method: {task: better, worse or "="}} against each task's reference; p by Holm over all."""
    found = {task: compared(scores, references[task]) for task, scores in by_task.items()}
    cells = [(task, name) for task, own in found.items() for name in own]
    p = hypotheses.holm([found[task][name][1] for task, name in cells])
    words: dict[str, dict[str, str]] = {}
    for (task, name), corrected in zip(cells, p, strict=True):
        gap = found[task][name][0]
        word = "=" if corrected >= hypotheses.SIGNIFICANCE else "better" if gap > 0 else "worse"
        words.setdefault(name, {})[task] = word
    return words


def _has_dim(method: str) -> bool:
    return "dim" in FUSIONS[method].__dataclass_fields__


def _only(batches: Any, modalities: tuple[str, ...]) -> Any:
    def one(batch: mmjax.Batch) -> mmjax.Batch:
        return batch.replace(inputs={name: batch.inputs[name] for name in modalities})  # type: ignore

    if isinstance(batches, dict):
        return {split: one(batch) for split, batch in batches.items()}
    return one(batches)


def _table(found: Mapping[str, Mapping[str, Row]], scores: Mapping[str, Any]) -> str:
    names = list(dict.fromkeys(name for row in found.values() for name in row))
    lines = [f"| method | {' | '.join(found)} | parameters |", "| --- " * (len(found) + 2) + "|"]
    for name in names:
        cells = []
        for task in found:
            own = scores[task].get(name)
            cells.append(
                "" if own is None else f"{100 * own.mean():.1f} ± {100 * own.std(ddof=1):.1f}"
            )
        sizes = [found[task][name].parameters for task in found if name in found[task]]
        lines.append(f"| {name} | {' | '.join(cells)} | {min(sizes):,} to {max(sizes):,} |")
    return "\n".join(lines)


def main(
    fsdd: Path | None = None,
    food: Path | None = None,
    fusions: tuple[str, ...] = CHOSEN,
    only: tuple[str, ...] = (),
    trials: int = 8,
    seeds: int = 5,
    steps: int = 300,
    fast: bool = False,
    workdir: Path = Path("runs/fairness"),
) -> None:
    """Tune and test every method on every task, and print what survives.

    Args:
        fsdd: folder of free-spoken-digit-dataset.tar.gz
        food: folder of the two tarballs of food_table.py
        fusions: names of `mmjax list`; late_transformer must be among them
        only: names of tasks, such as digits_class; by default all
        trials: of the random search, the same for every row
        seeds: initial weights with which the picked values are trained and tested
        steps: of each training
        fast: one task, concat and late_transformer, 1 trial, 2 seeds and 20 steps
        workdir: for the results
    """
    compilation_cache.enable()
    if fast:
        fusions, trials, seeds, steps = ("concat", SIMPLE), 1, 2, 20
        workdir = workdir.with_name(f"{workdir.name}_fast")
    unknown = sorted(set(fusions) - set(FUSIONS))
    if unknown or SIMPLE not in fusions or trials < 1 or seeds < 2:
        raise SystemExit(
            f"expected --fusions with {SIMPLE} of {', '.join(FUSIONS)}, a trial and two seeds"
        )
    known = [task for task in tasks(fsdd, food, steps, workdir) if not only or task.name in only]
    if not known or len(known) < len(set(only)):
        raise SystemExit(
            f"--only {' '.join(only)}: expected digits_match, digits_class, and with "
            "their data spoken_digit, food"
        )
    wanted = known[: 1 if fast else None]
    found = {task.name: rows(task, fusions, trials, seeds, workdir) for task in wanted}
    scores = {
        task.name: {
            name: accuracy(task, "test", row.test) for name, row in found[task.name].items()
        }
        for task in wanted
    }
    best = {}  # the single modality that the validation split picks
    for task in wanted:
        alone = {n: r for n, r in found[task.name].items() if n.endswith(" alone")}
        best[task.name] = max(
            alone, key=lambda n: accuracy(task, "validation", alone[n].validation).mean()
        )
    print(f"\ntest accuracy in %, {seeds} initial weights\n\n{_table(found, scores)}\n")
    results: dict[str, Any] = {
        "trials": trials,
        "steps": steps,
        "seeds": seeds,
        "accuracies": {t: {n: own.tolist() for n, own in s.items()} for t, s in scores.items()},
        "picked": {t: {n: row.picked for n, row in own.items()} for t, own in found.items()},
    }
    for title, references in (
        ("the best single modality", best),
        (f"{SIMPLE} (simple baseline)", dict.fromkeys(scores, SIMPLE)),
    ):
        words = verdicts(scores, references)
        multimodal = {n: w for n, w in words.items() if not n.endswith(" alone")}
        results[f"against {title}"] = words
        print(f"against {title} (Welch over seeds, Holm over all rows of {len(scores)} tasks):")
        for word in ("better", "worse", "="):
            cells = [
                f"{n}: {t}" for n, own in multimodal.items() for t, w in own.items() if w == word
            ]
            print(f"  {word}: {len(cells)} of {sum(map(len, multimodal.values()))}", end="")
            print(f"  ({'; '.join(cells)})" if cells and word != "=" else "")
    names = [name for name in found[wanted[0].name] if not name.endswith(" alone")]
    ranked = np.array([[scores[task][name].mean() for name in names] for task in scores])
    if len(ranked) > 1:
        found_ranks = hypotheses.ranks(ranked)
        listed = (f"{names[i]} {found_ranks.mean[i]:.1f}" for i in found_ranks.mean.argsort())
        print(f"mean rank over tasks: {', '.join(listed)}")
        print(f"  critical difference {found_ranks.critical:.1f} (Nemenyi; Demsar 2006)")
    seconds = sum(row.seconds for own in found.values() for n, row in own.items() if n != LATE)
    json_file.write(workdir / "results.json", results)
    print(
        f"\nwhat the paper asks for: the same search for every row ({trials} trials, widths "
        f"{WIDTHS}, rates {RATES}, decays {DECAYS}); tuned single modalities and late fusion as "
        f"rows; validation picks, test is read once; {seeds} initial weights, with spread; tests "
        "corrected for their number; numbers of parameters. Not done: cross-validation (one split "
        "for each task), data orders (all seeds see the same batches), missing modalities.\n"
        f"{seconds / 60:.1f} minutes of training; results: {workdir / 'results.json'}"
    )


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
