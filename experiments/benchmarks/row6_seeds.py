"""Row 6: eight seeds of the tutorial's network, as one program and as eight runs."""

import functools

import jax
import made_up
import numpy as np
import result
import roofline
import timing
import tutorial

from mmjax.devices import parallel
from mmjax.types import MetricName

SEEDS, LARGEST = 8, 0.6  # of the cost of eight runs


def run(options: result.Options) -> list[result.Result]:
    """One step of all: each seed has weights and a batch of its own.

    Eight runs are eight steps by pmap, one after the other, as users get one. Together they are
    what `--seeds 8` runs: seeds apart on the devices, there by `jax.vmap`, on a CPU in turn.
    """
    given = [tutorial.batch(made_up.pairs(seed=seed)) for seed in range(SEEDS)]
    stacked = jax.tree.map(lambda *x: np.stack(x), *given)
    mesh = parallel.choose(tutorial.BATCH)
    fresh = [jax.device_get(tutorial.state(given[0], seed=seed)) for seed in range(SEEDS)]
    states = jax.tree.map(lambda *x: np.stack(x), *fresh)
    step = tutorial.step()
    alone = parallel.WRAPPERS["pmap"](step, mesh, donate=True)
    one = parallel.apart(step, mesh, donate=True)
    each = [
        parallel.replicate(jax.tree.map(lambda x, seed=seed: x[seed], states), mesh)
        for seed in range(SEEDS)
    ]
    together = {"one program": (one, [jax.device_put(states, parallel.separate(mesh))])}

    def runs() -> list[float]:
        losses = []
        for seed in range(SEEDS):
            each[seed], sums = alone(each[seed], given[seed])
            losses.append(float(sums[MetricName("match", "loss")].mean()))
        return losses

    def all_at_once(update, now) -> list[float]:
        now[0], sums = update(now[0], stacked)
        found = sums[MetricName("match", "loss")]
        return [float(x) for x in found.total / found.count]

    calls = {name: functools.partial(all_at_once, *how) for name, how in together.items()}
    expected = runs()
    notes = [f"{len(expected)} losses differ by {_worst(call(), expected):.0e}: {name}"
             for name, call in calls.items()]  # fmt: skip
    seconds = timing.alternate(calls | {"runs": runs}, rounds=options.rounds(12))
    medians = {name: 1e3 * timing.spread(x).median for name, x in seconds.items()}
    fastest = min(calls, key=lambda name: medians[name])
    cost = timing.ratio(seconds[fastest], seconds["runs"])
    notes.append(f"eight runs {medians['runs']:.0f} ms; cost {cost.text()} of theirs")
    work = roofline.work(tutorial.step(axis=None), fresh[0], given[0]).times(SEEDS)
    return [
        result.Result(
            "6. eight seeds, a step", ours=medians[fastest], ours_as=fastest,
            limit=roofline.share(work, medians[fastest] / 1e3, options.machine),
            target=f"cost at most {LARGEST}", met=cost.median <= LARGEST, notes=notes, all=medians,
        )
    ]  # fmt: skip


def _worst(found: list[float], expected: list[float]) -> float:
    worst = max(abs(a - b) for a, b in zip(found, expected, strict=True))
    if not worst <= 1e-4:
        raise ValueError(f"seeds: together {found}, alone {expected}: not the same")
    return worst
