"""200,000 steps of a tiny model: no growth of memory, and none of open files.

`python tests/faults/campaign.py endurance`
"""

import os
import tempfile
import threading
from pathlib import Path

import numpy as np

from mmjax.data.datasets import DigitsMatch
from mmjax.runs import log
from mmjax.train.loop.fit import fit
from tests.config.experiments import small
from tests.faults.row import Row

WARM = 0.1  # of the samples: what starting takes does not count


def endure(data_dir: str, steps: int = 200_000) -> Row:
    """The slope of the resident memory over the steps, and the open files at start and end."""
    experiment = small(
        data=DigitsMatch(data_dir=data_dir),
        steps=steps,
        batch_size=2,
        devices=1,
        eval_every=max(steps // 20, 1),
        log_every=max(steps // 200, 1),
    )
    samples: list[tuple[int, int, int]] = []
    over = threading.Event()
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        watcher = threading.Thread(target=_sample, args=(run / log.FILE, samples, over))
        watcher.start()
        try:
            fit(experiment, run)
        finally:
            over.set()
            watcher.join()
    kept = np.array(samples[int(WARM * len(samples)) :], float)
    slope = float(np.polyfit(kept[:, 0], kept[:, 1], 1)[0])
    files = int(kept[-1, 2] - kept[0, 2])
    bounded = slope * steps < 0.1 * kept[0, 1]  # less than a tenth more at the end
    remark = (
        f"{slope:+.1f} bytes a step from {kept[0, 1] / 2**20:.0f} MiB, "
        f"{files:+d} open files in {len(kept)} samples"
    )
    return Row(f"{steps:,} steps", 1, int(bounded and files <= 2), remark)


def _sample(path: Path, samples: list[tuple[int, int, int]], over: threading.Event) -> None:
    """(step, resident bytes, open files) whenever the log has a new line."""
    page = os.sysconf("SC_PAGE_SIZE")
    seen = 0
    while not over.wait(0.5):
        found = log.read(path) if path.exists() else []
        if len(found) > seen:
            seen = len(found)
            resident = int(Path("/proc/self/statm").read_text().split()[1]) * page
            samples.append((found[-1]["step"], resident, len(os.listdir("/proc/self/fd"))))
