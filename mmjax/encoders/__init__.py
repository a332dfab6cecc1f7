"""Encoders: `(values, mask, *, train) -> Tokens`, one modality each."""

from mmjax.encoders.cnn import Cnn as Cnn
from mmjax.encoders.features import Features as Features
from mmjax.encoders.lstm import Lstm as Lstm

ENCODERS = {"cnn": Cnn, "lstm": Lstm, "features": Features}
