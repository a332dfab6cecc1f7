"""Fuzzing of every reader of a foreign file, guided by coverage where atheris is installed.

    pip install atheris
    python tests/faults/fuzz.py png --seconds 600
    python tests/faults/fuzz.py all --seconds 600

What crashes a reader is kept as <folder>/<target>-crash-..., which `--reproduce FILE` reads again;
then the process ends with an exit code that is not 0, and `all` goes on with the next target.
"""

import argparse
import importlib
import inspect
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

if __name__ == "__main__":  # a script finds what is beside it, not the root of the repository
    sys.path.insert(0, str(Path(__file__).parents[2]))

SECONDS = 5  # of computing: on a machine that others use, the clock says nothing
# Pure Python on the way of a foreign file: packages that are instrumented whole, and modules whose
# packages would take a minute.
PACKAGES = [
    "mmjax.data",
    "mmjax.config",
    "mmjax.weights",
    "mmjax.train",
    "mmjax.io.json_file",
    "PIL",
]
MODULES = ["numpy.lib._format_impl", "scipy.io.wavfile", "json.decoder", "json.scanner", "gzip"]


def targets() -> list[str]:
    """One for each kind of file."""
    from tests.faults.kinds import KINDS

    return list(KINDS)


def read(target: str, content: bytes, folder: Path) -> str:
    """`legal` or `error`; raises what no reader should raise."""
    from tests.faults.kinds import KINDS, outcome, write

    kind = KINDS[target]
    begun = time.process_time()
    found = outcome(kind, write(kind, kind.packed(content), folder))
    if (taken := time.process_time() - begun) > SECONDS:
        raise TimeoutError(f"{target}: {taken:.1f} s")
    return found


def blind(target: str, folder: Path, *, seconds: float, seed: int = 0) -> int:
    """How many mutations were read in so many seconds; one that is a fault is kept and raised."""
    from tests.faults.kinds import KINDS
    from tests.faults.mutation import mutated

    goods, count, end = KINDS[target].good(), 0, time.monotonic() + seconds
    while time.monotonic() < end:
        content = mutated(goods, Random(f"{seed}/{target}/{count}"))
        try:
            read(target, content, folder)
        except BaseException:
            (folder / f"{target}-crash-{seed}-{count}").write_bytes(content)
            raise
        count += 1
    return count


def guided(target: str, folder: Path, *, seconds: float, atheris: Any) -> None:
    """libFuzzer's loop, which ends the process. Half of its mutations are ours."""
    from tests.faults.kinds import KINDS
    from tests.faults.mutation import mutated

    goods = KINDS[target].good()
    corpus = folder / "corpus"
    corpus.mkdir(exist_ok=True)
    for number, content in enumerate(goods):
        (corpus / f"good-{number}").write_bytes(content)

    def one(content: bytes) -> None:
        read(target, content, folder)

    def mutate(content: bytes, limit: int, seed: int) -> bytes:
        random = Random(seed)
        if random.random() < 0.5:
            return atheris.Mutate(content, limit)
        return mutated([content], random)[:limit]

    resident = int(Path("/proc/self/statm").read_text().split()[1]) * 4096 >> 20
    options = [f"-max_total_time={seconds:.0f}", f"-timeout={8 * SECONDS}", "-max_len=20000"]
    options += [f"-rss_limit_mb={resident + 1000}", f"-artifact_prefix={folder}/{target}-"]
    options += ["-print_final_stats=1", "-verbosity=1", str(corpus)]
    atheris.Setup([sys.argv[0], *options], one, custom_mutator=mutate)
    atheris.Fuzz()


def _instrument(atheris: Any) -> None:
    import flax.linen  # noqa: F401, before: it is none of ours

    for name in MODULES:
        for function in vars(importlib.import_module(name)).values():
            if inspect.isfunction(function) and function.__module__ == name:
                atheris.instrument_func(function)
    with atheris.instrument_imports(include=PACKAGES):
        targets()


def main() -> int:
    """One target, or all of them in processes of their own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", help="a kind of file, or all")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--folder", type=Path, help="where crashes are kept; default: a new one")
    parser.add_argument("--reproduce", type=Path, help="read this one file, and no others")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="fuzz-"))
    folder.mkdir(parents=True, exist_ok=True)
    if options.target == "all":
        more = ["--seconds", str(options.seconds), "--folder"]
        codes = {
            name: subprocess.run([sys.executable, __file__, name, *more, str(folder / name)])
            for name in targets()
        }
        failed = [name for name, done in codes.items() if done.returncode]
        print(f"{len(codes)} targets; crashed: {', '.join(failed) or 'none'}; in {folder}")
        return 1 if failed else 0
    try:
        import atheris
    except ImportError:
        atheris = None
    if options.reproduce:
        print(read(options.target, options.reproduce.read_bytes(), folder))
    elif atheris is None:
        count = blind(options.target, folder, seconds=options.seconds)
        print(f"{options.target}: {count} files, without atheris and so without its guidance")
    else:
        _instrument(atheris)
        guided(options.target, folder, seconds=options.seconds, atheris=atheris)
    return 0


if __name__ == "__main__":
    sys.exit(main())
