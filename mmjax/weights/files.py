"""Files of tensors: safetensors, one file or several with an index.

The format: https://huggingface.co/docs/safetensors. No code in a file is ever run.
"""

import json
from collections.abc import Iterable
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError, safe_open

from mmjax.errors import MissingFileError, UserError
from mmjax.io.safe_open import open_file, read_file

SUFFIX, INDEX = ".safetensors", ".safetensors.index.json"
INDEX_LIMIT = 20_000_000  # bytes; names of 100,000 tensors take 10 MB


def read(path: Path) -> dict[str, np.ndarray]:
    """All tensors by their names, floating point of any width as float32.

    `path` is a file, the index of several, or a folder that holds one of these.

    Raises:
        UserError: a file is broken, or the index does not fit the files; the message names it.
        FileNotFoundError: there is nothing at `path`.
    """
    path = _chosen(path)
    return _sharded(path) if path.name.endswith(".json") else _tensors(path)


def _chosen(path: Path) -> Path:
    """The file that is meant."""
    if not path.exists():
        raise MissingFileError(
            f"{path}: no such file; expected a {SUFFIX} file, a *{INDEX}, or a folder with either"
        )
    if not path.is_dir():
        return path
    for suffix in (INDEX, SUFFIX):
        found = sorted(path.glob(f"*{suffix}"))
        if len(found) == 1:
            return found[0]
        if found:
            raise UserError(f"{path}: holds {', '.join(f.name for f in found)}; name one of them")
    raise MissingFileError(f"{path}: this folder holds neither a {SUFFIX} file nor a *{INDEX}")


def _tensors(path: Path, names: Iterable[str] | None = None) -> dict[str, np.ndarray]:
    """Those of one file, all or the ones named."""
    open_file(path, f"{path}: expected a {SUFFIX} file").close()
    try:
        with safe_open(path, framework="np") as file:
            held = set(file.keys())
            wanted = sorted(held if names is None else names)
            if absent := [name for name in wanted if name not in held]:
                raise UserError(f"{path}: does not hold {absent[0]}, which the index places there")
            return {name: _widened(file.get_tensor(name)) for name in wanted}
    except SafetensorError as error:
        raise UserError(f"{path}: not a safetensors file, or cut short: {error}") from error
    # What the library says of types that NumPy lacks, such as some of 8 bits.
    except (AttributeError, TypeError, KeyError) as error:
        raise UserError(f"{path}: holds numbers of a type that cannot be read: {error}") from error


def _widened(x: np.ndarray) -> np.ndarray:
    # JAX's question: NumPy does not count bfloat16 among the floating types.
    if not jnp.issubdtype(x.dtype, jnp.floating):
        return x
    with np.errstate(all="ignore"):  # what is infinite or NaN stays so without a word
        return x.astype(np.float32, copy=False)


def _sharded(index: Path) -> dict[str, np.ndarray]:
    """Those that an index places in the files beside it."""
    try:
        text = read_file(index, f"{index}: expected an index", INDEX_LIMIT).decode()
        places = json.loads(text)["weight_map"]
        shards: dict[str, list[str]] = {}
        for name, shard in places.items():
            shards.setdefault(shard, []).append(name)
    # JSON that is cut short, is of other text, nests without end, or holds something else.
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{index}: not an index of safetensors files: {error!r}") from error
    arrays: dict[str, np.ndarray] = {}
    for shard, names in shards.items():
        if not isinstance(shard, str) or not _is_plain(shard):
            raise UserError(f"{index}: {shard!r} is not the name of a file beside it")
        if not (index.parent / shard).is_file():
            raise UserError(f"{index}: names {shard!r}, which is not beside it")
        arrays |= _tensors(index.parent / shard, names)
    return arrays


def _is_plain(name: str) -> bool:
    """Whether it is a file's name and no path: an index may not reach out of its folder.

    The file may be a link, as all are in the cache of a hub: whoever made it owns the folder.
    """
    return name.endswith(SUFFIX) and not set(name) & set("/\\:\0")
