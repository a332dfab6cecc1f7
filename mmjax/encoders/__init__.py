"""Encoders: `(values, mask, *, train) -> Tokens`, one modality each."""

from mmjax.encoders.cnn import Cnn as Cnn
from mmjax.encoders.features import Features as Features
from mmjax.encoders.lstm import Lstm as Lstm
from mmjax.encoders.resnet import ResNet as ResNet
from mmjax.encoders.vgg import Vgg as Vgg
from mmjax.encoders.vit import Vit as Vit

ENCODERS = {
    "cnn": Cnn,
    "resnet": ResNet,
    "vgg": Vgg,
    "vit": Vit,
    "lstm": Lstm,
    "features": Features,
}
