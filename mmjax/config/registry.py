"""The registries: every class that a configuration can name, and how users add theirs."""

import dataclasses
import inspect
import re
from collections.abc import Iterator
from typing import Any

from flax import linen as nn

from mmjax.balance import BALANCES, Balance
from mmjax.data.dataset import Dataset
from mmjax.data.datasets import DATASETS
from mmjax.data.tables.columns import COLUMNS, Column
from mmjax.data.targets import TARGETS, Target
from mmjax.encoders import ENCODERS
from mmjax.errors import UserError
from mmjax.fusion import FUSIONS
from mmjax.heads import HEADS, Decoder
from mmjax.imputation import IMPUTATIONS
from mmjax.models import MODELS, Model
from mmjax.objectives import OBJECTIVES, Objective
from mmjax.optim import OPTIMISERS, Optim
from mmjax.types import Tokens

FAMILIES: dict[str, dict[str, Any]] = {
    "model": MODELS,
    "encoder": ENCODERS,
    "fusion": FUSIONS,
    "imputation": IMPUTATIONS,
    "head": HEADS,
    "objective": OBJECTIVES,
    "data": DATASETS,
    "column": COLUMNS,
    "target": TARGETS,
    "optim": OPTIMISERS,
    "balance": BALANCES,
}
BASES = {
    "model": Model,
    "head": Decoder,
    "objective": Objective,
    "data": Dataset,
    "column": Column,
    "target": Target,
    "optim": Optim,
    "balance": Balance,
}


def register(*classes: type, family: str | None = None, name: str | None = None) -> None:
    """Make your own classes available on the command line, in `mmjax list` and to restored runs.

    Call it in the file that defines the classes, before the experiment is made. For evaluation,
    load that file with `--with FILE`, or call `mmjax.restore(run, register=[...])`.

    Args:
        classes: linen modules or frozen dataclasses
        family: encoder, fusion, imputation, head, model, objective, data, column, target, optim or
            balance;
            by default detected from the base class or the signature of `__call__`
        name: the name of one class on the command line; by default its name in snake case

    Raises:
        UserError: the family cannot be detected, or the name is in use.
    """
    for cls in classes:
        table = FAMILIES.get(family or _family(cls))
        if table is None:
            raise UserError(f"family: got {family!r}, choose from {', '.join(FAMILIES)}")
        called = name or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()
        other = table.get(called, cls)
        if (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
            raise UserError(
                f"register {cls.__name__}: {called!r} is {other.__module__}.{other.__qualname__} "
                "already; choose another with name="
            )
        if not dataclasses.is_dataclass(cls):
            raise UserError(f"register {cls.__name__}: expected a linen module or a dataclass")
        table[called] = cls


def _family(cls: type) -> str:
    """The family of a class: from its base class, or the signature of its `__call__`."""
    for family, base in BASES.items():
        if issubclass(cls, base):
            return family
    if issubclass(cls, nn.Module):
        signature = inspect.signature(cls.__call__)
        taken = [name for name in signature.parameters if name not in ("self", "train")]
        if taken == ["values", "mask"]:
            return "encoder"
        if taken == ["tokens"]:
            return "head"
        if taken == ["modalities"]:
            return "fusion" if signature.return_annotation is Tokens else "imputation"
    raise UserError(
        f"register {cls.__name__}: its family is not clear: say family= one of "
        f"{', '.join(FAMILIES)}. The arguments of an encoder are (values, mask), of a fusion "
        "(modalities), of a head (tokens), each with train"
    )


def tag(cls: type) -> str | None:
    """`family/name` of a registered class; None for any other."""
    return next((label for label, known in tags() if known is cls), None)


def tags() -> Iterator[tuple[str, type]]:
    """(`family/name`, class) of all registered classes."""
    for family, table in FAMILIES.items():
        for name, cls in table.items():
            yield f"{family}/{name}", cls


def fields(cls: type) -> list[dataclasses.Field]:
    """The fields that a user sets: without `parent` and `name` of linen modules."""
    hidden = ("parent", "name") if issubclass(cls, nn.Module) else ()
    return [f for f in dataclasses.fields(cls) if f.init and f.name not in hidden]


def required(field: dataclasses.Field) -> bool:
    """Whether a field has no default."""
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def siblings(cls: type) -> dict[str, type]:
    """All members of the family of a registered class, by name."""
    return FAMILIES[(tag(cls) or "").split("/")[0]]
