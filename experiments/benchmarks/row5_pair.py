"""Row 5: ResNet-18 with BERT-mini, fused by cross-attention and by MBT: training and inference."""

import dataclasses
import functools
import importlib.util
from collections.abc import Callable, Iterator
from typing import Any

import agreement
import flax_peer
import jax
import made_up
import numpy as np
import pair
import peer
import result
import roofline
import timing
import tutorial
from peer import torch

import mmjax
from mmjax.devices import parallel
from mmjax.types import MetricName

BATCH, ONE, MANY = 32, 1, 256
COMPARED = ("cross_attention", "bottleneck")


def run(options: result.Options) -> Iterator[result.Result]:
    """Images of 64 x 64 pixels, texts of 32 words."""
    fusions = COMPARED[:1] if options.fast else COMPARED
    for fusion in fusions:
        yield from _rows(fusion, options)


def _rows(fusion: str, options: result.Options) -> Iterator[result.Result]:
    pairs, model, notes = made_up.larger(BATCH), pair.model(fusion), []
    given = tutorial.batch(pairs)
    net = network(fusion)
    state = _state(model, given, drawn=net is None)
    if net is None:
        notes.append(f"{peer.MISSING}; and transformers")
    else:
        state = dataclasses.replace(state, params=pair.mapped(peer.arrays(net), fusion))
    training = _training(model, state, given, options)
    plain = flax_peer.pair(fusion)
    on_jax = _chosen(flax_peer.trainers(plain, state.variables, given), options)
    theirs, ways, expected = {}, {}, {name: call() for name, call in on_jax.items()}
    if net is not None:
        theirs, ways = _peers(fusion, pairs, options, notes)
        expected["PyTorch"] = _loss(net.train(), pairs)
    worst = 0.0
    for name, call in training.items():
        first = call()
        for side, loss in expected.items():
            worst = max(worst, agreement.require_same([first], [loss], f"loss, {name}, {side}"))
    notes.append(f"losses differ by at most {worst:.0e}")
    step = functools.partial(tutorial.step(model=model), axis=None)
    ours = {f"mmjax {name}": call for name, call in training.items()}
    label = "MBT" if fusion == "bottleneck" else "cross-attention"
    yield result.compare(
        f"5. {label}, training step", ours | theirs | on_jax, options, rounds=12,
        work=roofline.work(step, state, given), at_least=1.0, notes=notes, peers=timing.PEERS[:2],
    )  # fmt: skip
    for size in (ONE, MANY):
        yield _inference(label, size, model, state, ways, plain, options)


def _chosen(calls: dict[str, Callable], options: result.Options) -> dict[str, Callable]:
    """In a fast run one device alone: it was the fastest, and a step takes seconds."""
    return dict(list(calls.items())[:1]) if options.fast else calls


def _state(model: Any, given: Any, drawn: bool) -> mmjax.TrainState:
    """Before the first step; parameters that are to be PyTorch's are not drawn: it takes long."""
    create = functools.partial(mmjax.create_state, model, tutorial.tx(), given, seed=0)
    if drawn:
        return create()
    state = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), jax.eval_shape(create))
    statistics = jax.tree_util.tree_map_with_path(
        lambda path, x: x + (path[-1].key == "variance"), state.collections
    )
    return dataclasses.replace(state, collections=jax.tree.map(np.float32, statistics))


def network(fusion: str) -> Any:
    """PyTorch's, or None where it cannot be had."""
    if torch is None or importlib.util.find_spec("transformers") is None:
        return None
    import pair_peer

    return pair_peer.network(fusion)


def _training(
    model: Any, state: Any, given: Any, options: result.Options
) -> dict[str, Callable[[], float]]:
    """{way: a step, which returns its loss}: as `--devices 1`, and on all host devices.

    A fast run has the first of them alone: it was the fastest, and each compiles for 20 s.
    """
    ways = {"jit on one device": (parallel.WRAPPERS["jit"], parallel.choose(BATCH, 1))}
    if not options.fast:
        mesh = parallel.choose(BATCH)
        ways |= {name: (wrap, mesh) for name, wrap in parallel.WRAPPERS.items()}
    found = {}
    for name, (wrap, mesh) in ways.items():
        update = wrap(tutorial.step(model=model), mesh, donate=True)
        now = [parallel.replicate(jax.tree.map(np.asarray, state), mesh)]

        def step(update=update, now=now) -> float:
            now[0], sums = update(now[0], given)
            return float(sums[MetricName("match", "loss")].mean())

        found[name] = step
    return found


