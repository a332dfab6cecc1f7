"""Where the fusion looks: the share of its attention that each token gets."""

import html
from collections.abc import Iterator
from typing import Any

import numpy as np

from mmjax.data.transforms.text import TextTransform
from mmjax.evaluation.attention import fusion_attention
from mmjax.reports import page
from mmjax.reports.drawing import diverging
from mmjax.reports.report import Report
from mmjax.reports.sections.attributions import batch_of, marked
from mmjax.reports.shown import picture, shown
from mmjax.types import Batch

_SHOWN = 6
_SIDE = 96  # pixels of a map


def attention(report: Report) -> Iterator[str]:
    """Cards of some examples, where the fusion has attention over its tokens."""
    if report.absent or not len(report.examined):
        return
    rows = np.unique(np.linspace(0, len(report.examined) - 1, _SHOWN).astype(int))
    batch = batch_of(report, rows)
    model, variables, _ = report.restored
    found = fusion_attention(model, variables, batch)
    if not found:
        return
    yield page.paragraph(
        "How much of the fusion's attention each token gets, in its last layer that reads them: "
        "the mean over heads and queries. Dark: more. It tells what was read; what the answer "
        "depends on, the attributions tell (Jain and Wallace 2019)."
    )
    raw = report.inputs(rows)
    yield page.cards(_card(report, int(rows[i]), raw[i], batch, i, found) for i in range(len(rows)))
    table = [(int(row), *(float(x[i].sum()) for x in found.values())) for i, row in enumerate(rows)]
    yield page.table(("example", *found), table, "The share of each modality")


def _card(
    report: Report, row: int, raw: dict[str, Any], batch: Batch, place: int, found: dict
) -> str:
    parts = []
    for name, shares in found.items():
        value = raw.get(name)
        body = shown(value, name)
        if value is not None:
            body = _map(report, name, value, batch, place, shares[place])
        parts.append(f"<small>{html.escape(name)}</small><br>{body}")
    return "<br>".join([*parts, f"<small>example {row}</small>"])


def _map(
    report: Report, name: str, value: Any, batch: Batch, place: int, shares: np.ndarray
) -> str:
    given = batch.inputs[name]
    transform = report.preprocessing.transforms[name]
    if isinstance(transform, TextTransform) and np.shape(given.mask)[1] == len(shares):
        words, mask = transform.vocabulary(), np.asarray(given.mask)[place]
        numbers = np.asarray(given.values)[place][mask]
        return marked([words[n] if n < len(words) else str(n) for n in numbers], shares[mask])
    cells = shares if round(len(shares) ** 0.5) ** 2 == len(shares) else shares[1:]
    side = round(len(cells) ** 0.5)
    if np.asarray(given.values).ndim == 4 and side > 1 and side**2 == len(cells):
        # A class token, as Transformers have, stands first.
        size = np.ones((max(_SIDE // side, 1),) * 2 + (1,))
        drawn = np.kron(diverging(cells.reshape(side, side)), size).astype(np.uint8)
        return f"{shown(value, name)} {picture(drawn, f'attention to the {name}')}"
    return f"{shown(value, name)}<br>{shown(shares[:, None])}"
