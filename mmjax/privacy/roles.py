"""What happens to each column: every column has exactly one role, or nothing is written."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from mmjax.errors import UserError


@dataclass(frozen=True)
class Roles:
    """The columns of each role."""

    drop: tuple[str, ...] = ()  # direct identifiers that are left out
    pseudonym: tuple[str, ...] = ()  # direct identifiers that become keyed pseudonyms
    quasi: tuple[str, ...] = ()  # together they identify: generalised to k-anonymity
    sensitive: tuple[str, ...] = ()  # kept; what an attacker wants to know: l-diversity
    text: tuple[str, ...] = ()  # free text that is scrubbed
    file: tuple[str, ...] = ()  # pictures and DICOM files
    keep: tuple[str, ...] = ()  # unchanged
    keep_unique: tuple[str, ...] = ()  # unchanged, though of many different texts or whole numbers

    def by_column(self, columns: Sequence[str], table: object) -> Mapping[str, str]:
        """The role of each column.

        Raises:
            UserError: a column has no role or two, or there is no such column.
        """
        found: dict[str, str] = {}
        for field in fields(self):
            for column in getattr(self, field.name):
                if column in found:
                    raise UserError(
                        f"--{_flag(field.name)} {column}: has the role {_flag(found[column])} "
                        "already; a column has one role"
                    )
                if column not in columns:
                    raise UserError(
                        f"--{_flag(field.name)} {column}: {table} has no such column; "
                        f"choose from {', '.join(columns)}"
                    )
                found[column] = field.name
        if without := [column for column in columns if column not in found]:
            raise UserError(
                f"{table}: columns without a role: {', '.join(without)}; give each one of "
                f"{', '.join('--' + _flag(field.name) for field in fields(self))} "
                "(--suggest proposes roles). Nothing was written"
            )
        return found

    def command(self) -> str:
        """The flags that give these roles."""
        parts = []
        for field in fields(self):
            if names := getattr(self, field.name):
                quoted = " ".join(map(shlex.quote, names))
                parts.append(f"--{_flag(field.name)} {quoted}")
        return " ".join(parts)


def _flag(name: str) -> str:
    return name.replace("_", "-")
