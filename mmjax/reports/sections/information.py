"""How much pairs of modalities tell of the class: redundant, unique and synergistic bits.

Liang et al. 2023, arXiv:2302.12247: modalities as clusters of what their encoders make of them.
"""

import itertools
from collections.abc import Iterator

import jax
import numpy as np

from mmjax.reports import page
from mmjax.reports.drawing import Drawing
from mmjax.reports.report import Report
from mmjax.reports.shown import COLOURS
from mmjax.statistics.information import Decomposition, counted, decompose

CLUSTERS = 8
_MOST = 10  # classes
_PAIRS = 10
_PARTS = ("redundant", "first alone", "second alone", "synergistic")


def information(report: Report) -> Iterator[str]:
    """A figure for each objective of few classes."""
    names = [] if report.absent else list(report.examined.modalities)
    tasks = [t for t in ([] if report.absent else report.tasks) if t.family == "classes"]
    for task in tasks if len(names) > 1 else ():
        if len(task.names) > _MOST:
            yield page.paragraph(
                f"{task.name}: {len(task.names)} classes; for more than {_MOST} the information "
                "cannot be estimated from this many examples."
            )
    tasks = [task for task in tasks if len(task.names) <= _MOST and len(set(task.labels)) > 1]
    if len(names) < 2 or not tasks:
        return
    symbols = clustered(report)
    every = list(itertools.combinations(names, 2))
    pairs = every[:_PAIRS]
    if len(pairs) < len(every):
        yield page.paragraph(f"Of {len(every)} pairs of modalities the first {_PAIRS} are shown.")
    for task in tasks:
        rows = np.flatnonzero(np.isin(report.examined.rows, task.rows))  # places in the sample
        labels = task.records["target"][report.examined.rows[rows]].astype(np.int64)
        if not rows.size:
            continue
        found = {}
        for a, b in pairs:
            one, other = symbols[a][rows], symbols[b][rows]
            found[f"{a} and {b}"] = decompose(counted(one, other, labels))
            by_chance = np.random.default_rng(0).permutation(labels)
            found[f"{a} and {b}, shuffled"] = decompose(counted(one, other, by_chance))
        yield _figure(report, task.name, found, len(rows))


def clustered(report: Report) -> dict[str, np.ndarray]:
    """The cluster of each example of the sample, by modality; the last one is missing."""
    from sklearn.cluster import KMeans

    model, variables, _ = report.restored

    @jax.jit
    def embed(inputs: dict) -> dict:
        return model.apply(variables, inputs, train=False, method=model.embed)  # type: ignore[return-value]

    parts = [jax.device_get(embed(b.inputs)) for b in report.examined.batches]
    count = report.count
    vectors = {n: np.concatenate([p[n] for p in parts])[:count] for n in report.examined.modalities}
    symbols = {}
    for name, own in vectors.items():
        there = report.present[name][report.examined.rows]
        symbols[name] = np.full(count, CLUSTERS)
        different = len(np.unique(own[there], axis=0))
        if different:
            means = KMeans(min(CLUSTERS, different), n_init="auto", random_state=0)
            symbols[name][there] = means.fit_predict(own[there].astype(np.float64))
    return symbols


def _figure(report: Report, name: str, found: dict[str, Decomposition], count: int) -> str:
    drawing = Drawing(width=6.0, height=0.9 + 0.34 * len(found))
    (axes,) = drawing.axes
    begin = np.zeros(len(found))
    hatches = ("", "//", "\\\\", "..")
    for part, (title, colour) in enumerate(zip(_PARTS, COLOURS, strict=True)):
        bits = np.array([max(one[part], 0.0) for one in found.values()])
        style = {"left": begin, "label": title, "color": colour, "hatch": hatches[part]}
        axes.barh(list(found), bits, height=0.6, edgecolor="#ffffff", **style)
        begin = begin + bits
    axes.invert_yaxis()
    axes.set(xlabel="bits about the class")
    drawing.legend(aside=True)
    first = next(iter(found))
    most = _PARTS[int(np.argmax(found[first]))]
    return report.figure(
        f"{name}_information",
        drawing,
        f"Partial information decomposition for {name}; of {first} most is {most}",
        "Redundant bits either modality tells, those alone only one of both, synergistic ones only "
        f"both together (Bertschinger et al. 2014). Estimated from {count:,} examples in "
        f"{CLUSTERS} clusters of each encoder's output, so that finer differences are not seen; "
        "what the row of shuffled classes shows is the bias of the estimate.",
        ("pair", *_PARTS),
        [(pair, *map(float, one)) for pair, one in found.items()],
    )
