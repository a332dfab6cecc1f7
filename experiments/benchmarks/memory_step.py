"""The most memory of a process that trains two steps: what row 7 reads."""

import functools
import resource
from pathlib import Path

import made_up


def run(side: str, settings: dict) -> dict:
    """MB before the network is made and at most; ours with what the compiler plans for a step."""
    fusion, accumulate, remat = settings["fusion"], settings["accumulate"], settings["remat"]
    if side == "PyTorch":
        before, planned = _theirs(fusion), None
    else:
        before, planned = _ours(fusion, accumulate, remat)
    return {"before": before, "peak": _peak(), "planned": planned}


def _peak() -> float:
    """MB. Linux's ru_maxrss begins with that of the process that started this one."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM:"))
        return int(line.split()[1]) / 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def _ours(fusion: str, accumulate: int, remat: bool) -> tuple[float, float]:
    import jax
    import pair
    import tutorial

    import mmjax
    from mmjax.devices import parallel
    from mmjax.layers.tracing.rematerialisation import rematerialising
    from mmjax.train.step import gradient

    parallel.keep_memory()
    mesh, before = parallel.mesh_of(1), _peak()
    given = tutorial.batch(made_up.larger(32) if fusion else made_up.pairs())
    model = pair.model(fusion) if fusion else tutorial.model()
    step = tutorial.step(model=model, rule=gradient.accumulated(accumulate))
    state = mmjax.create_state(model, tutorial.tx(), given, seed=0)
    options = parallel.compiler_options(mesh)
    compiled = jax.jit(
        functools.partial(step, axis=None), donate_argnums=0, compiler_options=options
    )
    with rematerialising(remat):
        ready = compiled.lower(state, given).compile()
    analysis = ready.memory_analysis()
    planned = float("nan") if analysis is None else analysis.temp_size_in_bytes / 1e6
    state = parallel.replicate(state, mesh)
    for _ in range(2):
        state, sums = ready(state, given)
    jax.block_until_ready((state, sums))
    return before, planned


def _theirs(fusion: str) -> float:
    import pair_peer
    import peer
    import tutorial_peer

    before = _peak()
    given = made_up.larger(32) if fusion else made_up.pairs()
    net = pair_peer.network(fusion) if fusion else tutorial_peer.network()
    step = peer.trainer(net, tutorial_peer.loss_of(given, False))
    step()
    step()
    return before
