"""Heads: `(Tokens, *, train) -> ` what the task asks for."""

from mmjax.heads.logit import Logit as Logit

HEADS = {"logit": Logit}
