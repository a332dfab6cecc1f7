"""Were runs tested on the same examples?"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mmjax.data.tables.splits import content
from mmjax.data.transforms.audio import Recording
from mmjax.errors import UserError
from mmjax.reports.report import Report


def require_same(reports: Sequence[Report]) -> tuple[str, ...]:
    """UserError unless all runs were tested on the same examples.

    Returns:
        The modalities that could not be compared, since no value of one run has the form that the
        other reads, such as pictures of other sizes. Targets are always compared.
    """
    first, (expected, forms) = reports[0], _fingerprint(reports[0])
    unchecked = set()
    for report in reports[1:]:
        other, own = _fingerprint(report)
        for name in sorted(expected.keys() & other.keys()):
            kind, _, part = name.partition(" ")
            if expected[name] == other[name]:
                continue
            if kind == "input" and forms[part].isdisjoint(own[part]):
                unchecked.add(part)
                continue
            raise UserError(
                f"{report.run}: its {report.split} examples are not those of {first.run} "
                f"({name} differs): only runs on the same examples can be compared"
            )
    return tuple(sorted(unchecked))


def _fingerprint(report: Report) -> tuple[dict[str, str], dict[str, set[str]]]:
    """Hashes of all raw targets and inputs of the split, and the forms of their values."""
    count = len(report.examined)
    hashes: dict[str, Any] = {}
    forms: dict[str, set[str]] = {}
    for first in range(0, count, 256):
        rows = np.arange(first, min(first + 256, count))
        found = report.examined.source.read(rows, None)
        for kind, columns in (("target", found.targets), ("input", found.inputs)):
            for name, values in columns.items():
                own = hashes.setdefault(f"{kind} {name}", hashlib.sha256())
                seen = forms.setdefault(name, set())
                for value in values:
                    own.update(content(value))
                    if value is not None:
                        seen.add(_form(value))
    digests = {name: own.hexdigest() for name, own in hashes.items()}
    return {"number of examples": str(count)} | digests, forms


def _form(value: Any) -> str:
    """What a value is, without its content."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{value.shape[-3:] if value.ndim > 2 else value.ndim}"
    if isinstance(value, Recording):
        return f"{value.sample_rate} Hz"
    return ",".join(value) if isinstance(value, Mapping) else type(value).__name__
