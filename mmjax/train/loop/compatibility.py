"""Checks that model, objectives and data fit together, beyond shapes and types."""

from mmjax.config import Experiment
from mmjax.data.preprocessing import Preprocessing
from mmjax.data.targets import Category, MultiLabel
from mmjax.data.transforms.audio import AudioTransform
from mmjax.data.transforms.table import TableTransform
from mmjax.data.transforms.text import TextTransform
from mmjax.errors import UserError


def require_agreement(experiment: Experiment, preprocessing: Preprocessing) -> None:
    """UserError, naming the flag, where a part of the model expects other values than the data has.

    Encoders treat unknown ids as missing, and cannot detect another sample rate: without this
    check training would be silently wrong.
    """
    for name, encoder in experiment.model.encoders.items():
        transform = preprocessing.transforms.get(name)
        flag = f"--model.encoders.{name}"
        if isinstance(transform, TextTransform) and hasattr(encoder, "vocabulary_size"):
            rows, words = encoder.vocabulary_size, transform.vocabulary_size
            if rows < words:
                raise UserError(
                    f"{flag}.vocabulary-size {rows}: the texts' tokenizer has {words} words; "
                    "allow as many, or choose a smaller vocabulary with --data.vocabulary-size"
                )
        if isinstance(transform, TableTransform) and hasattr(encoder, "categories"):
            given, wanted = encoder.categories, transform.categories
            if (given or (0,) * len(wanted)) != wanted:
                raise UserError(
                    f"{flag}.categories {given}: the table's columns have {wanted} (0: a number)"
                )
        rate = getattr(encoder, "sample_rate", None)
        if isinstance(transform, AudioTransform) and rate not in (None, transform.sample_rate):
            raise UserError(
                f"{flag}.sample-rate {rate}: the recordings come at {transform.sample_rate} Hz"
            )
    for name, objective in experiment.objectives.items():
        if objective.target is None:
            continue
        if objective.target not in preprocessing.targets:
            raise UserError(
                f"objectives.{name}: the data has no target {objective.target!r}; choose "
                f"--objectives.{name}.target from {', '.join(sorted(preprocessing.targets))}"
            )
        kind = preprocessing.targets[objective.target]
        head = experiment.model.heads_by_output.get(objective.output)
        for field, wanted in (("classes", Category), ("labels", MultiLabel)):
            got = getattr(head, field, None)
            if isinstance(kind, wanted) and got is not None and got != len(kind.names):
                raise UserError(
                    f"--model.heads.{objective.output}.{field} {got}: target "
                    f"{objective.target!r} has {len(kind.names)}: {', '.join(kind.names[:10])}"
                )
