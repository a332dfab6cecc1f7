"""`mmjax anonymise`: a table without what identifies people, before anything is trained on it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from mmjax.cli import tables
from mmjax.errors import UserError

if TYPE_CHECKING:
    from mmjax.privacy.faces import Faces
    from mmjax.privacy.groups import Numbers
else:
    from typing import Literal

    Faces, Numbers = Literal["auto", "require", "off"], Literal["range", "mean"]

Columns = tuple[str, ...]


def anonymise(
    table: Annotated[
        Path,
        tyro.conf.Positional,
        tyro.conf.arg(help="CSV, JSON lines, Parquet, or a folder of pictures"),
    ],
    /,
    out: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None,
    drop: Columns = (),
    pseudonym: Columns = (),
    quasi: Columns = (),
    sensitive: Columns = (),
    text: Columns = (),
    file: Columns = (),
    keep: Columns = (),
    keep_unique: Columns = (),
    k: int = 5,
    l: int = 1,  # noqa: E741 (the literature's name)
    numbers: Numbers = "range",
    regions: tuple[str, ...] = (),
    locales: tuple[str, ...] = (),
    names: Path | None = None,
    faces: Faces = "auto",
    key: Path | None = None,
    separator: str | None = None,
    encoding: str = "utf-8",
    suggest: bool = False,
    json: bool = False,
) -> None:
    """Anonymise a table and its files. Each column needs a role; in doubt nothing is written.

    Anonymous is what nobody can link to a person by any means likely to be used; no program can
    promise that. Read the report, and what it lists as not done.

    Args:
        out: a new folder: the table, files, report.json
        drop: columns of direct identifiers that are left out
        pseudonym: identifiers that become keyed pseudonyms (HMAC-SHA256); the first says
            which rows are of one person
        quasi: columns that identify together, such as age and postcode: generalised
        sensitive: columns that are kept, whose diversity in a group is reported
        text: free text: e-mail, IBAN, phone, dates, names and the row's identifiers are replaced
        file: pictures and DICOM files: written without metadata, under new names
        keep: columns that stay as they are
        keep_unique: the same, although they have many different texts or whole numbers
        k: fewest people that share their quasi-identifiers
        l: fewest distinct sensitive values among these
        numbers: what a group of numbers becomes: 30..39, or its mean
        regions: countries of phone numbers without +, such as DE US
        locales: of lists of names, such as de_DE; by default 24 of the Latin script
        names: a file of more names, one a line
        faces: pixelate them if OpenCV is installed (mmjax[faces]), else: auto goes on
        key: a file made by mmjax encrypt --new-key; else the variable MMJAX_KEY
        separator: of a CSV file; by default found from its header
        encoding: of a text file
        suggest: print a command with a role for each column, and do nothing
        json: print the report as JSON
    """
    from rich.table import Table

    from mmjax.io.tables import Format
    from mmjax.privacy.anonymise import REPORT
    from mmjax.privacy.anonymise import anonymise as run
    from mmjax.privacy.names import LOCALES
    from mmjax.privacy.roles import Roles
    from mmjax.privacy.settings import Settings
    from mmjax.privacy.suggest import roles as suggested

    format = Format(separator, encoding)
    if suggest:
        print(f"mmjax anonymise {table} -o OUT {suggested(table, format).command()}")
        return
    if out is None:
        raise UserError("-o OUT: expected a new folder to write to")
    roles = Roles(drop, pseudonym, quasi, sensitive, text, file, keep, keep_unique)
    settings = Settings(roles, k, l, numbers, regions, locales or LOCALES, names, faces, format)
    report = run(table, out, settings, key)
    if json:
        tables.print_json(report.content)
        return
    shown = Table("", "before", "after")
    for row in report.rows():
        shown.add_row(*row)
    if shown.row_count:
        tables.show(shown)
    print("\n".join(["not done:", *(f"- {line}" for line in report.content["not_done"])]))
    print(f"{report.content['rows']:,} rows; report: {out / REPORT}")
