"""The files that a table names, written without what identifies people, under pseudonyms."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmjax.data.media.dicom import is_dicom
from mmjax.data.media.image import BYTE_LIMIT
from mmjax.data.media.source import cell_source, read_source
from mmjax.data.transforms.cells import is_missing
from mmjax.errors import UserError
from mmjax.privacy import dicom, pictures
from mmjax.privacy.pseudonyms import Pseudonyms

FOLDER = "files"


@dataclass
class Files:
    """Writes pictures and DICOM files; `counts` says what was done."""

    base: Path  # of the paths in cells
    out: Path
    pseudonyms: Pseudonyms
    detector: Any | None
    counts: Counter[str] = field(default_factory=Counter)
    _written: dict[str, str] = field(default_factory=dict)  # name by pseudonym

    def __call__(self, cell: Any, where: str) -> str:
        """The path of the file written for a cell, relative to the output; "" without one.

        Raises:
            UserError: the file is neither a picture nor DICOM, or cannot be made anonymous.
        """
        if isinstance(cell, str | None) and is_missing(cell):
            return ""
        source, _ = cell_source(cell, self.base)
        where = f"{where}: {cell}" if isinstance(cell, str) else where
        stem = self.pseudonyms("file", source if isinstance(source, bytes) else str(cell))
        if stem not in self._written:
            content = read_source(source, f"{where}: expected a picture or DICOM file", BYTE_LIMIT)
            content, suffix = self._bare(content, where)
            file = self.out / FOLDER / (stem + suffix)
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(content)
            self._written[stem] = f"{FOLDER}/{file.name}"
        return self._written[stem]

    def _bare(self, content: bytes, where: str) -> tuple[bytes, str]:
        if is_dicom(content):
            content, unmarked = dicom.deidentified(content, where, self.pseudonyms)
            self.counts["dicom"] += 1
            self.counts["dicom that do not say whether text is burned in"] += not unmarked
            return content, ".dcm"
        try:
            content, suffix, faces = pictures.bare(content, where, self.detector)
        except UserError as error:
            raise UserError(
                f"{error}. Only pictures and DICOM files can be made anonymous; voices, films and "
                "other files cannot: give the column the role --drop"
            ) from None
        self.counts["pictures"] += 1
        self.counts["faces pixelated"] += faces
        return content, suffix
