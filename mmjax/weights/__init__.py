"""Published weights: converters from well-known files to our encoders.

To add a network: a file with `places(encoder)` and `UNUSED`, and a line below.
"""

from types import ModuleType

from flax import linen as nn

from mmjax.encoders.bert import Bert
from mmjax.encoders.gpt2 import Gpt2
from mmjax.encoders.resnet import ResNet
from mmjax.encoders.vgg import Vgg
from mmjax.encoders.vit import Vit
from mmjax.heads import TransformerDecoder
from mmjax.weights import bert, gpt2, resnet, vgg, vit

PUBLISHED: dict[type[nn.Module], ModuleType] = {
    ResNet: resnet,
    Vgg: vgg,
    Vit: vit,
    Bert: bert,
    Gpt2: gpt2,
    TransformerDecoder: gpt2,
}
