"""The log of a run: metrics.jsonl always, a progress bar or plain lines, TensorBoard when asked."""

import json
import math
import os
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mmjax.errors import MissingPackageError, UserError
from mmjax.io import json_file

FILE = "metrics.jsonl"


class Log:
    """One JSON line per record, on disk as soon as it is written.

    On a terminal a bar shows progress, loss, speed and the time left; elsewhere each record is a
    plain line. A run that goes on from `start` first forgets what was logged after that step.
    """

    def __init__(
        self,
        run: Path,
        steps: int,
        *,
        start: int,
        mark: Mapping[str, Any] | None = None,
        tensorboard: bool = False,
        silent: bool = False,
    ) -> None:
        """`mark`: of the log when the state of step `start` was saved. `silent`: write nothing."""
        self._silent = silent
        self._events = _events(run, start) if tensorboard and not silent else None
        path = run / FILE
        kept = b"" if silent else _kept(path, start, mark).encode()
        self._bytes, self._crc32 = len(kept), zlib.crc32(kept)
        if not silent:
            json_file.write_text(path, kept.decode())
        self._file = Path(os.devnull if silent else path).open("a", encoding="utf-8")  # noqa: SIM115
        if start and not silent:
            done = "all done: measuring again" if start >= steps else "going on"
            print(f"step {start} of {steps}: {done}", file=sys.stderr)
        show = sys.stderr.isatty() and not silent
        self._bar = tqdm(total=steps, initial=start, unit="step", disable=not show, leave=False)

    @property
    def mark(self) -> dict[str, Any]:
        """Of what has been written so far."""
        return {"bytes": self._bytes, "crc32": f"{self._crc32:08x}"}

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
        if self._silent:
            return
        line = _line(record)
        self._file.write(line)
        self._file.flush()
        self._bytes += len(line.encode())
        self._crc32 = zlib.crc32(line.encode(), self._crc32)
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
    """The records of a metrics.jsonl; a number that is not defined (null) is NaN.

    A last line torn by a crash is dropped.

    Raises:
        UserError: another line is no record; names file and line.
    """
    records = []
    lines = path.read_bytes().splitlines()
    for number, line in enumerate(lines, 1):
        found = _record(line)
        if found is not None:
            records.append({k: math.nan if value is None else value for k, value in found.items()})
        elif number < len(lines):
            raise UserError(f"{path}:{number}: expected a JSON object with a step, got {line[:40]}")
    return records


def _line(record: Mapping[str, Any]) -> str:
    """With a checksum of its own: a changed digit is still JSON."""
    content = json_file.plain(record)
    return json.dumps(content | {json_file.CHECKSUM: json_file.checksum(content)}) + "\n"


def _record(line: bytes, *, sure: bool = False) -> dict[str, Any] | None:
    """What `_line` was given, null for NaN, or None; when `sure`, not without its checksum."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or type(found.get("step")) is not int:
        return None
    checksum = found.pop(json_file.CHECKSUM, None)
    if checksum is None:
        return None if sure else found
    return found if checksum == json_file.checksum(found) else None


def _kept(path: Path, start: int, mark: Mapping[str, Any] | None) -> str:
    """What was logged up to step `start`, byte for byte; what can be read of it if it is damaged.

    The damaged file is kept under another name.
    """
    if not path.exists() or not start:
        return ""
    content = path.read_bytes()
    if mark is not None:
        head = content[: mark["bytes"]]
        if len(head) == mark["bytes"] and f"{zlib.crc32(head):08x}" == mark["crc32"]:
            return head.decode()
        aside = path.with_suffix(".damaged")
        aside.write_bytes(content)
        print(
            f"{path} is not what this run wrote up to step {start}: it is kept as {aside.name}, "
            "and what can be read of it goes on",
            file=sys.stderr,
        )
    read = (_record(line, sure=mark is not None) for line in content.splitlines())
    return "".join(_line(record) for record in read if record and record["step"] <= start)


def _events(run: Path, start: int) -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise MissingPackageError(
            "--tensorboard needs an extra: pip install 'mmjax[tensorboard]'"
        ) from error
    folder = run / "tensorboard"
    before = set(folder.glob("*"))
    writer = SummaryWriter(str(folder), purge_step=start + 1)
    for path in set(folder.glob("*")) - before:
        # It is called after the machine, which is nobody's business; it is open, and stays so.
        path.rename(folder / f"events.out.tfevents.{start}.{len(before)}")
    return writer
