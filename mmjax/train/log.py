"""The log of a run: metrics.jsonl always, a progress bar or plain lines, TensorBoard when asked."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm

FILE = "metrics.jsonl"


class Log:
    """One JSON line per record, on disk as soon as it is written.

    On a terminal a bar shows progress, loss, speed and the time left; elsewhere each record is a
    plain line. A run that goes on from `start` first forgets what was logged after that step.
    """

    def __init__(self, run: Path, steps: int, *, start: int, tensorboard: bool = False) -> None:
        self._events = _events(run, start) if tensorboard else None
        path = run / FILE
        kept = [record for record in read(path) if record["step"] <= start] if path.exists() else []
        text = "".join(json.dumps(record) + "\n" for record in kept)
        temporary = path.with_suffix(".tmp")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
        self._file = path.open("a", encoding="utf-8")
        if start:
            done = "all done: measuring again" if start >= steps else "going on"
            print(f"step {start} of {steps}: {done}", file=sys.stderr)
        self._bar = tqdm(
            total=steps, initial=start, unit="step", disable=not sys.stderr.isatty(), leave=False
        )

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()
        self._file.close()
        if self._events is not None:
            self._events.close()

    def advance(self) -> None:
        """One step more."""
        self._bar.update()

    def say(self, text: str) -> None:
        """A line for the reader, above the bar."""
        self._bar.write(text, file=sys.stderr)

    def record(self, record: Mapping[str, Any]) -> None:
        """Write one record: `step`, `split` and numbers."""
        self._file.write(json.dumps(record) + "\n")
        self._file.flush()
        if self._events is not None:
            for name, value in record.items():
                if isinstance(value, float):
                    self._events.add_scalar(f"{record['split']}/{name}", value, record["step"])
        brief = {k: v for k, v in record.items() if k.split("/")[-1] in ("loss", "accuracy")}
        speed = record.get("examples_per_second")
        shown = [f"{name} {value:.4f}" for name, value in brief.items()]
        shown += [f"{speed:.0f} examples/s"] if speed else []
        if self._bar.disable or record["split"] != "train":
            self.say(f"step {record['step']:>6}  {record['split']:<10}  " + "  ".join(shown))
        else:
            self._bar.set_postfix_str("  ".join(shown), refresh=False)


def read(path: Path) -> list[dict[str, Any]]:
    """The records of a metrics.jsonl; a last line torn by a crash is dropped."""
    records = []
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError as error:
            if number < len(lines):
                raise ValueError(
                    f"{path}:{number}: expected a JSON object, got {line[:40]!r}"
                ) from error
    return records


def _events(run: Path, start: int) -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise ModuleNotFoundError(
            "--tensorboard needs an extra: pip install 'mmjax[tensorboard]'"
        ) from error
    return SummaryWriter(str(run / "tensorboard"), purge_step=start + 1)
