"""The log of a run: metrics.jsonl, a progress bar or plain lines, and trackers on request."""

import json
import math
import os
import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mmjax.errors import UserError
from mmjax.io import json_file
from mmjax.runs.trackers import Tracker

FILE = "metrics.jsonl"


class Log:
    """Writes one JSON line per record, flushed at once.

    On a terminal a progress bar shows loss, speed and remaining time; elsewhere each record is a
    plain line. A run that is resumed at step `start` removes later records first.
    """

    def __init__(
        self,
        run: Path,
        steps: int,
        *,
        start: int,
        mark: Mapping[str, Any] | None = None,
        trackers: Sequence[Callable[[], Tracker]] = (),
        silent: bool = False,
    ) -> None:
        """`mark`: the log's `mark` at step `start`; `silent`: write nothing, open no tracker."""
        self._silent = silent
        self._trackers = [] if silent else [tracker() for tracker in trackers]
        path = run / FILE
        kept = "" if silent else _kept(path, start, mark)
        self._bytes, self._crc32 = len(kept.encode()), zlib.crc32(kept.encode())
        if not silent:
            json_file.write_text(path, kept)
        self._file = Path(os.devnull if silent else path).open("a", encoding="utf-8")  # noqa: SIM115
        if start and not silent:
            done = "all done: measuring again" if start >= steps else "going on"
            print(f"step {start} of {steps}: {done}", file=sys.stderr)
        show = sys.stderr.isatty() and not silent
        self._bar = tqdm(total=steps, initial=start, unit="step", disable=not show, leave=False)

    @property
    def mark(self) -> dict[str, Any]:
        """Length and checksum of the file so far."""
        return {"bytes": self._bytes, "crc32": f"{self._crc32:08x}"}

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()
        self._file.close()
        for tracker in self._trackers:
            tracker.close()

    def advance(self) -> None:
        """Move the progress bar by one step."""
        self._bar.update()

    def say(self, text: str) -> None:
        """Print a line to stderr, above the progress bar."""
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
        for tracker in self._trackers:
            tracker.add(record)
        brief = {k: v for k, v in record.items() if k.split("/")[-1] in ("loss", "accuracy")}
        words = [f"{name} {value:.4f}" for name, value in brief.items()]
        if speed := record.get("examples_per_second"):
            words.append(f"{speed:.0f} examples/s")
        if self._bar.disable or record["split"] != "train":
            self.say(f"step {record['step']:>6}  {record['split']:<10}  " + "  ".join(words))
        else:
            self._bar.set_postfix_str("  ".join(words), refresh=False)


def read(path: Path) -> list[dict[str, Any]]:
    """The records of a metrics.jsonl; null is read as NaN, an incomplete last line is dropped.

    Raises:
        UserError: another line is not a record; names file and line.
    """
    records = []
    lines = path.read_bytes().splitlines()
    for number, line in enumerate(lines, 1):
        record = _record(line)
        if record is not None:
            records.append({k: math.nan if v is None else v for k, v in record.items()})
        elif number < len(lines):
            raise UserError(f"{path}:{number}: expected a JSON object with a step, got {line[:40]}")
    return records


def _line(record: Mapping[str, Any]) -> str:
    content = json_file.plain(record)
    return json.dumps(content | {json_file.CHECKSUM: json_file.checksum(content)}) + "\n"


def _record(line: bytes, *, checked: bool = False) -> dict[str, Any] | None:
    """The record of a line; None if it is damaged, or without a checksum where that is needed."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or type(record.get("step")) is not int:
        return None
    checksum = record.pop(json_file.CHECKSUM, None)
    if checksum is None:
        return None if checked else record
    return record if checksum == json_file.checksum(record) else None


def _kept(path: Path, start: int, mark: Mapping[str, Any] | None) -> str:
    """The log up to step `start`, byte for byte.

    Where it differs from its mark, its readable lines; the damaged file is kept under another name.
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
    records = (_record(line, checked=mark is not None) for line in content.splitlines())
    return "".join(_line(record) for record in records if record and record["step"] <= start)
