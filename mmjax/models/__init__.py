"""Models: encoders, fusion and heads as one linen module, and the state of their training."""

from mmjax.models.base import Model as Model
from mmjax.models.base import merge_adapters as merge_adapters
from mmjax.models.dual_encoder import DualEncoder as DualEncoder
from mmjax.models.multimodal import Multimodal as Multimodal

MODELS = {"multimodal": Multimodal, "dual_encoder": DualEncoder}
