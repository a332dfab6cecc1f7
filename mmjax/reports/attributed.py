"""The attributions of one modality of one example, as a map."""

from typing import Any

import numpy as np

from mmjax.data.transforms.audio import AudioTransform
from mmjax.data.transforms.table import TableTransform
from mmjax.data.transforms.text import TextTransform
from mmjax.encoders import AudioCnn, AudioTransformer
from mmjax.evaluation.attribution import Attribution
from mmjax.evaluation.attribution_sound import short_time
from mmjax.reports.drawing import diverging
from mmjax.reports.maps import Map, counted, marked, parts, split, words
from mmjax.reports.report import Report
from mmjax.reports.shown import shown
from mmjax.types import Batch

_CELLS = 20  # columns of a table, the others are one line
_LONG = 100  # places of a line, or of a sound's map
_WINDOW, _HOP = 0.025, 0.010  # seconds of a frame, where the encoder has none


def attributed(
    report: Report, file: str, name: str, value: Any, batch: Batch, row: int, found: Attribution
) -> Map:
    """Integrated gradients and input gradients.

    Args:
        report: of the page
        file: what the names of its files begin with
        name: of the modality
        value: raw, of the example
        batch: with the example
        row: of the example in the batch
        found: the attributions of the batch
    """
    if value is None:
        return Map(shown(None), [], [np.zeros(0)] * 2)
    integrated, gradient = found.integrated[name][row], found.gradient[name][row]
    transform, given = report.preprocessing.transforms[name], batch.inputs[name]
    mask = np.asarray(given.mask)[row]
    if isinstance(transform, TextTransform):
        texts = words(transform, given, row)
        both = integrated[mask], gradient[mask]
        return Map("<br>".join(marked(texts, one) for one in both), texts, both)
    if isinstance(transform, TableTransform):
        return _cells([column.name for column in transform.columns], value, integrated, gradient)
    if isinstance(transform, AudioTransform):
        return _sound(report, file, name, value, given, transform.sample_rate, row, found)
    if integrated.ndim == 2 and np.asarray(value).ndim == 3:
        blocks = parts((integrated, gradient), counted("row"), counted("column"))
        maps = _pictures(report, f"{file}_{name}", name, blocks, integrated, gradient)
        return blocks._replace(body=f"{shown(value, name)} {maps}")
    spans = split(len(integrated), _LONG)
    both = [np.array([x[a:b].sum() for a, b in spans]) for x in (integrated, gradient)]
    lines = Map("", [counted("place")(*span) for span in spans], both)
    scaled = np.stack([x / max(float(np.abs(x).max(initial=0)), 1e-12) for x in both], axis=1)
    alt = lines.alt(f"attributions over the {name}")
    return lines._replace(body=report.curve(f"{file}_{name}", scaled, alt))


def _cells(names: list[str], value: Any, integrated: np.ndarray, gradient: np.ndarray) -> Map:
    order = np.argsort(-np.abs(integrated), kind="stable")
    texts = [f"{names[i]} = {value.get(names[i])}" for i in order[:_CELLS]]
    both = [x[order] for x in (integrated, gradient)]
    if len(order) > _CELLS:
        texts.append(f"others ({len(order) - _CELLS})")
        both = [np.append(x[:_CELLS], x[_CELLS:].sum()) for x in both]
    return Map(marked(texts, both[0], "<br>", both[1]), texts, both)


def _sound(
    report: Report,
    file: str,
    name: str,
    value: Any,
    given: Any,
    rate: int,
    row: int,
    found: Attribution,
) -> Map:
    """Over time and frequency, in the windows of the encoder."""
    encoder, mask = report.restored.model.encoders[name], np.asarray(given.mask)[row]
    seconds = _WINDOW, _HOP
    if isinstance(encoder, AudioCnn | AudioTransformer):
        seconds = encoder.window, encoder.hop
    window, hop = (max(round(one * rate), 1) for one in seconds)
    samples = [np.asarray(x)[row][mask] for x in (given.values, *found.slopes[name])]
    if not mask.any():
        return Map(shown(value, name), [], [np.zeros(0)] * 2)
    power, products, reaction, edges = short_time(*samples, rate=rate, window=window, hop=hop)
    column = lambda a, b: f"{a * hop / rate:.2f} to {b * hop / rate:.2f} s"  # noqa: E731
    band = lambda a, b: f"{edges[a]:.0f} to {edges[b]:.0f} Hz"  # noqa: E731
    blocks = parts((products.T, reaction.T), band, column)
    spans = split(len(products), _LONG)
    maps = [
        np.array([one[a:b].sum(axis=0) for a, b in spans]).T[::-1]
        for one in (power, products, reaction)
    ]
    decibels = 10 * np.log10(np.maximum(maps[0], 1e-9 * max(float(maps[0].max()), 1e-12)))
    grey = np.interp(decibels, [decibels.max() - 60, decibels.max()], [255, 0])
    stem = f"{file}_{name}"
    picture = report.picture(f"{stem}_power", grey[:, :, None].astype(np.uint8),
                             f"power of the {name} over time and frequency")  # fmt: skip
    more = _pictures(report, stem, name, blocks, *maps[1:])
    return blocks._replace(body=f"{shown(value, name)}<br>{picture} {more}")


def _pictures(
    report: Report, stem: str, name: str, blocks: Map, integrated: np.ndarray, gradient: np.ndarray
) -> str:
    alt = blocks.alt(f"attributions over the {name}")
    first = report.picture(f"{stem}_integrated", diverging(integrated), alt)
    alt = blocks._replace(values=blocks.values[::-1]).alt(f"input gradients over the {name}")
    return f"{first} {report.picture(f'{stem}_gradient', diverging(gradient), alt)}"
