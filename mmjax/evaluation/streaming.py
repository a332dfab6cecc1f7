"""Answers while samples arrive: the state of recurrent encoders is carried from call to call."""

import functools
from collections.abc import Mapping
from typing import Any, cast

import jax

from mmjax.encoders import Gru, Lstm
from mmjax.errors import UserError
from mmjax.layers.recurrent.streaming import STREAM
from mmjax.models.base import Model
from mmjax.types import Masked, Outputs


class Stream:
    """A model that is fed with parts of series, in order.

    After any parts its outputs are those of the model for the series up to there, because only
    `Lstm` and `Gru` with `pooling="last"` carry what they have read. Modalities of other encoders
    are read from each part alone: give an image with every part, or it is missing.
    """

    def __init__(self, model: Model, variables: Mapping[str, Any]) -> None:
        """UserError unless some encoder carries a state."""
        if not any(isinstance(encoder, Lstm | Gru) for encoder in model.encoders.values()):
            kinds = {name: type(e).__name__ for name, e in model.encoders.items()}
            raise UserError(f"streaming: expected an encoder Lstm or Gru, got {kinds}")
        self._variables = dict(variables)
        self._step = jax.jit(functools.partial(_step, model))
        self._carried: Any = None

    def __call__(self, part: Mapping[str, Masked]) -> Outputs:
        """The outputs after the next part of every modality, a mask that is False where none came.

        Parts of one shape share a compiled program, so feed samples one by one, or in blocks.
        """
        known = {} if self._carried is None else {STREAM: self._carried}
        outputs, self._carried = self._step({**self._variables, **known}, dict(part))
        return outputs

    def restart(self) -> None:
        """Forget all parts: another series begins."""
        self._carried = None


def _step(model: Model, variables: Any, part: dict[str, Masked]) -> tuple[Outputs, Any]:
    outputs, changed = model.apply(variables, part, train=False, mutable=[STREAM])
    return cast(Outputs, outputs), changed[STREAM]
