"""Which modality, and which column of a table, is indexed."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mmjax.data.tables.origin import contents, matrices
from mmjax.data.transforms.image import ImageTransform
from mmjax.data.transforms.text import TextTransform
from mmjax.errors import MissingFileError, UserError
from mmjax.io.tables import base_folder, columns_of
from mmjax.search.embedder import Embedder

FILE_COLUMN = "file"  # of a folder


class Choice(NamedTuple):
    """What is indexed."""

    modality: str
    column: str
    text: str | None  # shown beside the item
    texts: Sequence[str]  # modalities
    matrices: bytes = b""  # a hash of the files that the column itself names


def choose(embedder: Embedder, source: Path, modality: str | None, column: str | None) -> Choice:
    """The modality and column that are said, or else found; arguments and errors as of `build`."""
    transforms = embedder.preprocessing.transforms
    texts = [name for name, one in transforms.items() if isinstance(one, TextTransform)]
    if modality is not None:
        embedder.require(modality)
    if not source.exists() and source.parent.is_dir() and not any(c in str(source) for c in "*?{["):
        raise MissingFileError(f"{source}: expected a folder or a table, got nothing")
    there = columns_of(source)
    if source.is_dir():
        return Choice(
            modality or embedder.only(ImageTransform, "--modality"),
            column or FILE_COLUMN,
            None,
            texts,
        )

    def names(name: str) -> tuple[str, ...]:
        return embedder.columns[name].names(name) if name in embedder.columns else (name,)

    if modality is None:
        if column is not None:
            found = [name for name in transforms if column in names(name)]
        else:
            found = [name for name in transforms if set(names(name)) <= set(there)]
            found.sort(key=lambda name: not isinstance(transforms[name], ImageTransform))
        if not found:
            raise UserError(
                f"{source}: no column of {', '.join(sorted(transforms))} among "
                f"{', '.join(there)}; say --modality and --column"
            )
        modality = found[0]
    if column is None:
        own = names(modality)
        if len(own) != 1:
            raise UserError(
                f"{modality}: it is read from {len(own)} columns, and cannot be indexed"
            )
        (column,) = own
    if column not in there:
        raise UserError(f"{source}: no column {column!r}; choose from {', '.join(there)}")
    shown = modality if modality in texts else next(iter(texts), None)
    text = None if shown is None else column if shown == modality else names(shown)[0]
    used = {modality: embedder.columns[modality]} if modality in embedder.columns else {}
    whole = b"".join(contents(base_folder(source), name) for name in matrices(used))
    return Choice(modality, column, text if text in there else None, texts, whole)
