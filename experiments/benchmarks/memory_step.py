"""The most memory of a process that trains two steps: what row 7 reads."""

import functools
import resource
from pathlib import Path

import pair
import peer
import tutorial
from peer import torch

import mmjax
from mmjax import parallel


def run(side: str, settings: dict) -> dict:
    """MB before the network is made and at most; ours with what the compiler plans for a step."""
    fusion, accumulate, remat = settings["fusion"], settings["accumulate"], settings["remat"]
    given = pair.batch(32) if fusion else tutorial.batch()
    before = _peak()
    planned = None
    if side == "PyTorch":
        planned = _theirs(fusion, given)
    else:
        model = pair.model(fusion, remat) if fusion else tutorial.model().clone(remat=remat)
        planned = _ours(model, given, accumulate)
    return {"before": before, "peak": _peak(), "planned": planned}


def _peak() -> float:
    """MB. Linux's ru_maxrss begins with that of the process that started this one."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM:"))
        return int(line.split()[1]) / 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def _ours(model, given, accumulate: int) -> float:
    import jax

    step = tutorial.step(model=model, accumulate=accumulate)
    state = mmjax.create_state(model, tutorial.tx(), given, seed=0)
    compiled = jax.jit(functools.partial(step, axis=None), donate_argnums=0)
    ready = compiled.lower(state, given).compile()
    analysis = ready.memory_analysis()
    planned = float("nan") if analysis is None else analysis.temp_size_in_bytes / 1e6
    state = parallel.replicate(state, parallel.mesh_of(1))
    for _ in range(2):
        state, sums = ready(state, given)
    jax.block_until_ready((state, sums))
    return planned


def _theirs(fusion: str, given) -> None:
    assert torch is not None
    if fusion:
        from pair_peer import Pair

        net = Pair(fusion, pair.WORDS)
    else:
        net = tutorial.network()
    step = peer.trainer(net, tutorial.loss_of(given, False))
    step()
    step()
