"""Store a small run of today's version, for every later version to read.

`python -m tests.stored.store` writes tests/stored/<version>-<format of config.json>.tar.xz. Do it
whenever a format changes, and keep the old ones.
"""

import json
import tarfile
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np

import mmjax
from mmjax.config import storage
from mmjax.data.datasets import DigitsMatch
from mmjax.train.loop.fit import fit
from tests.config.experiments import small

HERE = Path(__file__).parent
ANSWERS = "answers.json"


def examples() -> dict[str, list[Any]]:
    """What every stored run is asked: a picture with a text, and each of them alone."""
    picture = (np.arange(64, dtype=np.uint8) * 3).reshape(8, 8, 1)
    return {"image": [picture, None, picture], "text": ["the digit seven", "a seven", None]}


def answers(run: Path) -> list[float]:
    """The run's logits for `examples`."""
    restored = mmjax.restore(run)
    inputs = restored.preprocessing(examples())
    outputs = restored.model.apply(restored.variables, inputs, train=False)
    return np.asarray(jax.device_get(outputs.values["match"]), float).tolist()


def store(data_dir: str) -> Path:
    """Train for six steps, ask, and pack."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        fit(small(data=DigitsMatch(data_dir=data_dir), ema=0.9, devices=1), run)
        content = json.loads((run / "config.json").read_text()) | {"checksum": None}
        content["data"]["data_dir"] = None  # it lay on the disk of whoever stored this
        (run / "config.json").write_text(json.dumps(content, indent=2) + "\n")
        (run / ANSWERS).write_text(json.dumps(answers(run)) + "\n")
        path = HERE / f"{version('mmjax')}-{storage.FORMAT}.tar.xz"
        with tarfile.open(path, "w:xz") as archive:
            archive.add(run, "run", filter=_nameless)
    return path


def _nameless(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Without whose it was and when."""
    if entry.name.endswith(("curves.png", ".lock")):
        return None
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    return entry


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as datasets:
        DigitsMatch(data_dir=datasets).prepare()
        print(store(datasets))
