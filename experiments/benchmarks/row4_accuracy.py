"""Row 4: seconds to 98.79 % test accuracy on MNIST match, from the start of a process."""

import tempfile

import captions
import captions_steps
import peer
import processes
import result
import roofline
import timing
from peer import torch

SEEDS, TARGET = 3, 2.0


def run(options: result.Options) -> list[result.Result]:
    """Cold, and with a cache of compiled programs: the process, the data set's preparation too."""
    if options.fast:
        return [result.Result("4. to 98.79 % on MNIST match", notes=["left out of a fast run"])]
    task = captions.Task("mnist", options.manual_dir, options.data_dir)
    settings = {"manual_dir": options.manual_dir, "data_dir": options.data_dir}
    whole: dict[str, list[float]] = {"cold": [], "warm": [], "PyTorch": []}
    steps: dict[str, list[int]] = {name: [] for name in whole}
    with tempfile.TemporaryDirectory() as cache:
        processes.child("accuracy", "mmjax", settings | {"seed": 0}, cache)  # fills the cache
        for seed in range(SEEDS):
            for name, side, folder in (
                ("cold", "mmjax", ""), ("PyTorch", "PyTorch", ""), ("warm", "mmjax", cache),
            ):  # fmt: skip
                if side == "PyTorch" and torch is None:
                    continue
                found = processes.child("accuracy", side, settings | {"seed": seed}, folder)
                whole[name].append(found["whole"])
                steps[name].append(found["steps"])
    work = captions_steps.work(task)
    rows = []
    for name in ("cold", "warm"):
        done = work.times(sum(steps[name]))
        rows.append(_row(name, whole, steps))
        rows[-1].limit = roofline.share(done, sum(whole[name]), options.machine)
    return rows


def _row(name: str, whole: dict, steps: dict) -> result.Result:
    row = result.Result(f"4. to 98.79 % on MNIST match, {name}", unit="s")
    row.ours, row.all = timing.spread(whole[name]).median, {k: sum(x) for k, x in whole.items()}
    row.notes = [f"steps: ours {steps[name]}, PyTorch's {steps['PyTorch']}"]
    if not whole["PyTorch"]:
        row.notes = [*row.notes, peer.MISSING]
        return row
    ratio = timing.ratio(whole["PyTorch"], whole[name])
    median = timing.spread(whole["PyTorch"]).median
    row.peers["PyTorch"] = result.Peer(median, "eager channels_last", ratio)
    if name == "warm":
        row.target, row.met = f"at least {TARGET:g}", ratio.median >= TARGET
    return row
