"""Fusions: `({modality: Tokens}, *, train) -> Tokens`, any modality may be missing."""

from mmjax.fusion.attention import Attention as Attention
from mmjax.fusion.concat import Concat as Concat
from mmjax.fusion.sum import Sum as Sum

FUSIONS = {"attention": Attention, "concat": Concat, "sum": Sum}
