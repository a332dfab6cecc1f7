"""Thousands of broken files against the package's readers: a value or an error, and nothing else.

    python tests/faults/hostile.py --count 2000 --seed 0

takes half a minute on two cores. Each file is read in a process that may take 5 s, and 1 GB more
than it had. What is a fault is kept in a folder, and said, and makes the exit code 1.
"""

import argparse
import contextlib
import multiprocessing
import resource
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random

if __name__ == "__main__":  # a script finds what is beside it, not the root of the repository
    sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.faults.kinds import KINDS, Kind, outcome, write
from tests.faults.mutation import mutated
from tests.faults.row import Row
from tests.faults.special import SPECIAL

SECONDS = 5.0  # of computing; a process that does not answer has twice as many by the clock
BYTES = 1_000_000_000
# What no reader of data has a reason to do.
FORBIDDEN = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen")
FORBIDDEN += ("pickle.find_class", "socket.connect", "os.remove", "os.rename", "os.mkdir")
FORBIDDEN += ("exec", "import")
# Imports, which are watched themselves, and cattrs, which makes functions from our own classes.
MAKERS = ("importlib._bootstrap", "_frozen_importlib", "cattrs")


def cases(count: int, seed: int) -> Iterator[tuple[str, str, bytes]]:
    """(kind, name, content): every special file, and mutations until there are so many."""
    for name, (kind, content, _) in SPECIAL.items():
        yield kind, name, content()
    yield from mutations(count - len(SPECIAL), seed)


def mutations(count: int, seed: int) -> Iterator[tuple[str, str, bytes]]:
    """Of good files of each kind in turn."""
    names = list(KINDS)
    for number in range(count):
        kind = names[number % len(names)]
        random = Random(f"{seed}/{kind}/{number}")
        content = KINDS[kind].packed(mutated(KINDS[kind].good(), random))
        yield kind, f"mutation-{seed}-{number}", content


class Watch:
    """Notes when code is run or something is written, by Python's own audit events."""

    def __init__(self) -> None:
        self.on, self.seen = False, ""
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple) -> None:
        if not self.on:
            return
        if event == "exec" and sys._getframe(1).f_globals.get("__name__", "").startswith(MAKERS):
            return
        if event == "import" and arguments[0].startswith(
            ("mmjax", "PIL", "scipy", "numpy", "encodings")
        ):
            return
        written = (
            event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
        )
        if written or event in FORBIDDEN:
            self.seen = self.seen or f"{event} {arguments!r:.200}"

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        self.on, self.seen = True, ""
        try:
            yield
        finally:
            self.on = False


def _peak() -> int:
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def work(connection: Connection, kinds: Mapping[str, Kind] | None) -> None:
    """Answers (kind, path) with what became of it, until the other end is closed."""
    kinds = kinds or KINDS
    warnings.simplefilter("error")
    watch = Watch()
    for kind in kinds.values():  # what is loaded on demand counts for none of the files
        with tempfile.TemporaryDirectory() as folder, contextlib.suppress(Exception):
            outcome(kind, write(kind, kind.packed(kind.good()[0]), Path(folder)))
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + 4 * BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    connection.send("ready")
    while True:
        try:
            kind, path = connection.recv()
        except EOFError:
            return
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        before, begun = _peak(), time.process_time()
        try:
            with watch():
                found = outcome(kinds[kind], path)
        except BaseException as error:  # whatever it is, it is the finding
            found = f"{type(error).__name__}: {error}"[:300]
        if (grown := _peak() - before) > BYTES:
            found = f"{grown:,} bytes of memory"
        if (taken := time.process_time() - begun) > SECONDS:
            found = f"{taken:.1f} s"
        connection.send(watch.seen or found)


class Reader:
    """A process that reads files, and another one when it ends or takes too long."""

    def __init__(self, kinds: Mapping[str, Kind] | None = None) -> None:
        self._kinds = kinds
        self._process = None

    def __call__(self, kind: str, path: Path) -> str:
        if self._process is None or not self._process.is_alive():
            context = multiprocessing.get_context("spawn")
            self._connection, theirs = context.Pipe()
            self._process = context.Process(target=work, args=(theirs, self._kinds), daemon=True)
            self._process.start()
            theirs.close()
            self._connection.recv()
        self._connection.send((kind, path))
        try:
            if self._connection.poll(2 * SECONDS):
                return self._connection.recv()
            found = f"no answer within {2 * SECONDS:.0f} s"
            self._process.kill()
        except EOFError:
            self._process.join(SECONDS)
            found = f"the process ended with {self._process.exitcode}"
        self._process.join()
        self._process = None
        return found


def read_all(count: int, seed: int) -> tuple[Counter, Path | None]:
    """{(kind, legal | error | fault): files}, and the folder with those that were faults."""
    reader, counts, kept = Reader(), Counter(), None
    with tempfile.TemporaryDirectory() as folder:
        for kind, name, content in cases(count, seed):
            place = Path(folder) / kind
            place.mkdir(exist_ok=True)
            path = write(KINDS[kind], content, place)
            found = reader(kind, path)
            counts[kind, found if found in ("legal", "error") else "fault"] += 1
            if found not in ("legal", "error"):
                kept = kept or Path(tempfile.mkdtemp(prefix="faults-"))
                (kept / f"{kind}-{name}-{path.name}").write_bytes(content)
                print(f"{kind} {name}: {found}", flush=True)
    return counts, kept


def hostile(count: int, seed: int = 0) -> Row:
    """All kinds in one line."""
    counts, _ = read_all(count, seed)
    by = {what: sum(n for (_, f), n in counts.items() if f == what) for what in ("legal", "error")}
    remark = f"{by['legal']} legal, {by['error']} clear errors, {len(KINDS)} kinds"
    return Row("hostile files", count, sum(by.values()), remark)


def main() -> int:
    """Prints a table; the number of faults decides the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    counts, kept = read_all(options.count, options.seed)
    print(f"{'kind':<14}{'files':>8}{'legal':>8}{'errors':>8}{'faults':>8}")
    for kind in (*KINDS, None):
        numbers = [
            sum(n for (k, f), n in counts.items() if kind in (k, None) and f in wanted)
            for wanted in (("legal", "error", "fault"), ("legal",), ("error",), ("fault",))
        ]
        print(f"{kind or 'all':<14}" + "".join(f"{number:>8}" for number in numbers))
    if kept:
        print(f"seed {options.seed}; the files are in {kept}")
    return 1 if kept else 0


if __name__ == "__main__":
    sys.exit(main())
