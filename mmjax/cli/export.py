"""`mmjax export`: a run as one file that JAX alone runs."""

from pathlib import Path
from typing import Annotated, Literal

import tyro

from mmjax.cli import options, tables


def export(
    run: options.Run,
    /,
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    int8: bool = False,
    split: Literal["train", "validation", "test", "none"] = "test",
    checkpoint: str = "last",
    own: options.Own = (),
) -> None:
    """Write a run as a zip: a StableHLO program for CPUs, GPUs and TPUs, and all that it reads.

    The program takes any batch size and is loaded by JAX without mmjax. Its results are compared
    with the model's before the file is written.

    Args:
        out: the file, named .zip
        int8: store kernels and tables as 8-bit integers with a scale per channel
        split: of the run's data, that --int8 is measured on; none: it is not measured
        checkpoint: last, best (by the run's validation metric), whole (the newest that is not
            damaged), or a step
    """
    from rich.table import Table

    from mmjax.export import export as write

    options.prepare_process(own)
    done = write(
        run, out, int8=int8, split=None if split == "none" else split, checkpoint=checkpoint
    )
    print(
        f"{out}: {done.size:,} bytes{' in int8' if int8 else ''}, for cpu, cuda and tpu; "
        f"differs from the model by {done.difference:.1e} of its largest output"
    )
    if done.metrics:
        table = Table(f"{split} split", "float32", "int8", "change")
        for name, (exact, rounded) in done.metrics.items():
            table.add_row(name, f"{exact:.6f}", f"{rounded:.6f}", f"{rounded - exact:+.6f}")
        tables.show(table)
