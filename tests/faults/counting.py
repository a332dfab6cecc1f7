"""experiments/digits_match.py that writes down which examples it has read.

READS: a folder; in it every process leaves `<number>.json`, a list of [split's length, whether to
train, positions].
"""

import json
import os
import runpy
import sys
from pathlib import Path

from mmjax.data.datasets.match import MatchSource
from tests.faults.trainee import ROOT

if __name__ == "__main__":
    seen, read = [], MatchSource.read

    def counting(self, indices, rng, own=slice(None)):
        seen.append((len(self), rng is not None, indices[own].tolist()))
        return read(self, indices, rng, own)

    MatchSource.read = counting
    sys.argv[0] = str(ROOT / "experiments" / "digits_match.py")
    runpy.run_path(sys.argv[0], run_name="__main__")
    path = Path(os.environ["READS"]) / f"{os.environ['FAULT_PROCESS']}.json"
    path.write_text(json.dumps(seen))
