"""What TPUs and NVIDIA GPUs would run: training steps, compiled by their own compilers, counted.

    pip install -e '.[accelerators]'
    python experiments/benchmarks/accelerators.py --fast --json FILE  (7.5 minutes, 2 cores)
    python experiments/benchmarks/accelerators.py --target v5e h200 --json FILE
    python experiments/benchmarks/accelerators.py --rows ResNet LSTM --target v5e:2x4
    python experiments/benchmarks/accelerators.py --hottest "ResNet-50, step" --target v5e

NOTHING IS RUN ON AN ACCELERATOR. Cycles are the TPU compiler's estimates, a GPU's time is a
roofline: both compare two programs for the same work and promise no seconds. Plain flax is written
as its examples are (`plain.py`) and checked on this machine to compute the same gradients.
"""

import dataclasses
import hashlib
import json
import math
import os
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import targets
import tyro

from mmjax.errors import UserError

targets.prepare()  # before anything imports JAX

import accelerator_rows as rows
import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from program import Cost, hottest, measure

from mmjax.devices import sharding
from mmjax.devices.parallel import AXIS, FSDP
from mmjax.evaluation.flops import flops

ROW = 16  # at most so many chips share a state with --fsdp: a row of a torus of 16 x 16
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "mmjax" / "accelerators"


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Compile for accelerators and count what the programs do."""

    target: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME ...")] = ("v5e", "h200")
    """v5e, v6e, v5p, h100, h200, each with a shape if wanted: v5e:2x2, v5p:2x2x1, h200:8"""
    rows: Annotated[tuple[str, ...], tyro.conf.arg(metavar="TEXT ...")] = ()
    """only rows whose names, such as "ResNet-50, step", hold one of these texts"""
    fast: bool = False
    """a choice of rows"""
    check: bool = True
    """compare ours with plain flax on this machine first"""
    hottest: int = 0
    """print so many of the costliest operations of each program, with the modules they belong to"""
    json: Path | None = None
    """write all figures to this file; where it exists already, print what has changed since"""


def compiled(row: rows.Row, side: str, target: targets.Target) -> tuple[Cost, str]:
    """The cost of a row's program on a chip of the target, and the program's text."""
    program = rows.program(row, side)
    mesh = _mesh(target, row.fsdp)
    size = row.size * mesh.size
    one = row.batch(2)
    # Shapes alone: the pictures of 256 chips would take 20 GB.
    batch = jax.tree.map(lambda x: jax.ShapeDtypeStruct((size, *x.shape[1:]), x.dtype), one)
    # Weak types would compile a second program in a training.
    state = jax.eval_shape(lambda: program.state(one))
    if row.calls > 1:
        batch = jax.tree.map(lambda x: jax.ShapeDtypeStruct((row.calls, *x.shape), x.dtype), batch)
    whole = NamedSharding(mesh, PartitionSpec())
    placed = jax.tree.map(sharding.place(mesh), state)
    axes = tuple(mesh.axis_names)
    split = NamedSharding(mesh, PartitionSpec(None, axes) if row.calls > 1 else PartitionSpec(axes))
    lowered = jax.jit(
        sharding.gathering(program.function, mesh),
        in_shardings=(placed, split),
        out_shardings=(placed, whole) if program.updates else None,
        donate_argnums=(0,) if program.updates else (),
    ).lower(state, batch)
    text, memory = _cached(lowered, target)
    share = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(_share(x.shape, mesh.size, row.calls > 1), x.dtype), batch
    )
    return measure(text, target.chip, flops(program.function, state, share), memory), text


def _mesh(target: targets.Target, fsdp: bool) -> Mesh:
    devices = targets.devices(target)
    auto = jax.sharding.AxisType.Auto
    if fsdp:
        parts = math.gcd(len(devices), ROW)
        return Mesh(devices.reshape(-1, parts), (AXIS, FSDP), axis_types=(auto, auto))
    return Mesh(devices, (AXIS,), axis_types=(auto,))


def _share(shape: tuple[int, ...], devices: int, stacked: bool) -> tuple[int, ...]:
    axis = int(stacked)
    return (*shape[:axis], shape[axis] // devices, *shape[axis + 1 :])


def _cached(lowered: Any, target: targets.Target) -> tuple[str, float]:
    """The compiled program's text and the bytes it holds, compiled if no earlier run did."""
    versions = f"{jax.__version__} {_version()} {target.name} {os.environ['XLA_FLAGS']}"
    # Where an operation stands in a file changes neither the program nor its cost.
    source = lowered.as_text(debug_info=False)
    name = hashlib.sha256(f"{versions}\n{source}".encode()).hexdigest()[:32]
    file = CACHE / f"{name}.json"
    if file.exists():
        found = json.loads(file.read_text())
        return found["text"], found["memory"]
    program = lowered.compile()
    held = program.memory_analysis()
    memory = float(
        held.argument_size_in_bytes + held.output_size_in_bytes + held.temp_size_in_bytes
        - held.alias_size_in_bytes
    )  # fmt: skip
    CACHE.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(f".{os.getpid()}")
    partial.write_text(json.dumps({"text": program.as_text(), "memory": memory}))
    partial.replace(file)
    return program.as_text(), memory


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    found = []
    for package in ("libtpu", "jax-cuda12-plugin", "nvidia-cuda-nvcc-cu12"):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def main(arguments: Arguments) -> None:
    """Print a table for each target."""
    chosen = [targets.target(name) for name in arguments.target]
    every = list(rows.rows())
    wanted = [row for row in every if _wanted(row, arguments)]
    if not wanted:
        names = "\n    ".join(title(row) for row in every)
        raise UserError(f"--rows {' '.join(arguments.rows)}: no row has such a name:\n    {names}")
    if arguments.check:
        check(wanted)
    earlier = _earlier(arguments.json)
    found: dict[str, Any] = {}
    for target in chosen:
        print(f"\n{target.name}, one chip of it; {_version()}, jax {jax.__version__}\n")
        print(head(target.chip.platform))
        for row in wanted:
            if row.fsdp and len(targets.devices(target)) == 1:
                continue
            costs = {}
            for side in ("ours", "plain")[: 1 + (row.plain is not None)]:
                began = time.monotonic()
                costs[side], text = compiled(row, side, target)
                print(f"{title(row)}, {side}: {time.monotonic() - began:.0f} s", file=sys.stderr)
                found[f"{target.name} | {title(row)} | {side}"] = costs[side]._asdict()
                if arguments.hottest:
                    _print_hottest(text, target, side, arguments.hottest)
            print(line(row, costs, target), flush=True)
            _write(arguments.json, {**earlier, **found})
    for key, cost in found.items():
        before = earlier.get(key)
        if before and abs(cost["seconds"] / before["seconds"] - 1) > 0.005:
            print(f"{key}: {cost['seconds'] / before['seconds']:.3f} of the time stored before")


