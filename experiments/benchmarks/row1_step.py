"""Row 1: a training step of the tutorial's network, batch 128, forward, backward and Adam."""

import functools

import agreement
import flax_peer
import jax
import keras_peer
import made_up
import peer
import result
import roofline
import timing
import tutorial
from peer import torch

from mmjax.devices import parallel
from mmjax.types import MetricName

STEPS = 3  # before which the losses must agree: weights, gradients and Adam's update


def run(options: result.Options) -> list[result.Result]:
    """Ours as users get it, by pmap over as many host devices as cores, and by jit."""
    pairs, notes = made_up.pairs(), []
    given = tutorial.batch(pairs)
    mesh = parallel.choose(tutorial.BATCH)
    updates = {
        name: wrap(tutorial.step(), mesh, donate=True) for name, wrap in parallel.WRAPPERS.items()
    }
    params, contenders, checked = None, {}, {}
    if torch is not None:
        import tutorial_peer

        net = tutorial_peer.network()
        params = tutorial.mapped(peer.arrays(net))
        checked["PyTorch"] = peer.trainer(net, tutorial_peer.loss_of(pairs, False), made_up.LR)
        contenders, failed = tutorial_peer.contenders(pairs)
        notes += failed
    variables = tutorial.state(given, params).variables
    on_jax = flax_peer.trainers(flax_peer.tutorial(), variables, given)
    on_jax |= keras_peer.trainers(variables["params"], pairs)
    found = {name: losses(update, given, params, mesh) for name, update in updates.items()}
    worst = 0.0
    for name, theirs in (checked | on_jax).items():
        expected = [theirs() for _ in range(STEPS)]
        for way, ours in found.items():
            what = f"loss of {STEPS} steps, {way}, {name}"
            worst = max(worst, agreement.require_same(ours, expected, what))
    notes.append(f"losses of {STEPS} steps differ by at most {worst:.0e}")
    states = {name: [parallel.replicate(tutorial.state(given, params), mesh)] for name in updates}

    def once(name: str) -> None:
        states[name][0], sums = updates[name](states[name][0], given)
        jax.block_until_ready(sums)

    ours = {f"mmjax {name}": functools.partial(once, name) for name in updates}
    work = roofline.work(tutorial.step(axis=None), tutorial.state(given), given)
    row = result.compare(
        "1. training step", ours | contenders | on_jax, options,
        rounds=30, work=work, at_least=1.0, notes=notes, peers=timing.PEERS,
    )  # fmt: skip
    return [row]


def losses(update, given, params, mesh) -> list[float]:
    """Of the first steps."""
    state, found = parallel.replicate(tutorial.state(given, params), mesh), []
    for _ in range(STEPS):
        state, sums = update(state, given)
        found.append(float(sums[MetricName("match", "loss")].mean()))
    return found
