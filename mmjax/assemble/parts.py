"""Encoders, heads and objectives by what the columns of a table hold."""

from typing import NamedTuple

from flax import linen as nn

from mmjax import encoders, heads, objectives
from mmjax.data.targets import Binary, Category, MultiLabel, Number, Survival, Target, Text
from mmjax.data.transforms.audio import AudioTransform
from mmjax.data.transforms.features import FeatureTransform
from mmjax.data.transforms.image import ImageTransform
from mmjax.data.transforms.table import TableTransform
from mmjax.data.transforms.text import TextTransform
from mmjax.data.transforms.transform import Transform
from mmjax.errors import UserError
from mmjax.objectives import Objective

DIM = 64  # width of every token


class Answer(NamedTuple):
    """How a target is predicted, and by which validation metric models are compared."""

    head: nn.Module
    objective: Objective
    metric: str
    higher: bool  # whether a higher value is better


def encoder(transform: Transform, *, ordered: bool = False) -> nn.Module:
    """The encoder of a modality; sizes suit a laptop and a few thousand rows.

    `ordered`: one that reads the words of a text in their order, which takes more rows to learn.
    """
    match transform:
        case ImageTransform():
            return encoders.Cnn(features=(16, 32), dim=DIM)
        case TextTransform():
            kind = encoders.Lstm if ordered else encoders.BagOfWords
            return kind(max(transform.vocabulary_size, 2), dim=DIM)
        case TableTransform():
            return encoders.TableMlp(
                DIM, hidden=(128,), categories=transform.categories, dropout=0.1
            )
        case AudioTransform():
            return encoders.AudioCnn(sample_rate=transform.sample_rate, dim=DIM)
        case FeatureTransform() if transform.max_tokens == 1:
            return encoders.Features(DIM, hidden=(128,), dropout=0.1)
        case FeatureTransform():
            return encoders.Gru(dim=DIM)
    raise UserError(f"expected a known kind of modality, got {type(transform).__name__}")


def answer(name: str, target: Target) -> Answer:
    """Head, objective and metric of a target."""
    match target:
        case Binary():
            loss = objectives.BinaryCrossEntropy(output=name, target=name)
            return Answer(heads.Logit(hidden=(DIM,)), loss, f"{name}/auroc", True)
        case Category():
            loss = objectives.SoftmaxCrossEntropy(output=name, target=name)
            head = heads.Classes(classes=len(target.names), hidden=(DIM,))
            return Answer(head, loss, f"{name}/accuracy", True)
        case MultiLabel():
            loss = objectives.BinaryCrossEntropy(output=name, target=name)
            return Answer(heads.Logit(labels=len(target.names), hidden=(DIM,)), loss, "loss", False)
        case Number():
            loss = objectives.SquaredError(output=name, target=name)
            return Answer(heads.Number(hidden=(DIM,)), loss, f"{name}/rmse", False)
        case Survival():
            loss = objectives.Cox(output=name, target=name)
            return Answer(heads.Number(hidden=(DIM,)), loss, f"{name}/concordance", True)
        case Text():
            head = heads.TransformerDecoder(
                target=name,
                vocabulary_size=target.vocabulary_size,
                end=target.end,
                unknown=target.unknown,
                length=target.max_words,
                positions=target.max_words,
                width=DIM,
                dropout=0.1,
            )
            loss = objectives.TextCrossEntropy(output=name, target=name)
            return Answer(head, loss, f"{name}/perplexity", False)
    raise UserError(f"target {name!r}: {type(target).__name__} cannot be predicted")
