"""What `mmjax anonymise` is asked to do."""

from dataclasses import dataclass
from pathlib import Path

from mmjax.errors import UserError
from mmjax.io.tables import Format
from mmjax.io.tables.row import PLAIN
from mmjax.privacy.faces import Faces
from mmjax.privacy.groups import Numbers
from mmjax.privacy.names import LOCALES
from mmjax.privacy.roles import Roles


@dataclass(frozen=True)
class Settings:
    """Every choice but the key."""

    roles: Roles
    k: int = 5  # fewest people with equal quasi-identifiers
    l: int = 1  # noqa: E741 (the literature's name); fewest distinct sensitive values of a group
    numbers: Numbers = "range"
    regions: tuple[str, ...] = ()  # of phone numbers without +
    locales: tuple[str, ...] = LOCALES  # of names
    names: Path | None = None  # a file of names
    faces: Faces = "auto"
    format: Format = PLAIN

    def __post_init__(self) -> None:
        if self.k < 2:
            raise UserError(f"--k {self.k}: expected at least 2")
        if self.l < 1:
            raise UserError(f"--l {self.l}: expected at least 1")
        if self.l > 1 and not self.roles.sensitive:
            raise UserError(f"--l {self.l}: needs a column with the role --sensitive")
