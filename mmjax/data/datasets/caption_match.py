"""The match task with captions: does the caption name what the image shows?"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mmjax.data.datasets.match import Match
from mmjax.data.preprocessing import Preprocessing
from mmjax.data.share import Share
from mmjax.data.transforms.augment import drop_words
from mmjax.data.transforms.text import TextTransform
from mmjax.data.transforms.tokenizer import Kind
from mmjax.types import Masked


@dataclass(frozen=True)
class CaptionMatch(Match):
    """The fields and the fitting that the data sets with captions share."""

    # Longer captions are cut; parts of words and a tokenizer's special words count too.
    max_words: int = 10
    # At most so many different words, the padding and the unknown word included.
    vocabulary_size: int = 10_000
    # What a caption is split into: whole words, or parts of words in one of two ways.
    tokens: Kind = "words"
    # An existing tokenizer.json or vocab.txt, instead of a vocabulary of the captions.
    tokenizer: str | None = None
    word_dropout: float = 0.0  # Share of the training words replaced by the unknown word, 0 to 1

    captions: ClassVar[Sequence[Sequence[str]]]
    """The wordings of each class."""
    modality = "text"

    def partners(self, split: str) -> Sequence[Sequence[str]]:
        """The captions; every split has all of them."""
        return self.captions

    def partner_transform(self) -> TextTransform:
        """A tokenizer of the captions that training can draw, or the existing one."""
        if self.tokenizer is not None:
            return TextTransform.load(self.tokenizer, max_words=self.max_words)
        # With two classes or more every class is drawn: as the true one or as the other one.
        return TextTransform.fit(
            itertools.chain.from_iterable(self.captions),
            vocabulary_size=self.vocabulary_size,
            max_words=self.max_words,
            tokens=self.tokens,
        )

    def perturb(
        self,
        inputs: dict[str, Masked],
        preprocessing: Preprocessing,
        rng: np.random.Generator,
        share: Share | None = None,
    ) -> dict[str, Masked]:
        """Replace some words by the unknown word."""
        return drop_words(inputs, ("text",), preprocessing, self.word_dropout, rng, share)

    @property
    def perturbs(self) -> bool:
        """Whether words are dropped."""
        return self.word_dropout > 0