_UNCHECKED = ("evaluation", "guarded step")  # the same function as the step's
_COLUMNS = {
    "tpu": "M cycles|of plain flax's|of the peak rate|GB moved|of plain's|GB held|of plain's|"
    "sums over chips|plain's",
    "cuda": "roofline, ms|of plain flax's|kernels|outside loops|plain's kernels|GB moved|"
    "of plain's|GB held",
}


def head(platform: str) -> str:
    """The first two lines of the table, in Markdown."""
    columns = _COLUMNS[platform].split("|")
    return f"| row | {' | '.join(columns)} |\n|---{'|--:' * len(columns)}|"


def line(row: rows.Row, costs: dict[str, Cost], target: targets.Target) -> str:
    """A row of the table."""
    ours, plain = costs["ours"], costs.get("plain")

    def ratio(field: str) -> str:
        return f"{getattr(ours, field) / getattr(plain, field):.2f}" if plain else ""

    sums = {side: sum(cost.collectives.values()) for side, cost in costs.items()}
    if target.chip.platform == "tpu":
        cells = [
            f"{ours.cycles / 1e6:.3f}", ratio("cycles"), f"{ours.peak_share:.1%}",
            f"{ours.bytes / 1e9:.3g}", ratio("bytes"), f"{ours.memory / 1e9:.3g}", ratio("memory"),
            str(sums["ours"]), str(sums.get("plain", "")),
        ]  # fmt: skip
    else:
        cells = [
            f"{ours.seconds * 1e3:.3f}", ratio("seconds"), str(ours.kernels), str(ours.outside),
            str(plain.kernels) if plain else "", f"{ours.bytes / 1e9:.3g}", ratio("bytes"),
            f"{ours.memory / 1e9:.3g}",
        ]  # fmt: skip
    return f"| {title(row)} | {' | '.join(cells)} |"


def title(row: rows.Row) -> str:
    """The row's name and kind of work."""
    return f"{row.name}, {row.work}"


def check(wanted: list[rows.Row]) -> None:
    """Compare the small form of each wanted row with plain flax, on this machine.

    Raises:
        UserError: the gradients of a row differ.
    """
    kinds = {(row.name.split(",")[0], row.work) for row in wanted}
    for row in rows.rows(small=True):
        small = (row.name.split(",")[0], row.work)
        if row.plain is None or row.fsdp or row.calls > 1 or row.work in _UNCHECKED:
            continue
        if small in kinds and (difference := rows.difference(row)) > 1e-4:
            raise UserError(f"{title(row)}: ours and plain flax differ by {difference:.1e}")


def _wanted(row: rows.Row, arguments: Arguments) -> bool:
    if arguments.rows:
        return any(text in title(row) for text in arguments.rows)
    return row.fast or not arguments.fast


def _print_hottest(text: str, target: targets.Target, side: str, count: int) -> None:
    for module, times, share in hottest(text, target.chip, count):
        print(f"    {side} {share:6.1%} {times:6d} times  {module}")


def _earlier(file: Path | None) -> dict[str, Any]:
    return json.loads(file.read_text()) if file is not None and file.exists() else {}


def _write(file: Path | None, found: dict[str, Any]) -> None:
    if file is not None:
        file.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    try:
        main(tyro.cli(Arguments))
    except UserError as error:
        sys.exit(f"error: {error}")
