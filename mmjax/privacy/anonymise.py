"""Anonymises a table: two passes, then one rename; a mistake leaves nothing behind."""

import csv
import json
import secrets
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mmjax.data.transforms.cells import is_missing
from mmjax.errors import MissingFileError, UserError
from mmjax.io import json_file, progress
from mmjax.io.tables import KINDS, base_folder, files_of, read_rows
from mmjax.io.tables import delimited as csv_files
from mmjax.privacy import faces, groups, looks, report
from mmjax.privacy.files import Files
from mmjax.privacy.names import names
from mmjax.privacy.pseudonyms import Pseudonyms, pseudonyms
from mmjax.privacy.risk import risk
from mmjax.privacy.scrub import Scrubber, identifying
from mmjax.privacy.settings import Settings

REPORT = "report.json"


def anonymise(table: Path, out: Path, settings: Settings, key: Path | None = None) -> report.Report:
    """Write `out`: the table (CSV, else JSON lines), the folder `files`, and report.json.

    Raises:
        UserError: a column without a role, a row or file that cannot be read, or anything else
            that is unclear. Then nothing is written.
    """
    if out.exists() or out.is_symlink():
        raise UserError(f"-o {out}: this is there already; nothing was changed")
    if not out.absolute().parent.is_dir():
        raise MissingFileError(f"-o {out}: expected a folder in one that exists")
    scrubber = None
    if settings.roles.text:
        scrubber = Scrubber(names(settings.locales, settings.names), settings.regions)
    look = looks.look(table, settings, scrubber)
    needs_key = settings.roles.pseudonym or settings.roles.file
    keyed = pseudonyms(key) if needs_key else Pseudonyms(secrets.token_bytes(32))
    draft = out.with_name(f"{json_file.DRAFT}{out.name}-{secrets.token_hex(4)}")
    draft.mkdir()
    try:
        done = _write(table, draft, look, settings, scrubber, keyed)
        json_file.write(draft / REPORT, done.content)
        draft.rename(out)
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"-o {out}: could not be written: {error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return done


def _write(
    table: Path,
    draft: Path,
    look: looks.Look,
    settings: Settings,
    scrubber: Scrubber | None,
    keyed: Pseudonyms,
) -> report.Report:
    detector = faces.detector(settings.faces) if settings.roles.file else None
    files = Files(base_folder(table), draft, keyed, detector)
    quasi, before, after = _generalised(look, settings)
    replaced: Counter[str] = Counter()
    # Texts may use the words of a dropped column of few values, such as a class.
    many = [c for c in look.named("drop") if len(look.distinct[c]) > min(20, look.rows / 2)]
    direct = many + look.named("pseudonym")
    kept = look.named("keep", "keep_unique", "sensitive")

    def row_of(index: int, place: int | str, row: dict[str, Any]) -> dict[str, Any]:
        known = [str(row[c]).strip() for c in direct if not is_missing(row[c])]
        _require_without(known, {c: row[c] for c in kept}, f"{table}:{place}")
        cells: dict[str, Any] = {}
        for column, role in look.columns.items():
            cell = row[column]
            match role:
                case "pseudonym":
                    cells[column] = "" if is_missing(cell) else keyed(column, str(cell))
                case "quasi":
                    cells[column] = quasi[column][index]
                case "text":
                    cells[column], kinds = scrubber.scrubbed(cell or "", known)  # type: ignore
                    replaced.update(kinds)
                case "file":
                    cells[column] = files(cell, f"{table}:{place}")
                case "keep" | "keep_unique" | "sensitive":
                    cells[column] = cell.tolist() if isinstance(cell, np.ndarray) else cell
        return cells

    with progress.shown("anonymise", look.rows) as tell:
        rows = enumerate(read_rows(table, format=settings.format))
        made = (row_of(index, place, dict(row)) for index, (place, row) in rows)  # type: ignore
        written = 0
        for written in _written(made, draft, _is_csv(table)):
            tell(written)
    if written != look.rows:
        raise UserError(f"{table}: changed while it was read: {look.rows:,} rows, then {written:,}")
    return report.made(table, look, settings, scrubber, replaced, files, before, after)


def _generalised(look: looks.Look, settings: Settings) -> tuple[dict[str, list[str]], list, list]:
    """The cells of the quasi-identifiers by column, and the rows of them before and after.

    Raises:
        UserError: the result is not k-anonymous.
    """
    names = look.named("quasi")
    if not names:
        return {}, [], []
    columns = {name: groups.quasi(look.cells[name]) for name in names}
    sensitive = [
        np.unique([str(cell) for cell in look.cells[name]], return_inverse=True)[1]
        for name in look.named("sensitive")
    ]
    people = np.unique([str(person) for person in look.people], return_inverse=True)[1]
    found = groups.partition(list(columns.values()), people, settings.k, sensitive, settings.l)
    cells = {
        name: groups.generalised(column, found, settings.numbers)
        for name, column in columns.items()
    }
    before = list(zip(*(column.codes.tolist() for column in columns.values()), strict=True))
    after = list(zip(*cells.values(), strict=True))
    if risk(after, look.people).k < settings.k:
        raise UserError(f"expected groups of at least {settings.k} people, got fewer: a bug")
    return cells, before, after


def _require_without(known: list[str], kept: dict[str, Any], where: str) -> None:
    """UserError if a kept cell of a row holds an identifier of the same row."""
    words = identifying([value for value in known if len(value) >= 5])
    if words is None:
        return
    for column, cell in kept.items():
        if isinstance(cell, str) and words.search(cell):
            raise UserError(
                f"{where}: column {column!r}, which is kept, holds an identifier of the same row"
            )


def _is_csv(table: Path) -> bool:
    file = files_of(table)[0]
    return file.is_dir() or any(
        file.name.lower().endswith(end) for end, kind in KINDS.items() if kind is csv_files
    )


def _written(rows: Iterator[dict[str, Any]], draft: Path, as_csv: bool) -> Iterator[int]:
    """Write the rows; yields how many there are so far."""
    name = "table.csv" if as_csv else "table.jsonl"
    with (draft / name).open("w", encoding="utf-8", newline="") as file:
        writer = None
        for count, row in enumerate(rows, 1):
            if as_csv:
                if writer is None:
                    writer = csv.DictWriter(file, list(row), lineterminator="\n")
                    writer.writeheader()
                writer.writerow(row)
            else:
                json.dump(json_file.plain(row), file, ensure_ascii=False, allow_nan=False)
                file.write("\n")
            yield count
