"""An index: unit vectors of many items, with their names; exact search by inner product.

A folder holds `index.json` (names, texts and hashes of the items, and which run made them) and the
safetensors file that it names, with `vectors` float32 `[item, dim]`.
"""

import dataclasses
import functools
import os
import zlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy
from jax import Array
from jaxtyping import Float

from mmjax.errors import MissingFileError, UserError
from mmjax.evaluation.predictions import filled
from mmjax.io import json_file

FILE = "index.json"
FORMAT = 1
BETWEEN = "; "  # the texts of one item
SCORES = 2**24  # that are computed at a time


class DamagedIndexError(UserError):
    """The vectors of an index are not there, or not those that were saved."""


class Hit(NamedTuple):
    """An item that was found."""

    rank: int  # from 1
    score: float  # cosine, -1..1
    name: str
    text: str | None


@dataclasses.dataclass(frozen=True)
class Index:
    """Items of one modality as vectors.

    Attributes:
        vectors: `[item, dim]`, float32, of length 1
        names: of files, relative to `source`, or of rows
        texts: the text itself, or what is shown beside a picture, several after each other with
            "; " between them; None: nothing
        digests: a hash of what each vector was made from
        modality: of the items
        source: the folder or table that was read, relative to the index
        run: the folder of the run, relative to the index
        mark: which run; see `Embedder.mark`
    """

    vectors: Float[np.ndarray, "item dim"]
    names: Sequence[str]
    texts: Sequence[str | None]
    digests: Sequence[str]
    modality: str
    source: str
    run: str
    mark: str

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> "Index":
        """Read an index.

        Raises:
            MissingFileError: there is none.
            UserError: it is damaged, or of a later version.
        """
        folder = Path(folder)
        path = folder / FILE
        try:
            content = json_file.read(path)
        except (FileNotFoundError, NotADirectoryError):
            raise MissingFileError(
                f"{path}: expected an index, got no file; mmjax index makes one"
            ) from None
        if content.get("format") != FORMAT:
            raise UserError(f"{path}: expected format {FORMAT}, got {content.get('format')!r:.60}")
        try:
            file, crc = folder / Path(content["vectors"]).name, content["crc"]
            vectors = _read(file, crc)
            fields = {f.name: content[f.name] for f in dataclasses.fields(cls)[1:]}
            counts = {len(fields[name]) for name in ("names", "texts", "digests")}
        except (KeyError, TypeError) as error:
            raise UserError(f"{path}: expected another content: {error!r:.200}") from error
        if counts != {len(vectors)}:
            raise UserError(f"{path}: expected the names of {len(vectors)} items, got {counts}")
        return cls(vectors, **fields)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the index; a killed writer leaves the old one whole."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        content = safetensors.numpy.save({"vectors": np.ascontiguousarray(self.vectors)})
        crc = f"{zlib.crc32(content):08x}"
        name = f"vectors-{crc}.safetensors"
        draft = folder / f".draft-{name}"
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(folder / name)
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)[1:]}
        json_file.write(folder / FILE, {"format": FORMAT, "vectors": name, "crc": crc, **fields})
        for old in folder.glob("vectors-*.safetensors"):
            if old.name != name:
                old.unlink()

    def __len__(self) -> int:
        return len(self.names)

    def search(
        self, queries: Float[np.ndarray, "query dim"], k: int = 10
    ) -> tuple[Float[np.ndarray, "query k"], np.ndarray]:
        """Scores and numbers of the k items with the highest inner products, best first.

        Exact; of equal scores the item with the lower number comes first. All items are returned
        if there are fewer than k.
        """
        if k < 1:
            raise UserError(f"k: expected at least 1, got {k}")
        k = min(k, len(self))
        scores = np.zeros((len(queries), k), np.float32)
        numbers = np.zeros((len(queries), k), np.int32)
        size = max(1, SCORES // max(len(self), 1))
        power = min(1 << (k - 1).bit_length(), len(self)) if k else 0  # few programs are compiled
        with jax.enable_x64(False):
            for first in range(0, len(queries) if k else 0, size):
                part = slice(first, first + size)
                few = list(queries[part].astype(np.float32))
                found = _nearest(self._placed, np.stack(filled(few)), power)
                scores[part], numbers[part] = (np.asarray(x)[: len(few), :k] for x in found)
        return scores, numbers

    def hits(self, query: Float[np.ndarray, "dim"], k: int = 10) -> list[Hit]:
        """The k best items for one query."""
        return self.all_hits(query[None], k)[0]

    def all_hits(self, queries: Float[np.ndarray, "query dim"], k: int = 10) -> list[list[Hit]]:
        """The k best items for each query."""
        return [
            [
                Hit(rank, score, self.names[int(number)], self.texts[int(number)])
                for rank, (score, number) in enumerate(zip(*row, strict=True), start=1)
            ]
            for row in zip(*(x.tolist() for x in self.search(queries, k)), strict=True)
        ]

    @cached_property
    def _placed(self) -> Array:
        """The vectors on the device."""
        return jnp.asarray(self.vectors)


@functools.partial(jax.jit, static_argnames="k")
def _nearest(vectors: Array, queries: Array, k: int) -> tuple[Array, Array]:
    scores, numbers = jax.lax.top_k(jnp.dot(queries, vectors.T, precision="highest"), k)
    return scores, numbers


def is_own(path: Path) -> bool:
    """Whether an index has a file of this name."""
    name = path.name
    return name in (FILE, "skipped.csv") or name.startswith(("vectors-", ".draft-"))


def _read(file: Path, crc: str) -> np.ndarray:
    damaged = f"{file}: expected the vectors of an index"
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise DamagedIndexError(f"{damaged}, got no file; mmjax index makes it again") from None
    if f"{zlib.crc32(content):08x}" != crc:
        raise DamagedIndexError(f"{damaged}, got a damaged file; mmjax index makes it again")
    try:
        vectors = safetensors.numpy.load(content)["vectors"]
    except (safetensors.SafetensorError, KeyError) as error:
        raise UserError(f"{damaged}: {error}") from error
    if vectors.dtype != np.float32 or vectors.ndim != 2:
        raise UserError(f"{damaged}, got {vectors.dtype} {vectors.shape}")
    return vectors
