"""How a finished run writes its texts: other beams, temperatures and prompts than in training."""

from collections.abc import Mapping
from typing import Any

from mmjax.data.preprocessing import Preprocessing
from mmjax.data.targets import Text
from mmjax.errors import UserError
from mmjax.heads import Decoder
from mmjax.models.base import Model


def writing_model(
    model: Model, preprocessing: Preprocessing, fields: Mapping[str, Any], prompt: str
) -> Model:
    """The model with other fields of its decoders."""
    heads = dict(model.heads_by_output)
    decoders = {name: head for name, head in heads.items() if isinstance(head, Decoder)}
    if not decoders:
        raise UserError(
            f"{', '.join([*fields, *(['prompt'] if prompt else [])])}: the run writes no text: "
            f"it has no decoder, its heads are {', '.join(sorted(heads)) or 'none'}"
        )
    for name, head in decoders.items():
        kind = preprocessing.targets[head.target]
        words = tuple(kind.encoded(prompt)) if isinstance(kind, Text) else ()
        if head.unknown in words:
            raise UserError(f"prompt {prompt!r:.60}: has words that target {head.target!r} lacks")
        # Unless they are given: enough beams for the texts, and none where words are drawn.
        drawn = fields.get("temperature") is not None
        beams = 1 if drawn else max(head.beams, fields.get("num", 1))
        heads[name] = head.clone(**{"beams": beams, **fields}, prompt=words)
        heads[name].check_fields()
    return model.clone(heads=heads)