def _peers(fusion: str, given: made_up.Pairs, options: result.Options, notes: list[str]) -> Any:
    """Training steps, and networks for inference."""
    import tutorial_peer

    assert torch is not None
    steps, ways = {}, {}
    for channels_last in (False, True):
        layout = torch.channels_last if channels_last else torch.contiguous_format
        ending = " channels_last" if channels_last else ""
        loss = tutorial_peer.loss_of(given, channels_last)
        net = network(fusion).to(memory_format=layout)
        ways[f"PyTorch eager{ending}"] = (network(fusion).to(memory_format=layout), channels_last)
        steps[f"PyTorch eager{ending}"] = peer.trainer(net, loss, made_up.LR)
    if options.fast:
        notes.append("torch.compile left out: it takes minutes, and this run is a fast one")
        return steps, ways
    net = network(fusion).to(memory_format=torch.channels_last)
    faster, note = peer.compiled(net, lambda net: loss(net).backward())
    if faster is None:
        notes.append(note)
    else:
        steps["PyTorch compiled channels_last"] = peer.trainer(faster, loss, made_up.LR)
        net = network(fusion).to(memory_format=torch.channels_last)
        ways["PyTorch compiled channels_last"] = (torch.compile(net), True)
    return steps, ways


def _loss(net: Any, given: made_up.Pairs) -> float:
    import tutorial_peer

    return float(tutorial_peer.loss_of(given, False)(net).detach())


def _inference(
    label: str, size: int, model: Any, state: Any, ways: dict, plain: Any, options: result.Options
) -> result.Result:
    """Logits of a batch, the same ones, with the running statistics of no training."""
    given = tutorial.batch(made_up.larger(size))
    logits = functools.partial(model.apply, train=False)
    predict = jax.jit(logits, compiler_options=parallel.compiler_options(parallel.mesh_of(1)))
    variables = jax.device_put(state.variables, jax.local_devices()[0])
    calls: dict[str, Callable] = {
        "mmjax jit": lambda: np.asarray(predict(variables, given.inputs).values["match"])
    }
    count = len(jax.local_devices())
    if size % count == 0:
        mesh = parallel.choose(size)
        each = parallel.each(lambda v, batch: model.apply(v, batch.inputs, train=False), mesh)
        everywhere = parallel.replicate(state.variables, mesh)
        calls["mmjax a share on each core"] = lambda: np.ravel(
            each(everywhere, given).values["match"]
        )
    for name, (net, channels_last) in ways.items():
        calls[name] = _predictor(net.eval(), given, channels_last)
    calls |= _chosen(flax_peer.predictors(plain, state.variables, given.inputs), options)
    found = {name: np.asarray(call())[:8].tolist() for name, call in calls.items()}
    worst = max(
        agreement.require_same(found["mmjax jit"], x, f"logits, {name}")
        for name, x in found.items()
    )
    notes = [f"logits differ by at most {worst:.0e}"]
    work = roofline.work(logits, variables, given.inputs)
    row = result.compare(
        f"5. {label}, inference at batch {size}", calls, options,
        rounds=40 if size == ONE else 9, work=work, at_least=1.0, notes=notes,
        peers=timing.PEERS[:2],
    )  # fmt: skip
    assert row.ours is not None
    row.notes = [*row.notes, f"{1e3 * size / row.ours:,.0f} examples/s"]
    return row


def _predictor(net: Any, given: Any, channels_last: bool) -> Callable:
    assert torch is not None
    layout = torch.channels_last if channels_last else torch.contiguous_format
    image = torch.from_numpy(given.inputs["image"].values).permute(0, 3, 1, 2)
    image = image.contiguous(memory_format=layout)
    words = torch.from_numpy(given.inputs["text"].values).long()

    def predict() -> np.ndarray:
        with torch.inference_mode():
            return net(image, words).numpy()

    return predict
