"""mmjax and its peers side by side, in one run: the same work, inputs, threads and precision.

    python experiments/benchmarks/compare.py [--fast] [--rows 1,2] [--manual-dir DIR] --json FILE

The sides take turns (A B A B ...), after it has been checked that they compute the same function.
A ratio is a peer's time over ours: above 1 ours is ahead. README.md beside this file has the
tables of the runs that were made, and what they say.
"""

import importlib
import json
import platform
import sys
import time
import traceback
from importlib import metadata
from pathlib import Path
from typing import Annotated

import tyro

ROWS = {
    1: "row1_step",
    2: "row2_lstm",
    3: "row3_epoch",
    4: "row4_accuracy",
    5: "row5_pair",
    6: "row6_seeds",
    7: "row7_memory",
    8: "row8_startup",
}


def main(
    fast: bool = False,
    rows: str = ",".join(map(str, ROWS)),
    json: Annotated[Path | None, tyro.conf.arg(name="json")] = None,
    manual_dir: str | None = None,
    data_dir: str | None = None,
) -> None:
    """Measure, print a table, and write all numbers.

    Args:
        fast: fewer rounds and contenders, a part of the epoch, no row 4: under 5 minutes on 2 cores
        rows: which rows, such as 1,2
        json: file to write all numbers to
        manual_dir: holds the folders fashion_mnist and mnist of official IDX files (rows 3 and 4)
        data_dir: where prepared data sets lie
    """
    wanted = chosen(rows)
    from mmjax.devices import parallel

    parallel.keep_memory()  # for both sides
    parallel.request_host_devices(128, None)
    import captions
    import result
    import roofline

    options = result.Options(fast, manual_dir, data_dir, roofline.measure_machine())
    print(f"machine: {describe(options.machine)}\n", flush=True)
    print(line(result.HEADER) + "\n" + line(["---"] * len(result.HEADER)), flush=True)
    found, seconds, failed = [], {}, {}
    for row in wanted:
        begin = time.perf_counter()
        try:
            for measured in importlib.import_module(ROWS[row]).run(options):
                found.append(measured)
                print(line(measured.cells()), flush=True)
        except captions.NoFiles as reason:
            name = f"{row}. {ROWS[row].partition('_')[2]}"
            found.append(result.Result(name, notes=[f"not run: {reason}"]))
            print(line(found[-1].cells()), flush=True)
        except Exception as error:  # the other rows are still worth their time
            traceback.print_exc()
            failed[row] = f"{type(error).__name__}: {error}"
        seconds[row] = round(time.perf_counter() - begin, 1)
    print("\nseconds for each row: " + ", ".join(f"{r}: {s:.0f}" for r, s in seconds.items()))
    if json is not None:
        written = {
            "fast": fast, "machine": options.machine._asdict(), "versions": versions(),
            "seconds": seconds, "failed": failed, "rows": [result.as_json(row) for row in found],
        }  # fmt: skip
        write(json, written)
    if failed:
        sys.exit("failed: " + "; ".join(f"row {row}: {why}" for row, why in failed.items()))


def chosen(rows: str) -> list[int]:
    """The numbers of the rows, in order; ends the program where one is unknown."""
    wanted = [part.strip() for part in rows.split(",")]
    if unknown := [part for part in wanted if part not in map(str, ROWS)]:
        sys.exit(f"--rows {','.join(unknown)}: choose from {', '.join(map(str, ROWS))}")
    return sorted({int(part) for part in wanted})


def describe(machine) -> str:
    """Cores, rates and versions."""
    from mmjax.devices import parallel

    found = ", ".join(f"{name} {version}" for name, version in versions().items())
    return (
        f"{parallel.cores()} cores; {machine.flops / 1e9:.0f} GFLOP/s in a product of matrices; "
        f"{machine.bandwidth / 1e9:.1f} GB/s in a copy; {found}"
    )


def versions() -> dict[str, str]:
    """Of Python and of what is compared, as far as it is installed."""
    found = {"Python": platform.python_version()}
    for name in ("jax", "jaxlib", "flax", "optax", "keras", "torch", "transformers", "numpy"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def write(path: Path, found: dict) -> None:
    """As JSON."""
    path.write_text(json.dumps(found, indent=1) + "\n")


def line(cells: list[str]) -> str:
    """Of a Markdown table."""
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
