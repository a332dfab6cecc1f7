"""How a state lies on the devices: whole on each, or split where it is large.

Splitting is that of ZeRO (Rajbhandari et al. 2020, arXiv:1910.02054) and FSDP (Zhao et al. 2023,
arXiv:2304.11277): parameters, their average and the optimiser's moments lie in parts, and the
compiler gathers a parameter where it is used.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import jax
from rich.table import Table

LEAST = 2**13  # numbers in an array that is split: gathering less costs more than it saves


def axis_of(shape: Sequence[int], parts: int) -> int | None:
    """The longest axis that `parts` divide, the last of several; None where it is not split."""
    if parts == 1 or math.prod(shape) < LEAST:
        return None
    fitting = [(size, axis) for axis, size in enumerate(shape) if size % parts == 0]
    return max(fitting)[1] if fitting else None


def table(state: Any, parts: int) -> Table:
    """What is split, by shape, and what a device holds of all."""
    leaves = jax.tree.leaves(state)
    counts = Counter((x.shape, x.dtype.name) for x in leaves)
    whole = sum(x.nbytes for x in leaves)
    share = sum(x.nbytes // (1 if axis_of(x.shape, parts) is None else parts) for x in leaves)
    found = Table(
        "arrays", "shape", "type", f"over {parts} devices",
        caption=f"a device holds {share / 2**20:,.1f} MiB of {whole / 2**20:,.1f}",
    )  # fmt: skip
    for (shape, kind), count in sorted(counts.items(), key=lambda item: -math.prod(item[0][0])):
        axis = axis_of(shape, parts)
        how = "whole on each" if axis is None else f"axis {axis} split"
        found.add_row(f"{count}", "x".join(map(str, shape)) or "one number", kind, how)
    return found
