"""Kinds of targets: what objectives compare outputs with."""

from mmjax.data.targets.binary import Binary as Binary
from mmjax.data.targets.category import Category as Category
from mmjax.data.targets.grid import Grid as Grid
from mmjax.data.targets.group import Group as Group
from mmjax.data.targets.multi_label import MultiLabel as MultiLabel
from mmjax.data.targets.number import Number as Number
from mmjax.data.targets.route import Route as Route
from mmjax.data.targets.survival import Survival as Survival
from mmjax.data.targets.target import Target as Target
from mmjax.data.targets.text import Text as Text

TARGETS: dict[str, type[Target]] = {
    "binary": Binary,
    "class": Category,
    "multi_label": MultiLabel,
    "number": Number,
    "group": Group,
    "text": Text,
    "survival": Survival,
    "grid": Grid,
    "route": Route,
}
