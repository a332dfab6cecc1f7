"""What a trace tells of time: each operation's own, without that of the operations inside it.

Names are XLA's. Where the program is still loaded, they come with the place in the model that they
were made from.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
from rich import box
from rich.table import Table

from mmjax.devices import parallel

# They wait for what is inside them, which is counted by itself, perhaps on another thread.
CONTAINERS = ("while", "conditional", "call")
# Parts of a place that no module has.
_WRAPPER = re.compile(r"(jit|pmap)\(|(closed_call|shard_map|while|body|cond|\w+\._\w+)$")


class Operation(NamedTuple):
    """One of a compiled program; several devices and threads that run it are added up."""

    program: str
    name: str
    seconds: float
    calls: int


def operations(file: Path) -> list[Operation]:
    """All that are in an .xplane.pb file, the costliest first."""
    seconds, calls = defaultdict(float), defaultdict(int)
    for plane in jax.profiler.ProfileData.from_file(str(file)).planes:
        for line in plane.lines:
            for name, own in _own(_events(line.events)):
                seconds[name] += own / 1e9
                calls[name] += 1
    found = [
        Operation(program, name, time, calls[program, name])
        for (program, name), time in seconds.items()
    ]
    return sorted(found, key=lambda operation: -operation.seconds)


def _events(events: Iterable[Any]) -> Iterator[tuple[tuple[str, str], float, float]]:
    """((program, operation), begin, end) of what is an operation; times in nanoseconds."""
    for event in events:
        stats = dict(event.stats)
        if "hlo_op" in stats:
            name = str(stats.get("hlo_module", "")), str(stats["hlo_op"])
            yield name, event.start_ns, event.start_ns + event.duration_ns


def _own(
    events: Iterable[tuple[tuple[str, str], float, float]],
) -> Iterator[tuple[tuple[str, str], float]]:
    """(name, duration without what ran inside it) of the events of one thread."""
    open_: list[list[Any]] = []  # name, end, own duration
    for name, begin, end in sorted(events, key=lambda event: (event[1], -event[2])):
        while open_ and open_[-1][1] <= begin:
            yield from _closed(open_.pop())
        if open_:
            open_[-1][2] -= end - begin
        open_.append([name, end, end - begin])
    for event in open_:
        yield from _closed(event)


def _closed(event: list[Any]) -> Iterator[tuple[tuple[str, str], float]]:
    if not event[0][1].startswith(CONTAINERS):
        yield event[0], max(event[2], 0.0)


def places() -> dict[tuple[str, str], str]:
    """{(program, operation): the place in the model}, of the programs that are loaded."""
    found = {}
    (device,) = parallel.mesh_of(1).devices
    for executable in device.client.live_executables():
        for module in executable.hlo_modules():
            for name, place in re.findall(
                r"%([\w.\-]+) = .*?metadata=\{op_name=\"([^\"]*)\"", module.to_string()
            ):
                found[module.name, name] = _short(place)
    return found


def _short(place: str) -> str:
    """`jit(step)/transpose(jvp(Cnn))/conv_0/add` -> `Cnn/conv_0/add, backward`."""
    plain = re.sub(r"\b(?:transpose|jvp|vmap|checkpoint|rematted_computation)\(|\)", "", place)
    inner = [part for part in plain.split("/") if part and not _WRAPPER.match(part)]
    return "/".join(inner) + (", backward" if "transpose(" in place else "")


def table(
    found: list[Operation], where: Mapping[tuple[str, str], str], *, steps: int, most: int = 10
) -> Table:
    """The costliest, with their share of the time of all."""
    total = sum(operation.seconds for operation in found) or 1.0
    shown = Table("operation", "ms a step", "share", "calls a step", "place", box=box.SIMPLE)
    shown.columns[-1].overflow = "fold"
    for column in shown.columns[1:4]:
        column.justify = "right"
    for operation in found[:most]:
        shown.add_row(
            operation.name,
            f"{1e3 * operation.seconds / steps:.3f}",
            f"{operation.seconds / total:.1%}",
            f"{operation.calls / steps:g}",
            where.get((operation.program, operation.name), operation.program),
        )
    return shown
