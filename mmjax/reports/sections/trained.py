"""What was trained: the model's parts, its objectives, the data set and the training."""

from collections.abc import Iterator, Mapping
from typing import Any

from mmjax.config import storage
from mmjax.io import json_file
from mmjax.reports import page
from mmjax.reports.report import Report
from mmjax.runs import folder

_MOST = 6  # values of a list


def trained(report: Report) -> Iterator[str]:
    """A table of the experiment."""
    found = storage.identity(report.experiment)
    rows = [("data set", _said(found["data"])), ("model", _said(found["model"]))]
    parts = [*found["model"].items(), ("objectives", found["objectives"])]
    for kind, value in parts:
        if _typed(value):
            rows.append((kind, _said(value)))
        elif isinstance(value, Mapping):
            named = value.items()
            rows += [(f"{kind}: {name}", _said(one)) for name, one in named if _typed(one)]
    rows.append(("optimiser", _said(found["optim"])))
    for name in ("steps", "batch_size", "seed"):
        rows.append((name.replace("_", " "), str(found[name])))
    rows.append(("checkpoint of step", str(report.step)))
    environment = report.run / folder.ENVIRONMENT
    if environment.is_file():
        rows.append(("mmjax", json_file.read(environment)["packages"]["mmjax"]))
    yield page.table(("part", "what it is"), rows)


def _typed(value: Any) -> bool:
    return isinstance(value, Mapping) and "type" in value


def _said(part: Mapping[str, Any]) -> str:
    """The name of a part, and its fields that are no parts themselves."""
    said = []
    for name, value in part.items():
        if isinstance(value, list):
            value = " ".join(map(str, value[:_MOST])) + " ..." * (len(value) > _MOST)
        if name != "type" and not isinstance(value, Mapping) and value not in (None, ""):
            said.append(f"{name} {value}")
    name = part["type"].split("/")[-1]
    return f"{name} ({', '.join(said)})" if said else name
