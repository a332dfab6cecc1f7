"""Heads: `(tokens, train) -> output`, what an objective reads."""

from mmjax.heads.classes import Classes as Classes
from mmjax.heads.decoder import Decoder as Decoder
from mmjax.heads.logit import Logit as Logit
from mmjax.heads.lstm_decoder import LstmDecoder as LstmDecoder
from mmjax.heads.number import Number as Number
from mmjax.heads.occupancy import Occupancy as Occupancy
from mmjax.heads.token_words import TokenWords as TokenWords
from mmjax.heads.transformer_decoder import TransformerDecoder as TransformerDecoder
from mmjax.heads.waypoints import Waypoints as Waypoints

HEADS = {
    "logit": Logit,
    "classes": Classes,
    "number": Number,
    "lstm_decoder": LstmDecoder,
    "transformer_decoder": TransformerDecoder,
    "token_words": TokenWords,
    "occupancy": Occupancy,
    "waypoints": Waypoints,
}
