"""A page that searches an index in the browser: one file, without a server or a network."""

import base64
import hashlib
import html
import io
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mmjax.data.media.image import open_image
from mmjax.data.media.source import cell_source
from mmjax.data.tables.splits import content
from mmjax.data.transforms.image import ImageTransform
from mmjax.data.transforms.text import TextTransform
from mmjax.errors import UserError
from mmjax.io import json_file, progress
from mmjax.io.tables import RowError, base_folder, read_rows
from mmjax.search.embedder import Embedder
from mmjax.search.index import BETWEEN, Index

SIDE = 96  # pixels of a thumbnail's longer side
QUALITY = 60
LEVELS = 32_767  # 16 bits a number: in 8 the tenth result would be another for most queries
TEMPLATE = Path(__file__).with_name("page.html")


def write(path: Path, index: Index, folder: Path, embedder: Embedder) -> int:
    """Write the page; returns its size in bytes.

    It holds thumbnails where items are pictures, and the vectors of all items, of all texts of the
    index and of every word that the run knows. These are found exactly as `Index.search` finds
    them, but for rounding to 16 bits; other texts by the mean of their words.

    Args:
        path: the file to write
        index: the opened index
        folder: its folder, from which its source is found
        embedder: the run that made it
    """
    text = page_of(index, folder, embedder)
    json_file.write_text(path, text)
    return len(text.encode())


def page_of(index: Index, folder: Path, embedder: Embedder) -> str:
    """The page itself; arguments as of `write`."""
    transform = embedder.preprocessing.transforms[index.modality]
    source = Path(os.path.realpath(folder), index.source)
    base = base_folder(source)
    is_picture = isinstance(transform, ImageTransform)
    pictures = _thumbnails(index, source) if is_picture else []
    words, phrases, vectors = _phrases(index, embedder)
    is_text = isinstance(transform, TextTransform)
    files = [(base / name).is_file() for name in index.names]
    scale = 1 / LEVELS
    parts = {
        "title": f"{len(index):,} {index.modality}s" if is_picture else f"{len(index):,} items",
        "dim": int(index.vectors.shape[1]),
        "scale": scale,
        "names": list(index.names),
        "texts": list(index.texts),
        "pictures": pictures,
        "modality": index.modality,
        "words": words,  # the modality of texts; null without one
        # What a table would say to mean each item: a text, or a path relative to the source.
        "values": list(index.texts) if is_text else list(index.names) if all(files) else [],
        "vectors": _packed(index.vectors),
        "phrases": phrases,
        "phraseVectors": _packed(vectors),
    }
    # No text of the data can end the script that holds it.
    data = json.dumps(parts, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    data = data.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    page = TEMPLATE.read_text(encoding="utf-8")
    title = html.escape(f"Search: {index.source}")
    filled = {"{{title}}": title, "{{data}}": data}
    whole = re.sub("|".join(map(re.escape, filled)), lambda found: filled[found[0]], page)
    return whole.encode(errors="replace").decode()  # names of folders need not be UTF-8


def _phrases(index: Index, embedder: Embedder) -> tuple[str | None, list[str], np.ndarray]:
    """The text modality, and the vectors of the index's texts and the run's words; or none."""
    transforms = embedder.preprocessing.transforms
    texts = [name for name, one in transforms.items() if isinstance(one, TextTransform)]
    texts = [index.modality] if index.modality in texts else texts
    if len(texts) != 1:
        return None, [], np.zeros((0, index.vectors.shape[1]), np.float32)
    transform: Any = transforms[texts[0]]
    words = [word for word in transform.vocabulary() if _is_word(transform, word)]
    shown = [text for texts in index.texts if texts for text in (texts, *texts.split(BETWEEN))]
    known = [text for text in dict.fromkeys(shown) if text and transform.known(text)]
    phrases = list(dict.fromkeys([*words, *known]))
    return texts[0], phrases, embedder(texts[0], phrases)


def _is_word(transform: TextTransform, word: str) -> bool:
    """Whether people would type it: no special word, and no end of another."""
    return any(c.isalnum() for c in word) and transform.words(word) == transform.known(word) == 1


def _packed(vectors: np.ndarray) -> str:
    """Base64 of int16, little-endian."""
    return base64.b64encode(np.rint(vectors * LEVELS).astype("<i2").tobytes()).decode()


def _thumbnails(index: Index, source: Path) -> list[str]:
    """Base64 of WebP files; "" for a picture that is no longer there, or has changed."""
    base = base_folder(source)
    with progress.shown("thumbnails", len(index)) as tell:
        found = []
        for count, name in enumerate(index.names, start=1):
            found.append(_thumbnail(base / name))
            tell(count)
    places = {index.digests[row]: row for row, shown in enumerate(found) if not shown}
    if places and not source.is_dir():
        for cell in _cells(source):
            row = places.pop(hashlib.sha256(content(cell)).hexdigest(), None)
            if row is not None:
                found[row] = _thumbnail(cell_source(cell, base)[0])
    return found


def _cells(table: Path) -> Iterator[Any]:
    """The cells that hold the bytes of a file; none where the table is no longer there."""
    try:
        for _, row in read_rows(table):
            for cell in () if isinstance(row, RowError) else row.values():
                held = cell.get("bytes") if isinstance(cell, dict) else cell
                if isinstance(held, bytes):
                    yield cell
    except (UserError, OSError):
        return


def _thumbnail(source: Any) -> str:
    try:
        picture = open_image(source, size=(SIDE, SIDE)).convert("RGBA")
    except (UserError, OSError):
        return ""
    picture.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    picture.save(file, "WEBP", quality=QUALITY)
    return base64.b64encode(file.getvalue()).decode()
