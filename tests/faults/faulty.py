"""experiments/digits_match.py with a fault in it, as the environment asks.

FAULT: raise, sleep (in the process FAULT_ONLY, at step FAULT_STEP) or slow (every checkpoint).
"""

import os
import runpy
import sys
import time
from pathlib import Path

from orbax.checkpoint import CheckpointManager

from mmjax.train.loop.meter import Meter
from tests.faults.trainee import ROOT


def fault(read):
    """`Meter.read`, which fails at one step."""

    def faulty(self, step, sums, ids):
        mine = os.environ["FAULT_PROCESS"] == os.environ.get("FAULT_ONLY", "0")
        if mine and step == int(os.environ["FAULT_STEP"]):
            if os.environ["FAULT"] == "raise":
                raise RuntimeError("an ordinary exception")
            Path(os.environ["FAULT_MARK"]).touch()
            time.sleep(10**6)
        read(self, step, sums, ids)

    return faulty


if __name__ == "__main__":
    if os.environ["FAULT"] == "slow":
        finalise = CheckpointManager._finalize

        def slowly(self, *arguments):
            time.sleep(1.0)
            finalise(self, *arguments)

        CheckpointManager._finalize = slowly
    else:
        Meter.read = fault(Meter.read)
    sys.argv[0] = str(ROOT / "experiments" / "digits_match.py")
    runpy.run_path(sys.argv[0], run_name="__main__")
