"""Training to an accuracy on MNIST match, in a process of its own: what row 4 times."""

import time

import captions
import made_up

AIM, EVERY, MOST = 0.9879, 107, 4280  # test accuracy; steps between evaluations, and at most


def run(side: str, settings: dict) -> dict:
    """Adam at a constant rate, the test split measured every quarter of an epoch."""
    from mmjax.devices import parallel

    parallel.keep_memory()
    parallel.request_host_devices(made_up.BATCH, None)
    task = captions.Task("mnist", settings["manual_dir"], settings["data_dir"])
    begin = time.perf_counter()
    train, measure = (_theirs if side == "PyTorch" else _ours)(task, settings["seed"])
    reached = []
    for _ in range(MOST // EVERY):
        train()
        reached.append(measure())
        if reached[-1] >= AIM:
            break
    else:
        raise SystemExit(f"{AIM:.2%} was not reached in {MOST} steps: {reached[-5:]}")
    seconds = time.perf_counter() - begin
    return {"steps": EVERY * len(reached), "accuracy": reached[-1], "training": seconds}


def _ours(task: captions.Task, seed: int):
    import captions_steps
    import tutorial

    import mmjax
    from mmjax.devices import compilation_cache, parallel
    from mmjax.evaluation.evaluator import Evaluator
    from mmjax.runs import folder

    compilation_cache.enable()
    train, now = captions_steps.in_one_call(task, EVERY, seed)
    experiment = mmjax.Experiment(
        model=tutorial.model(), objectives=tutorial.OBJECTIVES, data=task.data,
        optim=tutorial.OPTIM, steps=1,
    )  # fmt: skip
    evaluate = Evaluator(
        experiment, task.preprocessing, parallel.choose(tutorial.BATCH), folder.CHUNK
    )
    return train, lambda: evaluate(now[0].variables, "test")["match/accuracy"]


def _theirs(task: captions.Task, seed: int):
    import captions_peer
    import peer
    import tutorial_peer

    torch = peer.torch
    assert torch is not None
    net = tutorial_peer.network(channels=1, seed=seed).to(memory_format=torch.channels_last)
    stream, given = captions_peer.loader(task, 0, seed), []
    step = peer.trainer(net, lambda net: captions_peer.loss_of(given[0], True)(net), made_up.LR)
    test = captions_peer.test_split(task)

    def train() -> None:
        for _ in range(EVERY):
            given[:] = [next(stream)]
            step()

    def measure() -> float:
        right = 0
        with torch.inference_mode():
            for image, words, last, labels in test:
                image = image.contiguous(memory_format=torch.channels_last)
                right += int(((net(image, words, last) > 0) == (labels > 0.5)).sum())
        return right / sum(len(labels) for *_, labels in test)

    return train, measure
