"""The match task with captions: does the caption name the class of the image?"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from mmjax.data.dataset import Inputs
from mmjax.data.datasets.match import Match
from mmjax.data.preprocessing import Preprocessing
from mmjax.data.share import Rng, Share
from mmjax.data.transforms.augment import drop_words
from mmjax.data.transforms.text import TextTransform
from mmjax.data.transforms.tokenizer import Kind


@dataclass(frozen=True)
class CaptionMatch(Match):
    """The base class of match tasks with captions."""

    max_words: int = 10  # longer captions are cut; a tokenizer's special words count too
    # Largest number of different words, with the padding and the unknown word.
    vocabulary_size: int = 10_000
    tokens: Kind = "words"  # how captions are split: "words", "bpe" or "wordpiece"
    # A published tokenizer.json or vocab.txt, instead of a vocabulary of the captions.
    tokenizer: str | None = None
    word_dropout: float = 0.0  # share of the training words replaced by the unknown word, 0 to 1

    captions: ClassVar[Sequence[Sequence[str]]]
    """The captions of each class."""
    modality = "text"

    def partners(self, split: str) -> Sequence[Sequence[str]]:
        """The captions, which are the same in every split."""
        return self.captions

    def partner_transform(self) -> TextTransform:
        """A tokenizer of all captions, or the published one."""
        if self.tokenizer is not None:
            return TextTransform.load(self.tokenizer, max_words=self.max_words)
        return TextTransform.fit(
            itertools.chain.from_iterable(self.captions),
            vocabulary_size=self.vocabulary_size,
            max_words=self.max_words,
            tokens=self.tokens,
        )

    def perturb(
        self, inputs: Inputs, preprocessing: Preprocessing, rng: Rng, share: Share | None = None
    ) -> Inputs:
        texts = ("text",) if "text" in preprocessing.transforms else ()
        return drop_words(inputs, texts, preprocessing, self.word_dropout, rng, share)

    @property
    def perturbs(self) -> bool:
        return self.word_dropout > 0
