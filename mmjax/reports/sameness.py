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
        The modalities that could not be compared, since the runs read them in different forms, such
        as pictures of other sizes. Targets are always compared.
    """
    first, expected = reports[0], _fingerprint(reports[0])
    unchecked = set()
    for report in reports[1:]:
        other = _fingerprint(report)
        for name in sorted(expected.keys() & other.keys()):
            kind, _, part = name.partition(" ")
            if expected[name] == other[name] or kind == "form":
                continue
            if kind == "input" and expected[f"form {part}"] != other[f"form {part}"]:
                unchecked.add(part)
                continue
            raise UserError(
                f"{report.run}: its {report.split} examples are not those of {first.run} "
                f"({name} differs): only runs on the same examples can be compared"
            )
    return tuple(sorted(unchecked))


def _fingerprint(report: Report) -> dict[str, str]:
    """Hashes of all raw targets and inputs of the split, and of the forms of the inputs."""
    count = len(report.examined)
    hashes: dict[str, Any] = {}
    for first in range(0, count, 256):
        rows = np.arange(first, min(first + 256, count))
        found = report.examined.source.read(rows, None)
        for kind, columns in (("target", found.targets), ("input", found.inputs)):
            for name, values in columns.items():
                own = hashes.setdefault(f"{kind} {name}", hashlib.sha256())
                form = hashes.setdefault(f"form {name}", hashlib.sha256())
                for value in values:
                    own.update(content(value))
                    form.update(_form(value).encode())
    return {"number of examples": str(count)} | {n: h.hexdigest() for n, h in hashes.items()}


def _form(value: Any) -> str:
    """What a value is, without its content."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{value.shape[-3:] if value.ndim > 2 else value.ndim}"
    if isinstance(value, Recording):
        return f"{value.sample_rate} Hz"
    return ",".join(value) if isinstance(value, Mapping) else type(value).__name__
