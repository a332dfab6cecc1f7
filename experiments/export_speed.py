"""How fast is an exported model beside the model in Python? Latency at batch 1, rows/s at 256.

    python experiments/digits_match.py
    python experiments/export_speed.py runs/digits_match

The sides take turns in one process, on inputs that are ready: float32 and int8 files of the run,
and the jitted model. Medians between quartiles, of `--rounds` rounds. About 20 s on two cores.
"""

import functools
import tempfile
import time
from pathlib import Path

import jax
import numpy as np
import safetensors.numpy
import tyro

from mmjax.export import archive, export, program
from mmjax.runs.restore import restore
from mmjax.types import Masked


def main(run: tyro.conf.Positional[Path], rounds: int = 101) -> None:
    """Print a table.

    Args:
        run: the folder of a run
        rounds: how often each side is measured
    """
    model, variables, preprocessing = restore(run)
    apply = jax.jit(lambda tree, given: model.apply(tree, given, train=False))
    placed = jax.device_put(variables)
    sides = {"model": lambda inputs: apply(placed, inputs)}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("float32", "int8"):
            path = Path(folder) / f"{name}.zip"
            written = export(run, path, int8=name == "int8", split=None)
            print(f"{name}: {written.size:,} bytes")
            sides[f"exported, {name}"] = loaded(path)
    print("| batch | side | ms | rows/s | times the model's |\n" + "| --- " * 5 + "|")
    for batch in (1, 256):
        inputs = preprocessing({name: [None] * batch for name in preprocessing.transforms})
        inputs = jax.device_put(
            {name: Masked(x.values, np.ones_like(x.mask)) for name, x in inputs.items()}
        )
        times: dict[str, list[float]] = {name: [] for name in sides}
        for number in range(rounds + 1):
            for name, side in sides.items():
                begun = time.perf_counter()
                jax.block_until_ready(side(inputs))
                if number:  # the first compiles
                    times[name].append(time.perf_counter() - begun)
        for name, taken in times.items():
            low, middle, high = np.quantile(taken, (0.25, 0.5, 0.75))
            ratio = np.median(np.divide(taken, times["model"]))
            spread = f"{1e3 * middle:.2f} ({1e3 * low:.2f}-{1e3 * high:.2f})"
            print(f"| {batch} | {name} | {spread} | {batch / middle:,.0f} | {ratio:.2f} |")


def loaded(path: Path):
    """The exported model as a function of inputs."""
    _, entries = archive.read(path)
    call = jax.jit(program.deserialized(entries[archive.PROGRAM]).call)
    parameters = jax.device_put(safetensors.numpy.load(entries[archive.PARAMETERS]))
    return functools.partial(_called, call, parameters)


def _called(call, parameters, inputs):
    return call(parameters, program.plain(inputs))


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
