"""The file of an exported model: a zip of uncompressed entries, and a manifest of them.

`manifest.json` holds the format, the sizes and SHA-256 of all entries, and what the program reads
and returns. Checksums reveal damage, not forgery: take models only from people whom you trust.
"""

import hashlib
import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmjax.errors import UserError
from mmjax.io import json_file, safe_open

FORMAT = 1
MANIFEST = "manifest.json"
PROGRAM = "program.bin"  # serialized by jax.export
PARAMETERS = "parameters.safetensors"
_DATE = (1980, 1, 1, 0, 0, 0)  # of every entry: when a model was exported is nobody's business


def write(path: Path, manifest: Mapping[str, Any], entries: Mapping[str, bytes]) -> None:
    """Write an archive atomically.

    Raises:
        UserError: there is another kind of file of this name, which is not overwritten.
    """
    if path.exists():
        read(path)
    files = {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in entries.items()
    }
    whole = json_file.plain({"format": FORMAT, **manifest, "files": files})
    whole = {json_file.CHECKSUM: json_file.checksum(whole), **whole}
    text = json.dumps(whole, indent=2, allow_nan=False) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{json_file.DRAFT}{path.name}")
    try:
        with draft.open("wb") as file:
            with zipfile.ZipFile(file, "w") as archive:
                for name, content in {MANIFEST: text.encode(), **entries}.items():
                    archive.writestr(zipfile.ZipInfo(name, _DATE), content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def read(path: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The manifest and all entries, after their checksums were compared. Executes nothing.

    Raises:
        MissingFileError: the file does not exist.
        UserError: it is no exported model, is damaged, or is of another format.
    """
    expected = f"{path}: expected a model of mmjax export"
    with safe_open.open_file(path, expected) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                packed = [i.filename for i in archive.infolist() if i.compress_type]
                if packed:
                    raise UserError(f"{expected}, got compressed entries: {packed[0]!r:.60}")
                content = {name: archive.read(name) for name in archive.namelist()}
            manifest = json.loads(content.pop(MANIFEST))
            checksum = manifest.pop(json_file.CHECKSUM) if isinstance(manifest, dict) else None
        except (
            zipfile.BadZipFile,
            KeyError,
            ValueError,
            OSError,
            AttributeError,
            EOFError,
        ) as error:
            raise UserError(f"{expected}, got another or a damaged file: {error!s:.200}") from None
    if checksum != json_file.checksum(manifest):
        raise UserError(f"{path}: damaged: {MANIFEST} does not match its checksum")
    if manifest.get("format") != FORMAT:
        raise UserError(f"{path}: expected format {FORMAT}, got {manifest.get('format')!r:.60}")
    files = manifest["files"]
    if missing := sorted(set(files) ^ set(content)):
        raise UserError(f"{path}: expected the entries {sorted(files)}, not so {missing}")
    for name, facts in files.items():
        if hashlib.sha256(content[name]).hexdigest() != facts["sha256"]:
            raise UserError(f"{path}: damaged: {name} does not match its checksum")
    return manifest, content
