"""Row 8: import, help, and from the start of a process to the end of its first step."""

import functools
import sys
import tempfile
from collections.abc import Callable, Iterator

import peer
import processes
import result
import timing
from peer import torch

IMPORT, HELP, WARM = 2.0, 0.6, 0.4  # seconds, seconds, share of a cold start


def run(options: result.Options) -> Iterator[result.Result]:
    """Whole processes, the interpreter's own start included."""
    rounds, few = (3, 1) if options.fast else (15, 7)
    python = [sys.executable]
    nothing = "import sys"
    calls = {
        "mmjax": _python("import mmjax"),
        "names": _python("import mmjax; mmjax.Multimodal, mmjax.encoders.Lstm, mmjax.train_step"),
        "PyTorch": _python("import torch"),
        "help": lambda: processes.timed([*python, "-m", "mmjax", "--help"]),
        "nothing": _python(nothing),
    }
    if torch is None:
        del calls["PyTorch"]
    seconds = timing.alternate(calls, rounds=rounds, warm=1)
    bare = f"Python alone {timing.spread(seconds['nothing']).median:.2f} s"
    alone = {"mmjax": seconds["mmjax"]}
    yield _line("8. import mmjax, lazily", alone, "mmjax", IMPORT, [bare])
    yield _line("8. import, network and step loaded", seconds, "names", IMPORT, [bare])
    yield _line("8. mmjax --help", {"help": seconds["help"]}, "help", HELP, [bare])
    yield from _first_step(few)


def _python(code: str) -> Callable[[], object]:
    return functools.partial(processes.timed, [sys.executable, "-c", code])


def _line(name: str, seconds: dict, ours: str, most: float, notes: list[str]) -> result.Result:
    found = result.Result(name, unit="s", notes=notes, target=f"under {most:g} s")
    found.ours = timing.spread(seconds[ours]).median
    found.met = found.ours < most
    if "PyTorch" in seconds:
        found.peers["PyTorch"] = _peer(seconds, ours)
    return found


def _peer(seconds: dict, ours: str, how: str = "") -> result.Peer:
    theirs = seconds["PyTorch"]
    return result.Peer(timing.spread(theirs).median, how, timing.ratio(theirs, seconds[ours]))


def _first_step(rounds: int) -> list[result.Result]:
    """Cold with no cache of programs, warm with one; PyTorch eager, which compiles nothing."""
    with tempfile.TemporaryDirectory() as cache:
        calls = {
            "cold": lambda: processes.child("step", "mmjax"),
            "warm": lambda: processes.child("step", "mmjax", cache=cache),
            "PyTorch": lambda: processes.child("step", "PyTorch"),
        }
        if torch is None:
            del calls["PyTorch"]
        seconds = timing.alternate(calls, rounds=rounds, warm=1)  # which fills the cache
    share = timing.ratio(seconds["warm"], seconds["cold"])
    note = [] if torch is not None else [peer.MISSING]
    rows = []
    for name in ("cold", "warm"):
        row = result.Result(f"8. start to first step, {name}", unit="s", notes=list(note))
        row.ours = timing.spread(seconds[name]).median
        if "PyTorch" in seconds:
            row.peers["PyTorch"] = _peer(seconds, name, "eager")
        rows.append(row)
    rows[1].target, rows[1].met = f"under {WARM:.0%} of cold", share.median < WARM
    rows[1].notes = [*note, f"{share.text()} of the cold start"]
    return rows
