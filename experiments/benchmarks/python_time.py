"""The time that Python takes for a training step: batches, arguments, sharding, logging.

    python experiments/benchmarks/python_time.py [--parallel jit] [--devices 1] [--no-held]

The loop of a real training, whose compiled step has the arguments and results of the tutorial's
network but computes nothing: what is left of a step's time is the host's.
"""

import functools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import tyro

import mmjax
from mmjax.devices import parallel as devices_
from mmjax.train.loop.program import OneRun
from mmjax.train.loop.trainer import Trainer


def main(
    parallel: Literal["pmap", "jit"] = "pmap",
    devices: int | None = None,
    steps: int = 3000,
    held: bool = True,
) -> None:
    """Print the median and the quartiles, in milliseconds.

    Args:
        parallel: what shares a batch among devices
        devices: how many; by default all
        steps: of the training; the first tenth is not counted
        held: the data lie on the device, as on GPUs and TPUs; else each batch is sent
    """
    experiment = mmjax.Experiment(
        model=mmjax.Multimodal(
            encoders={"image": mmjax.encoders.Cnn(), "text": mmjax.encoders.Lstm(10_000)},
            fusion=mmjax.fusion.Concat(),
            heads={"match": mmjax.heads.Logit(hidden=(128,))},
        ),
        objectives={"match": mmjax.objectives.BinaryCrossEntropy(output="match", target="match")},
        data=mmjax.data.DigitsMatch(),
        optim=mmjax.optim.Adam(),
        batch_size=128,
        steps=steps,
        compute=mmjax.Compute(parallel=parallel, devices=devices),
        keeping=mmjax.Keeping(eval_every=steps),
    )
    devices_.accelerated = lambda: held
    times = measured(experiment)
    low, middle, high = np.percentile(times, [25, 50, 75])
    where = f"{parallel}, devices: {devices or jax.device_count()}, data held: {held}"
    print(f"{middle:.3f} ms a step (quartiles {low:.3f} to {high:.3f}), {where}")


def measured(experiment: mmjax.Experiment) -> np.ndarray:
    """Milliseconds between the calls of the empty step."""
    call, update = Trainer._call, OneRun.update
    began: list[float] = []

    def timed(self: OneRun, state: Any, batch: Any) -> Any:
        began.append(time.perf_counter())
        return update(self, state, batch)

    Trainer._call = lambda self: empty(call(self))
    OneRun.update = timed
    try:
        with tempfile.TemporaryDirectory() as folder:
            mmjax.fit(experiment, Path(folder) / "run")
    finally:
        Trainer._call, OneRun.update = call, update
    return 1e3 * np.diff(began)[len(began) // 10 :]


def empty(step: Callable) -> Callable:
    """A step with the same results as far as their shapes go, which only counts."""

    def computed(state: Any, batch: Any, *columns: Any, axis: str | None) -> Any:
        _, means = jax.eval_shape(functools.partial(step, axis=None), state, batch, *columns)
        zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), means)
        return state.replace(step=state.step + 1), zeros

    return computed


if __name__ == "__main__":
    devices_.request_host_devices(2, None)
    tyro.cli(main)
