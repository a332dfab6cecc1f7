"""Kinds of columns, by the name that a command line gives them: `--data.columns label:class`."""

from mmjax.data.tables.columns.answers import BinaryColumn as BinaryColumn
from mmjax.data.tables.columns.answers import ClassColumn as ClassColumn
from mmjax.data.tables.columns.answers import GroupColumn as GroupColumn
from mmjax.data.tables.columns.answers import MultiLabelColumn as MultiLabelColumn
from mmjax.data.tables.columns.answers import NumberColumn as NumberColumn
from mmjax.data.tables.columns.answers import SurvivalColumn as SurvivalColumn
from mmjax.data.tables.columns.answers import TextTargetColumn as TextTargetColumn
from mmjax.data.tables.columns.column import Column as Column
from mmjax.data.tables.columns.inputs import ImageColumn as ImageColumn
from mmjax.data.tables.columns.inputs import SoundColumn as SoundColumn
from mmjax.data.tables.columns.inputs import TableColumn as TableColumn
from mmjax.data.tables.columns.inputs import TextColumn as TextColumn
from mmjax.data.tables.columns.tokens import FeaturesColumn as FeaturesColumn
from mmjax.data.tables.columns.tokens import PointsColumn as PointsColumn
from mmjax.data.tables.columns.tokens import SeriesColumn as SeriesColumn
from mmjax.data.tables.columns.tokens import SlicesColumn as SlicesColumn

COLUMNS: dict[str, type[Column]] = {
    "image": ImageColumn,
    "text": TextColumn,
    "table": TableColumn,
    "sound": SoundColumn,
    "series": SeriesColumn,
    "points": PointsColumn,
    "features": FeaturesColumn,
    "slices": SlicesColumn,
    "binary": BinaryColumn,
    "class": ClassColumn,
    "multi_label": MultiLabelColumn,
    "number": NumberColumn,
    "group": GroupColumn,
    "text_target": TextTargetColumn,
    "survival": SurvivalColumn,
}
