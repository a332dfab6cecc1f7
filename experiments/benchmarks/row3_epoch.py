"""Row 3: an epoch of Fashion-MNIST match, from the stored data to updated parameters."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import captions
import captions_steps
import peer
import result
import roofline
import timing
import tutorial
from peer import torch

EPOCH, TARGET, PARTS = 430, 2.0, 10  # steps: once as many pairs as there are images


def run(options: result.Options) -> list[result.Result]:
    """In ten parts that take turns; in a fast run three short ones, of what was the fastest."""
    task = captions.Task("fashion_mnist", options.manual_dir, options.data_dir)
    parts, steps = (3, 8) if options.fast else (PARTS, EPOCH // PARTS)
    contenders = {"mmjax pmap, one call": captions_steps.in_one_call(task, steps)[0]}
    if not options.fast:
        contenders["mmjax pmap"] = captions_steps.one_by_one(task, steps)[0]
    notes = [f"{parts} parts of {steps} steps"]
    if torch is None:
        notes.append(peer.MISSING)
    else:
        # In both layouts without workers; with them, and compiled, in the faster one of row 1.
        ways = [(0, True, False), (0, True, True)]
        ways += [] if options.fast else [(0, False, False), (1, True, True), (2, True, True)]
        for workers, channels_last, compiled in ways:
            layout = ", channels_last" if channels_last else ""
            how = "compiled" if compiled else "eager"
            name = f"PyTorch {how}, {workers} workers{layout}"
            contenders[name] = _theirs(task, steps, workers, channels_last, compiled)
        notes.append("the DataLoader makes whole batches at once")
    seconds = timing.alternate(contenders, rounds=parts)
    ours, best = timing.best(seconds, timing.OURS), timing.best(seconds, "PyTorch")
    assert ours is not None
    row = result.Result(
        "3. epoch of Fashion-MNIST match", unit="s", target=f"at least {TARGET:g}", notes=notes,
        all={name: sum(x) for name, x in seconds.items()},
    )  # fmt: skip
    row.limit = roofline.share(
        captions_steps.work(task).times(parts * steps), sum(seconds[ours]), options.machine
    )
    row.ours, row.ours_as = sum(seconds[ours]), ours.removeprefix("mmjax ")
    if best is not None:
        ratio = timing.ratio(seconds[best], seconds[ours])
        how = best.removeprefix("PyTorch ")
        row.peers["PyTorch"] = result.Peer(sum(seconds[best]), how, ratio)
        row.met = ratio.median >= TARGET
    notes.append(f"pipeline alone {_pipeline(task):,.0f} examples/s")
    return [row]


def _theirs(
    task: captions.Task, steps: int, workers: int, channels_last: bool, compiled: bool
) -> Callable[[], None]:
    import captions_peer
    import tutorial_peer

    assert torch is not None
    stream: Iterator[Any] = captions_peer.loader(task, workers)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    net: Any = tutorial_peer.network(channels=1).to(memory_format=layout)
    given: list[Any] = []
    if compiled:
        first = next(stream)
        found, note = peer.compiled(
            net, lambda net: captions_peer.loss_of(first, channels_last)(net).backward()
        )
        if found is None:
            raise RuntimeError(note)
        net = found
    step = peer.trainer(net, lambda net: captions_peer.loss_of(given[0], channels_last)(net))

    def part() -> None:
        for _ in range(steps):
            given[:] = [next(stream)]
            step()

    return part


def _pipeline(task: captions.Task, batches: int = 300) -> float:
    """Examples a second."""
    stream = task.batches()
    next(stream)
    begin = time.perf_counter()
    for _ in range(batches):
        next(stream)
    return batches * tutorial.BATCH / (time.perf_counter() - begin)
