"""Runs that somebody else made, with malice in each of their files.

Code that is planted would leave the folder `EXECUTED`. Names lead to `outside`, which lies beside
the run and is not its maker's.
"""

import functools
import io
import json
import os
import pickle
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorstore

from mmjax.io import json_file
from mmjax.runs.fingerprint import fingerprints
from mmjax.runs.restore import restore
from tests.faults.kinds import Kind

EXECUTED = os.path.join(tempfile.gettempdir(), f"executed-{os.getpid()}")
CANARY = "planted_canary"  # a module that is there to be imported by name
CODE = f"import os\nos.makedirs({EXECUTED!r}, exist_ok=True)\n\n\nclass Thing:\n    pass\n"

Plant = Callable[[Path], Any]


class _Code:
    def __reduce__(self):
        return os.mkdir, (EXECUTED,)


def _saved(save: Callable, *arrays: np.ndarray, **options: Any) -> bytes:
    file = io.BytesIO()
    save(file, *arrays, **options)
    return file.getvalue()


_OBJECTS = np.array([_Code()], object)
CONTENTS: dict[str, Callable[[], bytes]] = {
    "a pickle": lambda: pickle.dumps(_Code()),
    "an .npy of pickles": lambda: _saved(np.save, _OBJECTS, allow_pickle=True),
    "an .npz of pickles": lambda: _saved(np.savez, _OBJECTS, allow_pickle=True),
    "Python": lambda: CODE.encode(),
    "an object of Python in JSON": lambda: json.dumps(_objects({})).encode(),
    "an object of Python in YAML": lambda: f"!!python/object/apply:os.mkdir [{EXECUTED}]".encode(),
}
NAMES = (f"{CANARY}.Thing", "../../../outside/b")


def kind(good: Path) -> Kind:
    """For a `hostile.Reader`; what the first run loads on demand is loaded before."""
    return Kind("config.json", functools.partial(_warmed, good), _restored)


def _warmed(good: Path) -> list[bytes]:
    restore(good)
    return [b"{}"]


def _restored(config: Path) -> None:
    restore(config.parent)


def _objects(content: dict[str, Any]) -> dict[str, Any]:
    """What several readers of JSON take for the name of a class to be made."""
    tags = ("__class__", "py/object", "class_name", "module", "_target_", "__type__")
    return dict.fromkeys(tags, f"{CANARY}.Thing") | content


def files(run: Path) -> list[Path]:
    """Of a run, relative to it; of those that are called by what they hold, one in each folder."""
    found = (path.relative_to(run) for path in sorted(run.rglob("*")) if path.is_file())
    named = {
        path.parent / path.name if len(path.name) < 32 else path.parent: path for path in found
    }
    return list(named.values())


def contents(run: Path) -> Iterator[tuple[str, Plant]]:
    """Each file replaced by each kind of code."""
    for file in files(run):
        for name, content in CONTENTS.items():
            yield f"{name} as {file}", lambda run, f=file, c=content: (run / f).write_bytes(c())


def names(run: Path) -> Iterator[tuple[str, Plant]]:
    """In each JSON file, what is a text or null there replaced by each of `NAMES`."""
    for file in files(run):
        try:
            content = json.loads((run / file).read_text())
        except ValueError:
            continue
        seen = set()
        for path in _leaves(content):
            kind = [step for step in path if isinstance(step, str)][-1]
            if kind in seen or kind == json_file.CHECKSUM:
                continue
            seen.add(kind)
            for name in NAMES:
                yield f"{name} as {kind} of {file}", _renamed(file, path, name)
        yield f"objects of Python in {file}", _with_objects(file)


def _leaves(content: Any, path: tuple = ()) -> Iterator[tuple]:
    """Paths of texts and nulls."""
    if isinstance(content, dict):
        for key, value in content.items():
            yield from _leaves(value, (*path, key))
    elif isinstance(content, list):
        for place, value in enumerate(content):
            yield from _leaves(value, (*path, place))
    elif path and (content is None or isinstance(content, str)):
        yield path


def _rewritten(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """The file with a change that its checksum does not tell."""
    content = json.loads(path.read_text())
    change(content)
    if json_file.CHECKSUM in content:
        content[json_file.CHECKSUM] = None
    path.write_text(json.dumps(content))


def _renamed(file: Path, path: tuple, name: str) -> Plant:
    def change(content: Any) -> None:
        for step in path[:-1]:
            content = content[step]
        content[path[-1]] = name

    return lambda run: _rewritten(run / file, change)


def _with_objects(file: Path) -> Plant:
    return lambda run: _rewritten(run / file, lambda content: content.update(_objects({})))


def moved_out(part: str) -> Plant:
    """A part of the run lies outside of it, and a link in its place."""

    def plant(run: Path) -> None:
        away = run.parent / "outside" / "part"
        away.parent.mkdir(exist_ok=True)
        shutil.move(run / part, away)
        (run / part).symlink_to(away)

    return plant


def pipe(part: str) -> Plant:
    """A pipe in the place of a file: whoever opens it waits for ever."""

    def plant(run: Path) -> None:
        (run / part).unlink()
        os.mkfifo(run / part)

    return plant


def array_outside(run: Path, step: int) -> None:
    """The checkpoint names an array that lies elsewhere, and its record knows it.

    Orbax joins an array's name to the folder, and what is joined may be absolute.
    """
    folder = run / "checkpoints" / str(step)
    item, away = folder / "variables", run.parent / "outside" / "array"
    content = json.loads((item / "_METADATA").read_text())
    content["use_ocdbt"] = False
    tree = content["tree_metadata"]
    key, first = next(iter(tree.items()))
    first["key_metadata"] = [first["key_metadata"][0] | {"key": str(away)}]
    tree[str((str(away),))] = tree.pop(key)
    record = {}
    for leaf in tree.values():
        steps = [step["key"] for step in leaf["key_metadata"]]
        array = np.full((2, 3), 42, np.float32)
        _zarr(item / ".".join(steps), array)
        record |= fingerprints({"/".join(steps): array})
    (item / "_METADATA").write_text(json.dumps(content))
    _rewritten(folder / "record" / "metadata", lambda content: content.update(variables=record))


def _zarr(path: Path, array: np.ndarray) -> None:
    """The folder of an array, as Orbax once wrote them."""
    metadata = {"shape": array.shape, "chunks": array.shape, "dtype": "<f4", "compressor": None}
    store = {"driver": "file", "path": str(path)}
    spec = {"driver": "zarr", "kvstore": store, "metadata": metadata}
    tensorstore.open(spec, create=True, delete_existing=True).result().write(array).result()
