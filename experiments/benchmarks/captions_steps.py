"""Ours on MNIST and Fashion-MNIST match, from the stored data to updated parameters."""

import sys
from collections.abc import Callable
from typing import Any

import captions
import roofline
import tutorial

import mmjax
from mmjax.devices import parallel
from mmjax.train.loop import multi_step
from mmjax.types import MetricName


def one_by_one(task: captions.Task, steps: int, seed: int = 0) -> tuple[Callable, list[Any]]:
    """A call that makes so many steps, and the state that it leaves, in a list."""
    stream = task.batches(seed)
    update, now = _start(tutorial.step(), next(stream), seed)

    def part() -> None:
        unread: Any = None
        for _ in range(steps):
            now[0], sums = update(now[0], next(stream))
            # As `fit` does: one step ahead of the losses that are read. Far ahead of them the
            # sums over a CPU's devices have timed out.
            if unread is not None:
                unread.block_until_ready()
            unread = sums[MetricName("match", "loss")].total
        unread.block_until_ready()

    return part, now


def in_one_call(task: captions.Task, steps: int, seed: int = 0) -> tuple[Callable, list[Any]]:
    """The same as `--steps-per-call`: the columns lie on the device, the steps are one program."""
    stream = multi_step.stacked(task.indices(seed), start=0, steps=sys.maxsize, size=steps)
    first, held = next(task.batches(seed)), task.rows()
    update, now = _start(
        multi_step.call(tutorial.step(), True), first, seed, stacked=True, held=held
    )

    def part() -> None:
        now[0], sums = update(now[0], next(stream))
        sums[MetricName("match", "loss")].total.block_until_ready()

    return part, now


def work(task: captions.Task) -> roofline.Work:
    """Of one step."""
    first = next(task.batches())
    return roofline.work(tutorial.step(axis=None), tutorial.state(first), first)


def _start(step: Callable, first: Any, seed: int, **how: Any) -> tuple[Callable, list[Any]]:
    mesh = parallel.choose(tutorial.BATCH)
    state = mmjax.create_state(tutorial.model(), tutorial.tx(), first, seed=seed)
    update = parallel.WRAPPERS["pmap"](step, mesh, donate=True, **how)
    return update, [parallel.replicate(state, mesh)]
