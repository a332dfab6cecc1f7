"""Encoders: `(values, mask, train) -> Tokens`, one modality each."""

from mmjax.encoders.audio_cnn import AudioCnn as AudioCnn
from mmjax.encoders.audio_transformer import AudioTransformer as AudioTransformer
from mmjax.encoders.bag_of_words import BagOfWords as BagOfWords
from mmjax.encoders.bert import Bert as Bert
from mmjax.encoders.birds_eye import BirdsEye as BirdsEye
from mmjax.encoders.cnn import Cnn as Cnn
from mmjax.encoders.features import Features as Features
from mmjax.encoders.ft_transformer import FtTransformer as FtTransformer
from mmjax.encoders.gpt2 import Gpt2 as Gpt2
from mmjax.encoders.gru import Gru as Gru
from mmjax.encoders.hog import Hog as Hog
from mmjax.encoders.lifted_camera import LiftedCamera as LiftedCamera
from mmjax.encoders.lstm import Lstm as Lstm
from mmjax.encoders.patch_transformer import PatchTransformer as PatchTransformer
from mmjax.encoders.point_net import PointNet as PointNet
from mmjax.encoders.resnet import ResNet as ResNet
from mmjax.encoders.set_transformer import SetTransformer as SetTransformer
from mmjax.encoders.table_mlp import TableMlp as TableMlp
from mmjax.encoders.tcn import Tcn as Tcn
from mmjax.encoders.vgg import Vgg as Vgg
from mmjax.encoders.vit import Vit as Vit
from mmjax.encoders.wave_cnn import WaveCnn as WaveCnn

ENCODERS = {
    "cnn": Cnn,
    "resnet": ResNet,
    "vgg": Vgg,
    "vit": Vit,
    "hog": Hog,
    "lstm": Lstm,
    "gru": Gru,
    "bag_of_words": BagOfWords,
    "bert": Bert,
    "gpt2": Gpt2,
    "audio_cnn": AudioCnn,
    "audio_transformer": AudioTransformer,
    "wave_cnn": WaveCnn,
    "tcn": Tcn,
    "patch_transformer": PatchTransformer,
    "table_mlp": TableMlp,
    "ft_transformer": FtTransformer,
    "point_net": PointNet,
    "set_transformer": SetTransformer,
    "birds_eye": BirdsEye,
    "lifted_camera": LiftedCamera,
    "features": Features,
}
