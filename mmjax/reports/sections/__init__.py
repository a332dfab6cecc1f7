"""The sections of a report, in their order: one file each."""

from mmjax.reports.report import Write
from mmjax.reports.sections.attention import attention
from mmjax.reports.sections.attributions import attributions
from mmjax.reports.sections.classes import classes
from mmjax.reports.sections.cost import cost
from mmjax.reports.sections.curves import curves
from mmjax.reports.sections.data import data
from mmjax.reports.sections.examples import examples
from mmjax.reports.sections.information import information
from mmjax.reports.sections.labels import labels
from mmjax.reports.sections.metrics import metrics
from mmjax.reports.sections.modalities import modalities
from mmjax.reports.sections.numbers import numbers
from mmjax.reports.sections.robustness import robustness
from mmjax.reports.sections.slices import slices
from mmjax.reports.sections.trained import trained

SECTIONS: dict[str, Write] = {
    "What was trained": trained,
    "Metrics": metrics,
    "Classes": classes,
    "Labels": labels,
    "Numbers": numbers,
    "Examples": examples,
    "Groups of examples": slices,
    "Modalities": modalities,
    "Missing and noisy modalities": robustness,
    "Information in pairs of modalities": information,
    "What the model looks at": attributions,
    "Where the fusion looks": attention,
    "Training": curves,
    "Data": data,
    "Cost": cost,
}
