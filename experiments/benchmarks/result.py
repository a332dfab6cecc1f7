"""One line of the benchmark's table, and the options that a row is measured under."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import limits
import timing


@dataclasses.dataclass(frozen=True)
class Options:
    """What the command line says."""

    fast: bool
    manual_dir: str | None
    data_dir: str | None
    machine: limits.Machine

    def rounds(self, full: int) -> int:
        """How often contenders take turns: a third of it, and at least 5 times, in a fast run."""
        return max(5, full // 3) if self.fast else full


@dataclasses.dataclass
class Result:
    """A measurement: ours, the peer's, and how many times as fast ours is."""

    name: str
    unit: str = "ms"
    ours: float | None = None
    ours_as: str = ""  # which of our ways was the fastest
    peer: float | None = None
    peer_as: str = ""
    ratio: timing.Spread | None = None  # above 1: ours is ahead
    target: str = ""
    met: bool | None = None
    limit: Mapping[str, float] = dataclasses.field(default_factory=dict)
    notes: Sequence[str] = ()
    all: Mapping[str, float] = dataclasses.field(default_factory=dict)  # of every contender

    def cells(self) -> list[str]:
        """Of the table's row."""
        shares = "; ".join(f"{100 * x:.0f} % of {k.split('_')[0]}" for k, x in self.limit.items())
        goal = {None: "", True: ": met", False: ": missed"}[self.met]
        return [
            self.name,
            _number(self.ours, self.unit, self.ours_as),
            _number(self.peer, self.unit, self.peer_as),
            self.ratio.text() if self.ratio else "",
            f"{self.target}{goal}",
            shares,
            "; ".join(self.notes),
        ]


HEADER = ["row", "mmjax", "PyTorch", "times as fast (quartiles)", "target", "of the limit", "notes"]


def _number(value: float | None, unit: str, how: str) -> str:
    if value is None:
        return ""
    return f"{value:,.{0 if value >= 1000 else 2}f} {unit}" + (f" ({how})" if how else "")


def compare(
    name: str,
    contenders: Mapping[str, Callable[[], object]],
    options: Options,
    *,
    rounds: int,
    calls: int = 1,
    work: limits.Work | None = None,
    at_least: float | None = None,
    notes: Sequence[str] = (),
) -> Result:
    """The contenders in alternation; of either side the fastest counts."""
    seconds = timing.alternate(contenders, rounds=options.rounds(rounds), calls=calls)
    ours, peer = timing.best(seconds, timing.OURS), timing.best(seconds, timing.PEER)
    assert ours is not None
    medians = {who: 1e3 * timing.spread(x).median for who, x in seconds.items()}
    found = Result(name, ours=medians[ours], ours_as=_way(ours), notes=notes, all=medians)
    if work is not None:
        found.limit = limits.share(work, medians[ours] / 1e3, options.machine)
    if at_least is not None:
        found.target = f"at least {at_least:g}"
    if peer is not None:
        found.peer, found.peer_as = medians[peer], _way(peer)
        found.ratio = timing.ratio(seconds[peer], seconds[ours])
        found.met = None if at_least is None else found.ratio.median >= at_least
    return found


def _way(name: str) -> str:
    return name.removeprefix(timing.OURS).removeprefix(timing.PEER).strip()


def as_json(found: Result) -> dict[str, Any]:
    """With a spread as its three numbers."""
    return dataclasses.asdict(found) | {"ratio": found.ratio and found.ratio._asdict()}
