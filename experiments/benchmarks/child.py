"""What is measured from the start of a process: run by rows 4, 7 and 8, not by hand.

    python child.py step|memory|accuracy mmjax|PyTorch [json settings]

Prints one JSON object: seconds since this file began to run, and what was asked for. A side does
not import the other's framework.
"""

import json
import sys
import time

BEGIN = time.perf_counter()


def step(side: str, settings: dict) -> dict:
    """One training step of the tutorial's network, to its loss."""
    del settings
    import made_up

    given = made_up.pairs()
    return {"loss": _theirs(given) if side == "PyTorch" else _ours(given)}


def _theirs(given) -> float:
    import made_up
    import peer
    import tutorial_peer

    loss = tutorial_peer.loss_of(given, True)
    return peer.trainer(tutorial_peer.network(), loss, made_up.LR)()


def _ours(given) -> float:
    """As users get it: pmap over the cores, programs kept in the cache folder."""
    import tutorial

    from mmjax import MetricName
    from mmjax.devices import compilation_cache, parallel

    compilation_cache.enable()
    parallel.keep_memory()
    parallel.request_host_devices(tutorial.BATCH, None)
    mesh, batch = parallel.choose(tutorial.BATCH), tutorial.batch(given)
    update = parallel.WRAPPERS["pmap"](tutorial.step(), mesh, donate=True)
    _, sums = update(parallel.replicate(tutorial.state(batch), mesh), batch)
    return float(sums[MetricName("match", "loss")].mean())


def memory(side: str, settings: dict) -> dict:
    """The most memory of a process that makes two steps, before and after."""
    import memory_step

    return memory_step.run(side, settings)


def accuracy(side: str, settings: dict) -> dict:
    """The time to a test accuracy on MNIST match."""
    import accuracy_run

    return accuracy_run.run(side, settings)


if __name__ == "__main__":
    found = {"step": step, "memory": memory, "accuracy": accuracy}[sys.argv[1]](
        sys.argv[2], json.loads(sys.argv[3]) if len(sys.argv) > 3 else {}
    )
    print(json.dumps(found | {"seconds": time.perf_counter() - BEGIN}))
