"""Fusions: `({modality: Tokens}, train) -> Tokens`; any modality may be missing."""

from mmjax.fusion.aligned import Aligned as Aligned
from mmjax.fusion.attention_sum import AttentionSum as AttentionSum
from mmjax.fusion.bottleneck import Bottleneck as Bottleneck
from mmjax.fusion.co_attention import CoAttention as CoAttention
from mmjax.fusion.compact_bilinear import CompactBilinear as CompactBilinear
from mmjax.fusion.concat import Concat as Concat
from mmjax.fusion.cross_attention import CrossAttention as CrossAttention
from mmjax.fusion.deep_sets import DeepSets as DeepSets
from mmjax.fusion.early import Early as Early
from mmjax.fusion.encoder_decoder import EncoderDecoder as EncoderDecoder
from mmjax.fusion.film import Film as Film
from mmjax.fusion.gated import Gated as Gated
from mmjax.fusion.late import Late as Late
from mmjax.fusion.late_transformer import LateTransformer as LateTransformer
from mmjax.fusion.low_rank import LowRank as LowRank
from mmjax.fusion.max import Max as Max
from mmjax.fusion.mean import Mean as Mean
from mmjax.fusion.mfb import Mfb as Mfb
from mmjax.fusion.mixture_of_experts import MixtureOfExperts as MixtureOfExperts
from mmjax.fusion.mlb import Mlb as Mlb
from mmjax.fusion.mult import Mult as Mult
from mmjax.fusion.multiplicative import Multiplicative as Multiplicative
from mmjax.fusion.mutan import Mutan as Mutan
from mmjax.fusion.perceiver import Perceiver as Perceiver
from mmjax.fusion.product_of_experts import ProductOfExperts as ProductOfExperts
from mmjax.fusion.sum import Sum as Sum
from mmjax.fusion.tensor import Tensor as Tensor

FUSIONS = {
    # one token from one vector per modality
    "sum": Sum,
    "mean": Mean,
    "max": Max,
    "concat": Concat,
    "attention_sum": AttentionSum,
    "gated": Gated,
    "late": Late,
    "film": Film,
    "product_of_experts": ProductOfExperts,
    "mixture_of_experts": MixtureOfExperts,
    "deep_sets": DeepSets,
    "late_transformer": LateTransformer,
    # one token from products of vectors
    "tensor": Tensor,
    "low_rank": LowRank,
    "multiplicative": Multiplicative,
    "compact_bilinear": CompactBilinear,
    "mlb": Mlb,
    "mutan": Mutan,
    "mfb": Mfb,
    # many tokens, joined step by step
    "aligned": Aligned,
    # many tokens, by attention
    "early": Early,
    "cross_attention": CrossAttention,
    "co_attention": CoAttention,
    "mult": Mult,
    "bottleneck": Bottleneck,
    "perceiver": Perceiver,
    "encoder_decoder": EncoderDecoder,
}
