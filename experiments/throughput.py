"""Does the data pipeline keep up? Examples per second of it alone, and of the step it feeds.

On MNIST match, batch 128, without augmentation; both on the same devices, one after the other.

    python experiments/throughput.py --manual-dir DIR
"""

import dataclasses
import functools
import itertools
import time
from collections.abc import Callable

import tyro
from mnist_match import experiment

import mmjax
from mmjax import train_batches
from mmjax.devices import parallel
from mmjax.types import MetricName


def rate(work: Callable[[], None], examples: int) -> float:
    """Examples per second of `work`, called once to warm up and once to measure."""
    work()
    begin = time.perf_counter()
    work()
    return examples / (time.perf_counter() - begin)


def main(
    manual_dir: str | None = None, data_dir: str | None = None, steps: int = 30, seed: int = 0
) -> None:
    """Measure the pipeline alone and training steps.

    Args:
        manual_dir: folder with the four official IDX files; none: they are downloaded
        data_dir: where prepared data sets lie
        steps: training steps to measure; the pipeline makes ten times as many batches
        seed: of the order, the captions and the parameters
    """
    data = dataclasses.replace(experiment.data, manual_dir=manual_dir, data_dir=data_dir)
    size = experiment.batch_size
    parallel.request_host_devices(size, None)
    mesh = parallel.choose(size)
    data.prepare()
    preprocessing, source = data.preprocessing(), data.source("train")
    stream = functools.partial(
        train_batches, data, source, preprocessing, batch_size=size, seed=seed, start=0
    )
    tx = experiment.optim.chain(experiment.steps)
    batch = next(stream())
    step = functools.partial(
        mmjax.train_step, model=experiment.model, objectives=experiment.objectives, tx=tx
    )
    update = parallel.WRAPPERS[experiment.compute.parallel](step, mesh)
    start = mmjax.create_state(experiment.model, tx, batch, seed=seed)
    start = parallel.replicate(start, mesh)

    def read() -> None:
        for _ in itertools.islice(stream(), 10 * steps):
            pass

    def train() -> None:
        state = start
        for _ in range(steps):
            state, sums = update(state, batch)
        sums[MetricName("match", "loss")].mean().block_until_ready()

    pipeline, training = rate(read, 10 * steps * size), rate(train, steps * size)
    print(f"pipeline {pipeline:,.0f} examples/s")
    print(f"training {training:,.0f} examples/s on {mesh.size} {mesh.devices.flat[0].platform}")
    print(f"the pipeline is {pipeline / training:.0f} times as fast")


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
