"""Heads: `(tokens, train) -> output`, what an objective reads."""

from mmjax.heads.classes import Classes as Classes
from mmjax.heads.logit import Logit as Logit
from mmjax.heads.number import Number as Number

HEADS = {"logit": Logit, "classes": Classes, "number": Number}
