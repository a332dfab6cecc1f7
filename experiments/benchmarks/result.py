"""One line of the benchmark's table, and the options that a row is measured under."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import roofline
import timing


@dataclasses.dataclass(frozen=True)
class Options:
    """What the command line says."""

    fast: bool
    manual_dir: str | None
    data_dir: str | None
    machine: roofline.Machine

    def rounds(self, full: int) -> int:
        """How often contenders take turns: a third of it, and at least 5 times, in a fast run."""
        return max(5, full // 3) if self.fast else full


@dataclasses.dataclass(frozen=True)
class Peer:
    """A peer's measurement, and how many times as fast ours is."""

    value: float | None = None
    how: str = ""  # which of its ways was the fastest, or why there is none
    ratio: timing.Spread | None = None  # above 1: ours is ahead

    def text(self, unit: str) -> str:
        """Such as `58.60 ms (compiled): 1.21 (1.15-1.30)`."""
        if self.value is None:
            return self.how
        found = _number(self.value, unit, self.how)
        return f"{found}: {self.ratio.text()}" if self.ratio else found


@dataclasses.dataclass
class Result:
    """A measurement of ours, and the peers' beside it."""

    name: str
    unit: str = "ms"
    ours: float | None = None
    ours_as: str = ""  # which of our ways was the fastest
    peers: dict[str, Peer] = dataclasses.field(default_factory=dict)
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
            *(self.peers.get(name, Peer()).text(self.unit) for name in timing.PEERS),
            f"{self.target}{goal}",
            shares,
            "; ".join(self.notes),
        ]


# Of a peer: its time, and how many times as fast ours is (quartiles).
HEADER = ["row", "mmjax", *timing.PEERS, "target", "of the limit", "notes"]


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
    work: roofline.Work | None = None,
    at_least: float | None = None,
    notes: Sequence[str] = (),
    peers: Sequence[str] = timing.PEERS[:1],
) -> Result:
    """The contenders in alternation; of each side the fastest counts.

    Those of `peers` that have no contender are said not to be installed.
    """
    seconds = timing.alternate(contenders, rounds=options.rounds(rounds), calls=calls)
    ours = timing.best(seconds, timing.OURS)
    assert ours is not None
    medians = {who: 1e3 * timing.spread(x).median for who, x in seconds.items()}
    found = Result(name, ours=medians[ours], ours_as=_way(ours), notes=notes, all=medians)
    if work is not None:
        found.limit = roofline.share(work, medians[ours] / 1e3, options.machine)
    if at_least is not None:
        found.target = f"at least {at_least:g}"
    ratios = []
    for name in peers:
        best = timing.best(seconds, name)
        found.peers[name] = Peer(how="not installed")
        if best is not None:
            ratios.append(timing.ratio(seconds[best], seconds[ours]))
            found.peers[name] = Peer(medians[best], _way(best), ratios[-1])
    if at_least is not None and ratios:
        found.met = min(ratio.median for ratio in ratios) >= at_least
    return found


def _way(name: str) -> str:
    return name.partition(" ")[2]


def as_json(found: Result) -> dict[str, Any]:
    """With a spread as its three numbers."""
    peers = {
        name: dataclasses.asdict(peer) | {"ratio": peer.ratio and peer.ratio._asdict()}
        for name, peer in found.peers.items()
    }
    return dataclasses.asdict(found) | {"peers": peers}
