"""Where the fusion looks: the share of its attention that each token gets."""

import html
from collections.abc import Iterator
from typing import Any

import numpy as np

from mmjax.data.transforms.text import TextTransform
from mmjax.evaluation.attention import fusion_attention
from mmjax.evaluation.examined import drawn
from mmjax.reports import page
from mmjax.reports.drawing import diverging
from mmjax.reports.maps import Map, counted, marked, parts, words
from mmjax.reports.report import Report
from mmjax.reports.sections.attributions import batch_of
from mmjax.reports.shown import shown
from mmjax.types import Batch

_SHOWN = 6


def attention(report: Report) -> Iterator[str]:
    """Maps of some examples, where the fusion has attention over its tokens."""
    if report.absent or not len(report.examined):
        return
    rows = np.sort(drawn(len(report.examined), _SHOWN))
    batch = batch_of(report, rows)
    model, variables, _ = report.restored
    found = fusion_attention(model, variables, batch)
    if not found:
        return
    cards, strongest = [], []
    for i, (row, raw) in enumerate(zip(rows.tolist(), report.inputs(rows), strict=True)):
        body = []
        for name, shares in found.items():
            one = _map(report, f"attention_example_{row}", name, raw.get(name), batch, i, shares[i])
            body.append(f"<small>{html.escape(name)}</small><br>{one.body}")
            strongest += [(row, name, *part) for part in one.strongest()]
        cards.append("<br>".join([*body, f"<small>example {row}</small>"]))
    how = (
        "How much of the fusion's attention each token gets, in its last layer that reads them: "
        f"the mean over heads and queries, of {len(rows)} of {len(report.examined):,} examples, "
        "drawn at random. Dark: more. It tells what was read; what the answer depends on, the "
        "attributions tell (Jain and Wallace 2019)."
    )
    header = ("example", "modality", "part", "share of the attention")
    numbers = page.table(header, strongest, "The strongest parts")
    yield page.framed(page.cards(cards), how, numbers, caption_first=True)
    table = [(int(row), *(float(x[i].sum()) for x in found.values())) for i, row in enumerate(rows)]
    yield page.table(("example", *found), table, "The share of each modality")


def _map(
    report: Report, file: str, name: str, value: Any, batch: Batch, row: int, shares: np.ndarray
) -> Map:
    given, file = batch.inputs[name], f"{file}_{name}"
    transform = report.preprocessing.transforms[name]
    if value is None:
        return Map(shown(None), [], [np.zeros(0)])
    if isinstance(transform, TextTransform) and np.shape(given.mask)[1] == len(shares):
        own = shares[np.asarray(given.mask)[row]]
        texts = words(transform, given, row)
        return Map(marked(texts, own), texts, [own])
    # A class token, as Transformers have, stands first.
    cells = shares if round(len(shares) ** 0.5) ** 2 == len(shares) else shares[1:]
    side = round(len(cells) ** 0.5)
    if np.asarray(given.values).ndim == 4 and side > 1 and side**2 == len(cells):
        square = cells.reshape(side, side)
        blocks = parts([square], counted("row"), counted("column"))
        alt = blocks.alt(f"attention to {side} x {side} cells of the {name}")
        return blocks._replace(
            body=f"{shown(value, name)} {report.picture(file, diverging(square), alt)}"
        )
    tokens = Map("", [counted("token")(i, i + 1) for i in range(len(shares))], [shares])
    line = report.curve(file, shares[:, None], tokens.alt(f"attention to tokens of the {name}"))
    return tokens._replace(body=f"{shown(value, name)}<br>{line}")
