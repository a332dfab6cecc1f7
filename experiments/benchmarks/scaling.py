"""How a training step would scale to many accelerators, on paper: nothing here was run on any.

    python experiments/benchmarks/scaling.py              (prints the tables of scaling.md)
    python experiments/benchmarks/scaling.py --compile    (makes scaling.json anew: an hour)

What a chip computes, holds and exchanges is read from the programs that the real compilers make for
so many chips (`accelerators.py`); link speeds are those that the makers publish.
"""

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import tyro

FILE = Path(__file__).with_suffix(".json")
SMALL = 65_536  # bytes: below are sums of norms and of counts, above gradients and parameters
_ALL = ("v5e:2x4", "v5e:16x16", "v5p:16x16x16", "h200:8")
ROWS = {
    "tutorial, step": _ALL,
    "ResNet-50 + BERT-base, cross-attention, step": _ALL,
    "ResNet-50 + BERT-base, cross-attention, fsdp, step": ("v5e:16x16",),
}


def ring(size: float, devices: int, bandwidth: float) -> float:
    """Seconds in which `size` bytes on each device become their sum on each: 2 (n - 1) / n of them
    leave every device, at `bandwidth` bytes a second."""
    return 2 * (devices - 1) / devices * size / bandwidth


def hopper(size: float, devices: int) -> float:
    """Eight H100 or H200 SXM in a machine on NVLink, 450 GB/s each way, each with 400 Gbit/s NDR.

    Sums within machines, then each device an eighth of them between machines. Latencies are those
    of NCCL's own model (src/graph/tuning.cc, tree): 8.4 + 2 (7 * 4 + 14 log2 m) microseconds for m
    machines, for small arrays 6.8 + 2 (7 * 0.6 + 5 log2 m).
    """
    inside, machines = min(devices, 8), max(devices // 8, 1)
    base, near, far = (6.8, 0.6, 5.0) if size <= 8_192 else (8.4, 4.0, 14.0)
    latency = base + 2 * ((inside - 1) * near + math.log2(machines) * far)
    between = ring(size / inside, machines, 50e9)
    return ring(size, inside, 450e9) + between + 1e-6 * latency


def v5e(size: float, devices: int) -> float:
    """TPU v5e: 200 GB/s each way on a torus of 16x16, half of it where there is no way round."""
    axes = (16, 16) if devices == 256 else (2, 4)
    return ring(size, devices, 200e9 if devices == 256 else 100e9) + sum(axes) * 1e-6


def v5p(size: float, devices: int) -> float:
    """TPU v5p: 600 GB/s each way on a torus such as 16x16x16; half of it on 2x2x2."""
    hops = 3 * round(devices ** (1 / 3))
    return ring(size, devices, 300e9 if devices <= 8 else 600e9) + hops * 1e-6


LINKS: dict[str, Callable[[float, int], float]] = {"v5e": v5e, "v5p": v5p, "h200": hopper}


class Program(NamedTuple):
    """A compiled step, and what one chip does in it."""

    row: str
    target: str
    chips: int
    batch: int  # examples of a chip
    seconds: float  # of computing: the compiler's estimate, for GPUs a roofline
    memory: float  # bytes held
    exchanges: tuple[tuple[str, float, int], ...]  # (all-reduce, bytes, how many)

    def exchange(self, *, small: bool = True, large: bool = True) -> float:
        """Seconds of the exchanges, one after the other.

        Gathering or scattering is half a sum, but in rows of the torus, at half its speed.
        """
        link = LINKS[self.target.partition(":")[0]]
        return sum(
            count * link(size, self.chips)
            for _, size, count in self.exchanges
            if (small if size <= SMALL else large)
        )

    def needed(self, share: float) -> int:
        """Examples of a chip from which on it computes for this share of the time."""
        return math.ceil(self.exchange() * share / (1 - share) * self.batch / self.seconds)


def compiled() -> Iterator[Program]:
    """Every program, made by the real compilers."""
    import accelerators
    import program
    import targets

    every = {accelerators.title(row): row for row in accelerators.rows.rows()}
    for name, wanted in ROWS.items():
        for target in map(targets.target, wanted):
            cost, text = accelerators.compiled(every[name], "ours", target)
            print(f"{name}, {target.name}: {cost.seconds * 1e3:.3g} ms", flush=True)
            yield Program(
                name,
                target.name,
                len(targets.devices(target)),
                every[name].size,
                cost.seconds,
                cost.memory,
                tuple(program.exchanges(text)),
            )


def programs() -> list[Program]:
    """Those of scaling.json."""
    return [Program(**{**one, "exchanges": tuple(map(tuple, one["exchanges"]))})
            for one in json.loads(FILE.read_text())]  # fmt: skip


def exchanged(one: Program) -> str:
    """What a chip holds and exchanges."""
    small, large = ([x for x in one.exchanges if (x[1] <= SMALL) == few] for few in (True, False))
    kinds = {kind: sum(x[2] for x in large if x[0] == kind) for kind, _, _ in large}
    named = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    size = sum(size * count for _, size, count in large)
    return (
        f"| {one.row} | {one.target} | {one.memory / 1e9:.3g} | {named} | {size / 1e6:,.1f} | "
        f"{sum(count for *_, count in small)} |"
    )


def predicted(one: Program) -> str:
    """The time of a step; "beside" is the limit in which what is large is exchanged beside it."""
    whole = one.seconds + one.exchange()
    beside = max(one.seconds, one.exchange(small=False)) + one.exchange(large=False)
    return (
        f"| {one.row} | {one.target} | {_ms(one.seconds)} | {_ms(one.exchange(small=False))} | "
        f"{_ms(one.exchange(large=False))} | {one.seconds / whole:.0%} | "
        f"{one.seconds / beside:.0%} | {one.needed(0.9):,} |"
    )


def main(compile: bool = False) -> None:
    """Print the tables, as Markdown."""
    made = []
    for one in compiled() if compile else ():
        made.append(one._asdict())
        FILE.write_text(json.dumps(made, indent=1) + "\n")  # what was compiled is not lost
    print("| step | chips | GB held | large exchanges | their MB | sums below 64 KB |")
    print("|---|---|--:|---|--:|--:|")
    print("\n".join(map(exchanged, programs())))
    print("\n| step | chips | computes, ms | large exchanges, ms | small sums, ms", end=" ")
    print("| computing | with overlap | batch for 90 % |\n|---|---|--:|--:|--:|--:|--:|--:|")
    print("\n".join(map(predicted, programs())))


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.3g}"


if __name__ == "__main__":
    tyro.cli(main)
