"""Reads safetensors, one file or several with an index; never executes anything.

The format: https://huggingface.co/docs/safetensors.
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
    """All tensors by name; floating point of any width as float32.

    Args:
        path: a file, the index of several, or a folder that holds one of these

    Raises:
        UserError: a file is broken, or the index does not fit the files; names the file.
        MissingFileError: there is nothing at `path`.
    """
    path = _chosen(path)
    return _sharded(path) if path.name.endswith(".json") else _tensors(path)


def _chosen(path: Path) -> Path:
    if not path.exists():
        raise MissingFileError(
            f"{path}: no such file; expected a {SUFFIX} file, a *{INDEX}, or a folder with either"
        )
    if not path.is_dir():
        return path
    for suffix in (INDEX, SUFFIX):
        files = sorted(path.glob(f"*{suffix}"))
        if len(files) == 1:
            return files[0]
        if files:
            raise UserError(f"{path}: holds {', '.join(f.name for f in files)}; name one of them")
    raise MissingFileError(f"{path}: this folder holds neither a {SUFFIX} file nor a *{INDEX}")


def _tensors(path: Path, names: Iterable[str] | None = None) -> dict[str, np.ndarray]:
    """The tensors of one file, all or those with these names."""
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
    # The library's errors for types that NumPy lacks, such as some of 8 bits.
    except (AttributeError, TypeError, KeyError) as error:
        raise UserError(f"{path}: holds numbers of a type that cannot be read: {error}") from error


def _widened(x: np.ndarray) -> np.ndarray:
    # JAX's test: NumPy's does not know bfloat16.
    if not jnp.issubdtype(x.dtype, jnp.floating):
        return x
    with np.errstate(all="ignore"):  # no warning for infinity and NaN
        return x.astype(np.float32, copy=False)


def _sharded(index: Path) -> dict[str, np.ndarray]:
    """The tensors that an index places in the files beside it."""
    try:
        text = read_file(index, f"{index}: expected an index", INDEX_LIMIT).decode()
        shards: dict[str, list[str]] = {}
        for name, shard in json.loads(text)["weight_map"].items():
            shards.setdefault(shard, []).append(name)
    # Incomplete or too deeply nested JSON, or other content.
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{index}: not an index of safetensors files: {error!r}") from error
    arrays: dict[str, np.ndarray] = {}
    for shard, names in shards.items():
        # A plain file name: an index must not lead out of its folder. Links are allowed, since a
        # hub's cache consists of them.
        if not isinstance(shard, str) or not shard.endswith(SUFFIX) or set(shard) & set("/\\:\0"):
            raise UserError(f"{index}: {shard!r} is not the name of a file beside it")
        if not (index.parent / shard).is_file():
            raise UserError(f"{index}: names {shard!r}, which is not beside it")
        arrays |= _tensors(index.parent / shard, names)
    return arrays
