"""Saved on 1 device, 8 devices or 2 processes: restored on each of them."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from mmjax.runs import checkpoint_reader
from tests.faults.kills import trainee
from tests.faults.row import Row
from tests.faults.trainee import ROOT, outcome, same

PLACES = ("jit, 1 device", "pmap, 8 devices", "pmap, 2 processes")
TOLERANCE = 1e-6


def hardware(data_dir: str) -> list[Row]:
    """Every pair of places: the same evaluation, and a training that goes on from there."""
    tried, went_on, same_bits = 0, 0, 0
    metrics: dict[tuple[str, str], dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        runs = {}
        for place in PLACES:
            saved = trainee(place, Path(folder) / place.replace(" ", "_"), data_dir)
            saved.finish()
            runs[place] = saved.run
        for saved, run in runs.items():
            for devices in (1, 8):
                metrics[saved, str(devices)] = evaluated(run, devices)
            for place in PLACES:
                tried += 1
                other = trainee(place, Path(folder) / "other", data_dir)
                shutil.copytree(run, other.run)
                shutil.rmtree(other.run / checkpoint_reader.FOLDER / "60")
                (other.run / "results.json").unlink()
                other.finish()
                went_on += checkpoint_reader.steps(other.run)[-1] == 60
                same_bits += place == saved and same(outcome(other.run), outcome(run))
                shutil.rmtree(other.run)
    evaluations = [(metrics[saved, "1"], metrics[saved, "8"]) for saved in PLACES]
    differences = [abs(a[name] - b[name]) for a, b in evaluations for name in a]
    close = sum(all(abs(a[n] - b[n]) <= TOLERANCE for n in a) for a, b in evaluations)
    return [
        Row("saved in 3 places, evaluated on 1 and 8 devices", 3, close,
            f"largest difference {max(differences):.1g}"),
        Row("saved in each, trained on in each", tried, went_on, ", ".join(PLACES)),
        Row("... and bit for bit in its own place", len(PLACES), same_bits),
    ]  # fmt: skip


def evaluated(run: Path, devices: int) -> dict[str, float]:
    """`mmjax evaluate` on so many devices."""
    command = [sys.executable, "-m", "mmjax", "evaluate", str(run), "--json"]
    flags = {"XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"}
    done = subprocess.run(
        command, env=os.environ | flags | {"PYTHONPATH": str(ROOT)}, text=True,
        capture_output=True, check=True, cwd=ROOT,
    )  # fmt: skip
    return json.loads(done.stdout)
