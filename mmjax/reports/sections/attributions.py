"""Which parts of an example the prediction depends on: integrated gradients, and their check."""

import html
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mmjax.data.transforms.audio import AudioTransform
from mmjax.evaluation.attribution import (
    SOUND,
    STEPS,
    Attribution,
    attribute,
    randomised,
    similarity,
)
from mmjax.evaluation.examined import drawn
from mmjax.reports import page
from mmjax.reports.attributed import attributed
from mmjax.reports.report import Report
from mmjax.reports.task import Task
from mmjax.types import Batch, Outputs

_SHOWN = 6


def attributions(report: Report) -> Iterator[str]:
    """Cards of some examples for each objective of classes or numbers."""
    hears = any(isinstance(x, AudioTransform) for x in report.preprocessing.transforms.values())
    path = SOUND if hears else {"steps": STEPS}
    for task in [] if report.absent else report.tasks:
        if task.family not in ("classes", "numbers") or not len(task.rows):
            continue
        places = np.sort(drawn(len(task.rows), _SHOWN))
        rows = task.rows[places]
        batch = batch_of(report, rows)
        score = _score(task, places)
        model, variables, _ = report.restored
        found = attribute(model, variables, batch, score, **path)
        other = attribute(model, randomised(model, batch), batch, score, **path)
        yield f"<h3>{html.escape(task.name)}</h3>"
        yield _maps(report, task, places, batch, found, path["steps"])
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


def _maps(
    report: Report, task: Task, places: np.ndarray, batch: Batch, found: Attribution, steps: int
) -> str:
    """The figure: a card for each example, and the strongest parts of its modalities."""
    cards, rows = [], []
    raw = report.inputs(task.rows[places])
    for i, (place, inputs) in enumerate(zip(places, raw, strict=True)):
        said, true = task.said(int(place))
        example = int(task.rows[place])
        body = [f"<strong>{html.escape(said)}</strong><br>true: {html.escape(true)}"]
        for name, value in inputs.items():
            one = attributed(report, f"{task.name}_example_{example}", name, value, batch, i, found)
            body.append(f"<small>{html.escape(name)}</small><br>{one.body}")
            rows += [(example, name, *row) for row in one.strongest()]
        cards.append("<br>".join([*body, f"<small>example {example}</small>"]))
    how = (
        f"{len(places)} of {len(task.rows):,} examples, drawn at random. Blue parts speak for the "
        "prediction, orange ones against it; the numbers of all parts sum to the difference to an "
        f"empty input (integrated gradients, {steps} steps). The second picture or line, and the "
        "number in brackets, show how strongly the prediction reacts to small changes (absolute "
        "input gradients)."
    )
    if any(isinstance(x, AudioTransform) for x in report.preprocessing.transforms.values()):
        how += (
            " Sounds: time from left to right, low frequencies below; the power in decibels, the "
            "integrated gradients of the short-time Fourier coefficients, and those of small "
            "changes. These are coefficients of the samples that the model reads, not of a "
            "spectrogram within it."
        )
    header = ("example", "modality", "part", "integrated gradients", "input gradient")
    numbers = page.table(header, rows, "The strongest parts")
    return page.framed(page.cards(cards), how, numbers, caption_first=True)


def _sums(rows: np.ndarray, found: Attribution) -> str:
    """The sums by modality, which show completeness."""
    header = ("example", *found.integrated, "sum", "prediction - empty input", "gap")
    table = []
    for i, row in enumerate(rows):
        parts = [float(one[i].sum()) for one in found.integrated.values()]
        whole = float(found.score[i] - found.baseline[i])
        table.append((int(row), *parts, sum(parts), whole, float(found.gap()[i])))
    return page.table(header, table, "What each modality adds to the score (completeness)")
