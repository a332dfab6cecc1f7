"""Which parts of an example the prediction depends on: integrated gradients, and their check."""

import html
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mmjax.data.transforms.table import TableTransform
from mmjax.data.transforms.text import TextTransform
from mmjax.evaluation.attribution import STEPS, Attribution, attribute, randomised, similarity
from mmjax.reports import page
from mmjax.reports.drawing import diverging
from mmjax.reports.report import Report
from mmjax.reports.shown import picture, shown
from mmjax.reports.task import Task
from mmjax.types import Batch, Outputs

_SHOWN = 6
_LARGEST = 5  # cells of a table of numbers


def attributions(report: Report) -> Iterator[str]:
    """Cards of some examples for each objective of classes or numbers."""
    for task in [] if report.absent else report.tasks:
        if task.family not in ("classes", "numbers") or not len(task.rows):
            continue
        places = np.unique(np.linspace(0, len(task.rows) - 1, _SHOWN).astype(int))
        rows = task.rows[places]
        batch = batch_of(report, rows)
        score = _score(task, places)
        model, variables, _ = report.restored
        found = attribute(model, variables, batch, score)
        other = attribute(model, randomised(model, batch), batch, score)
        yield f"<h3>{html.escape(task.name)}</h3>"
        yield page.paragraph(
            "Blue parts speak for the prediction, orange ones against it; the numbers of all parts "
            f"sum to the difference to an empty input (integrated gradients, {STEPS} steps). The "
            "second picture or line shows how strongly the prediction reacts to small changes "
            "(absolute input gradients)."
        )
        yield page.cards(_cards(report, task, places, batch, found))
        yield _sums(rows, found)
        alike = similarity(found, other)
        yield page.table(
            ("modality", "similarity"),
            list(alike.items()),
            "Sanity check: rank correlation with the attributions of random weights",
        )
        yield page.paragraph(
            "Near 0 is good: the attributions show what was learned. Near 1 they show the input "
            "or the architecture whatever was learned (Adebayo et al. 2018). A dash: one part "
            "only, or nothing to compare.",
            "quiet",
        )


def batch_of(report: Report, rows: np.ndarray) -> Batch:
    """Some examples of the report's split."""
    given = report.examined.source.read(rows, None)
    inputs = report.preprocessing(given.inputs)
    targets = report.preprocessing.targeted(given.targets, rows)
    return Batch(inputs, targets, np.ones(len(rows), np.float32), rows.astype(np.int64))


def _score(task: Task, places: np.ndarray) -> Any:
    """The logit of the predicted class, of yes or no the log odds of it; or the number."""
    chosen = jnp.asarray(task.logits[places].argmax(axis=1)) if task.family == "classes" else None

    def score(outputs: Outputs) -> jax.Array:
        value = outputs.values[task.objective.output].astype(jnp.float32)
        if chosen is None:
            return value
        if value.ndim == 1:
            return jnp.where(chosen == 1, value, -value)
        return jnp.take_along_axis(value, chosen[:, None], axis=1)[:, 0]

    return score


def _cards(
    report: Report, task: Task, places: np.ndarray, batch: Batch, found: Attribution
) -> Iterator[str]:
    raw = report.inputs(task.rows[places])
    for i, (place, inputs) in enumerate(zip(places, raw, strict=True)):
        said, true = task.said(int(place))
        parts = [f"<strong>{html.escape(said)}</strong><br>true: {html.escape(true)}"]
        for name, value in inputs.items():
            integrated, gradient = found.integrated[name][i], found.gradient[name][i]
            mask = np.asarray(batch.inputs[name].mask)[i]
            body = _shown(report, name, value, batch, i, mask, integrated, gradient)
            parts.append(f"<small>{html.escape(name)}</small><br>{body}")
        yield "<br>".join([*parts, f"<small>example {task.rows[place]}</small>"])


def _shown(
    report: Report,
    name: str,
    value: Any,
    batch: Batch,
    row: int,
    mask: np.ndarray,
    integrated: np.ndarray,
    gradient: np.ndarray,
) -> str:
    if value is None:
        return shown(None)
    transform = report.preprocessing.transforms[name]
    if isinstance(transform, TextTransform):
        words = transform.vocabulary()
        numbers = np.asarray(batch.inputs[name].values)[row][mask]
        texts = [words[n] if n < len(words) else str(n) for n in numbers]
        return marked(texts, integrated[mask]) + "<br>" + marked(texts, gradient[mask])
    if isinstance(transform, TableTransform):
        names = [column.name for column in transform.columns]
        order = np.argsort(-np.abs(integrated))[:_LARGEST]
        texts = [f"{names[i]} = {value.get(names[i])}" for i in order]
        return marked(texts, integrated[order], "<br>")
    if integrated.ndim == 2 and np.asarray(value).ndim == 3:
        maps = picture(diverging(integrated), f"attributions of the {name}")
        maps += " " + picture(diverging(gradient), f"gradients of the {name}")
        return f"{shown(value, name)} {maps}"
    both = np.stack([_coarse(x) for x in (integrated, gradient)], axis=1)
    return shown(both / np.maximum(np.abs(both).max(axis=0), 1e-12))


def _coarse(values: np.ndarray, most: int = 100) -> np.ndarray:
    """A line of at most 100 sums."""
    flat = values.reshape(len(values), -1).sum(axis=1)
    parts = np.array_split(flat, min(most, len(flat)))
    return np.array([part.sum() for part in parts])


def marked(texts: list[str], values: np.ndarray, between: str = " ") -> str:
    """Words on colours, with their numbers: blue above 0, orange below."""
    top = max(float(np.abs(values).max(initial=0)), 1e-12)
    found = []
    for text, value in zip(texts, values, strict=True):
        rgb = "0,114,178" if value > 0 else "213,94,0"
        style = f"background:rgba({rgb},{0.6 * abs(value) / top:.2f})"
        number = f"<small>{value:+.2f}</small>"
        found.append(f'<span class="word" style="{style}">{html.escape(text)} {number}</span>')
    return between.join(found)


def _sums(rows: np.ndarray, found: Attribution) -> str:
    """The sums by modality, which show completeness."""
    header = ("example", *found.integrated, "sum", "prediction - empty input", "gap")
    table = []
    for i, row in enumerate(rows):
        parts = [float(one[i].sum()) for one in found.integrated.values()]
        whole = float(found.score[i] - found.baseline[i])
        table.append((int(row), *parts, sum(parts), whole, float(found.gap()[i])))
    return page.table(header, table, "What each modality adds to the score (completeness)")
