"""A page and tables of a comparison of methods."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmjax.reports import page
from mmjax.reports.contrast import Contrast, Method, Pair
from mmjax.reports.drawing import Drawing, line
from mmjax.statistics.means import spread

METHODS = ("method", "runs", "value", "std", "95 % interval")
PAIRS = (
    "left",
    "right",
    "left - right",
    "95 % interval",
    "p",
    "second p",
    "Holm p",
    "d",
    "verdict",
)


def methods(contrast: Contrast) -> list[Sequence[Any]]:
    """A row for each method, best first."""
    rows = []
    for one in contrast.methods:
        mean, std, low, high = _summary(one)
        rows.append((one.name, len(one.runs), mean, std, page.interval(low, high)))
    return rows


def pairs(contrast: Contrast) -> list[Sequence[Any]]:
    """A row for each pair of methods."""
    return [_row(pair) for pair in contrast.pairs]


def words(contrast: Contrast) -> str:
    """Which methods the best one can be told from, in a sentence."""
    best = contrast.methods[0].name
    own = [pair for pair in contrast.pairs if pair.left == best]
    alike = [pair.right for pair in own if pair.verdict == "not distinguishable"]
    if not alike:
        return f"{best} is better than all others."
    return f"{best} is highest, but not distinguishable from {', '.join(alike)}."


def groups(contrast: Contrast) -> list[range]:
    """Neighbouring methods, best first, of which no two can be told apart; the longest groups.

    The bars of a critical-difference diagram, Demsar 2006 (JMLR 7), on values instead of ranks.
    """
    names = [one.name for one in contrast.methods]
    apart = {
        frozenset((pair.left, pair.right))
        for pair in contrast.pairs
        if pair.verdict != "not distinguishable"
    }
    found: list[range] = []
    for first in range(len(names)):
        last = first
        while last + 1 < len(names) and not any(
            frozenset((names[last + 1], name)) in apart for name in names[first : last + 1]
        ):
            last += 1
        if last > first and not (found and last < found[-1].stop):
            found.append(range(first, last + 1))
    return found


def write(path: Path, contrast: Contrast) -> int:
    """Write the page; returns its bytes."""
    found = [_summary(one) for one in contrast.methods]
    names = [one.name for one in contrast.methods]
    drawing = Drawing(width=6.0, height=1.0 + 0.35 * len(names))
    (axes,) = drawing.axes
    for place, (one, (mean, _, low, high)) in enumerate(zip(contrast.methods, found, strict=True)):
        axes.plot([low, high], [place, place], **line(0))
        axes.plot(one.values, [place] * len(one.values), "o", color=line(1)["color"], markersize=3)
        axes.plot([mean], [place], "D", color=line(0)["color"])
    left, right = axes.get_xlim()
    for column, group in enumerate(groups(contrast), 1):
        at = right + 0.04 * column * (right - left)
        axes.plot([at, at], [group[0] - 0.2, group[-1] + 0.2], color="#888888", linewidth=3)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set(xlabel=contrast.metric)
    figure = page.figure(
        "methods",
        drawing.svgs(),
        f"{contrast.metric} of {len(names)} methods: {words(contrast)}",
        "Diamonds are means, small dots single runs, lines 95 % intervals. Lines that overlap may "
        "belong to methods that differ: grey bars on the right join methods of which no two are "
        "distinguishable (a critical-difference diagram on values); the verdicts are below.",
        page.table(METHODS, methods(contrast)),
    )
    sections = [
        ("Methods", f"{page.paragraph(words(contrast))}{figure}"),
        ("Pairs", page.paragraph(contrast.how) + page.table(PAIRS, pairs(contrast))),
        ("Runs", _listed(contrast.methods)),
    ]
    intro = page.paragraph(f"{contrast.examples:,} examples of the {contrast.split} split.")
    return page.write(path, f"Comparison by {contrast.metric}", intro, sections)


def _row(pair: Pair) -> Sequence[Any]:
    ends = page.interval(pair.low, pair.high)
    tests = (pair.p, pair.other, pair.corrected, pair.effect)
    return (pair.left, pair.right, pair.difference, ends, *tests, pair.verdict)


def _summary(one: Method) -> tuple[float, float, float, float]:
    """Mean, deviation and interval: Student's over seeds; of one run by the bootstrap."""
    of, nan = spread(list(one.values)), float("nan")
    if len(one.values) > 1:
        return of["mean"], of["std"], of["low"], of["high"]
    low, high = one.interval
    return of["mean"], nan, low, high


def _listed(found: Sequence[Method]) -> str:
    rows = [
        (one.name, str(run), value)
        for one in found
        for run, value in zip(one.runs, one.values, strict=True)
    ]
    return page.table(("method", "run", "value"), rows)
