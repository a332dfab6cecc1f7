"""Encoders and objectives, and the data that they are given: what shapes and types do not tell."""

from mmjax.config import Experiment
from mmjax.data.preprocessing import Preprocessing
from mmjax.data.transforms.audio import AudioTransform
from mmjax.data.transforms.table import TableTransform
from mmjax.data.transforms.text import TextTransform
from mmjax.types import Batch


def require_agreement(experiment: Experiment, preprocessing: Preprocessing) -> None:
    """ValueError, naming the flag, where an encoder expects other numbers than the data gives.

    An encoder takes ids and categories beyond its tables for missing, in silence, and cannot hear
    that samples come at another rate.
    """
    for name, encoder in getattr(experiment.model, "encoders", {}).items():
        transform = preprocessing.transforms.get(name)
        flag = f"--model.encoders.{name}"
        if isinstance(transform, TextTransform) and hasattr(encoder, "vocabulary_size"):
            rows, words = encoder.vocabulary_size, transform.vocabulary_size
            if rows < words:
                raise ValueError(
                    f"{flag}.vocabulary-size {rows}: the texts' tokenizer has {words} words; "
                    "allow as many, or choose a smaller vocabulary with --data.vocabulary-size"
                )
        if isinstance(transform, TableTransform) and hasattr(encoder, "categories"):
            given, wanted = encoder.categories, transform.categories
            if (given or (0,) * len(wanted)) != wanted:
                raise ValueError(
                    f"{flag}.categories {given}: the table's columns have {wanted} (0: a number)"
                )
        rate = getattr(encoder, "sample_rate", None)
        if isinstance(transform, AudioTransform) and rate not in (None, transform.sample_rate):
            raise ValueError(
                f"{flag}.sample-rate {rate}: the recordings come at {transform.sample_rate} Hz"
            )


def require_labels(experiment: Experiment, batch: Batch) -> None:
    """ValueError where an objective reads a label that the data does not have."""
    if missing := sorted(set(experiment.objectives) - set(batch.labels)):
        raise ValueError(
            f"objectives {missing}: the data has no such label; it has {sorted(batch.labels)}"
        )
