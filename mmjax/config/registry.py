"""The registries: every class that a configuration can name."""

import dataclasses

from flax import linen as nn

from mmjax.balance import BALANCES
from mmjax.data.datasets import DATASETS
from mmjax.encoders import ENCODERS
from mmjax.fusion import FUSIONS
from mmjax.heads import HEADS
from mmjax.imputation import MISSING
from mmjax.models.multimodal import Multimodal
from mmjax.objectives import OBJECTIVES
from mmjax.optim import OPTIMISERS

FAMILIES: dict[str, dict[str, type]] = {
    "model": {"multimodal": Multimodal},
    "encoder": ENCODERS,
    "fusion": FUSIONS,
    "missing": MISSING,
    "head": HEADS,
    "objective": OBJECTIVES,
    "data": DATASETS,
    "optim": OPTIMISERS,
    "balance": BALANCES,
}
TAGS = {
    cls: f"{family}/{name}" for family, table in FAMILIES.items() for name, cls in table.items()
}


def fields(cls: type) -> list[dataclasses.Field]:
    """The fields that a user sets (a linen module also has `parent` and `name`)."""
    hidden = ("parent", "name") if issubclass(cls, nn.Module) else ()
    return [f for f in dataclasses.fields(cls) if f.init and f.name not in hidden]


def required(field: dataclasses.Field) -> bool:
    """Whether a field has no default."""
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def siblings(cls: type) -> dict[str, type]:
    """The registry that a registered class is in."""
    return FAMILIES[TAGS[cls].split("/")[0]]
