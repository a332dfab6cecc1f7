"""What is measured from the start of a process: run by rows 4, 7 and 8, not by hand.

    python child.py step|memory|accuracy mmjax|PyTorch [json settings]

Prints one JSON object: seconds since this file began to run, and what was asked for.
"""

import json
import sys
import time

BEGIN = time.perf_counter()


def step(side: str, settings: dict) -> dict:
    """One training step of the tutorial's network, to its loss."""
    del settings
    import tutorial

    given = tutorial.batch()
    if side == "PyTorch":
        import peer

        loss = peer.trainer(tutorial.network(), tutorial.loss_of(given, True), tutorial.LR)()
    else:
        from mmjax import parallel

        _, sums = _ours(parallel)(given)
        loss = float(sums["match/loss"].mean())
    return {"loss": loss}


def _ours(parallel):
    """A step of ours as users get it: pmap over the cores, programs kept in the cache folder."""
    import tutorial

    from mmjax.train import cache

    cache.enable()
    parallel.request_host_devices(tutorial.BATCH, None)
    mesh = parallel.choose(tutorial.BATCH)
    update = parallel.WRAPPERS["pmap"](tutorial.step(), mesh, donate=True)
    return lambda given: update(parallel.replicate(tutorial.state(given), mesh), given)


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
