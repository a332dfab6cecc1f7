"""The interface of decoders: heads that write a text, word by word."""

import abc
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Float, Int

from mmjax.errors import UserError
from mmjax.layers.decoding.generate import (
    Step,
    Task,
    Texts,
    beam_search,
    generate,
    greedy,
    sampling,
)
from mmjax.layers.tokens.masking import clear
from mmjax.types import Masked, Tokens


class Decoder(nn.Module, kw_only=True):
    """Logits of each word from the tokens and the words before it; in evaluation also texts.

    Teacher forcing: word t is predicted from the true words before it. A text begins and ends with
    the word `end`. The search is greedy with one beam and no temperature.

    Attributes:
        target: the text that it learns to write, by the target's name
        vocabulary_size: words have the numbers 0 to vocabulary_size - 1
        end: the word that begins and ends each text, as in GPT-2
        unknown: the word that stands for unknown ones and is never written; None: there is none
        length: words of the longest text that is written, with the end
        beams: unfinished texts that beam search follows
        length_penalty: of beam search, Wu et al. 2016, arXiv:1609.08144; above 0 for longer texts
        temperature: draw words from softmax(logits / temperature); None: search
        top_k: draw from the k most probable words; 0: from all
        top_p: draw from the most probable words that together reach this probability
        num: texts for each example
        seed: of drawing
        prompt: words that every text begins with
    """

    # Not comments beside the fields: tyro finds no comments of classes made at run time.
    target: str = "text"
    vocabulary_size: int = 10_000
    end: int = 0
    unknown: int | None = 1
    length: int = 32
    beams: int = 1
    length_penalty: float = 0.0
    temperature: float | None = None
    top_k: int = 0
    top_p: float = 1.0
    num: int = 1
    seed: int = 0
    prompt: tuple[int, ...] = ()

    @abc.abstractmethod
    def logits(
        self, tokens: Tokens, words: Int[Array, "batch word"], train: bool
    ) -> Float[Array, "batch word vocabulary"]:
        """The logits of the word after each of `words`."""

    @abc.abstractmethod
    def stepper(self, tokens: Tokens, length: int) -> tuple[Step, Any]:
        """A step of generation, a pure function, and its cache for texts of up to `length`."""

    @staticmethod
    def fixed(path: Any) -> bool:
        """Whether the array of the cache at a path never changes."""
        del path
        return False

    def __call__(
        self, tokens: Tokens, train: bool, target: Masked | None = None, write: bool = True
    ) -> dict[str, Array]:
        """With a target "logits" `[batch, word, vocabulary]`; in evaluation "words" and their
        "log_probability", `[batch, alternative, word]` and `[batch, alternative]`.

        Args:
            tokens: what the text is about
            train: whether to drop out
            target: words int `[batch, word]` and mask
            write: whether to generate texts in evaluation

        Raises:
            UserError: a field is out of range, or `train` without a target.
        """
        self.check_fields()
        outputs = {}
        if self.is_initializing() and target is None:
            words = jnp.zeros((tokens.mask.shape[0], 1), jnp.int32)
            target, write = Masked(words, jnp.ones(words.shape, bool)), False
        if target is not None:
            words = jnp.clip(clear(target.values, target.mask), 0, self.vocabulary_size - 1)
            before = jnp.pad(words[:, :-1], ((0, 0), (1, 0)), constant_values=self.end)
            outputs["logits"] = self.logits(tokens, before, train)
        elif train:
            raise UserError(f"the data have no target {self.target!r}, which the decoder learns")
        if write and not train:
            texts = self.written(tokens)
            outputs |= {"words": texts.words, "log_probability": texts.log_probability}
        return outputs

    def written(self, tokens: Tokens) -> Texts:
        """The texts that the fields ask for."""
        step, cache = self.stepper(tokens, self.length)
        batch = tokens.mask.shape[0]
        prompt = jnp.broadcast_to(jnp.array(self.prompt, jnp.int32), (batch, len(self.prompt)))
        given = jnp.full((batch,), len(self.prompt), jnp.int32)
        banned = () if self.unknown is None else (self.unknown,)
        task = Task(self.end, self.length, banned)
        if self.temperature is None and self.beams > 1:
            return beam_search(
                step,
                cache,
                prompt,
                given,
                task,
                beams=self.beams,
                penalty=self.length_penalty,
                choices=self.num,
                fixed=self.fixed,
            )
        choose = greedy
        if self.temperature is not None:
            choose = sampling(self.temperature, self.top_k, self.top_p)
        key = jax.random.key(self.seed)
        return generate(step, cache, prompt, given, task, choose=choose, choices=self.num, key=key)

    def check_fields(self) -> None:
        """UserError where a field of this class is out of range."""
        least = {"vocabulary_size": 2, "length": 1, "beams": 1, "top_k": 0, "num": 1}
        for name, lowest in least.items():
            if getattr(self, name) < lowest:
                raise UserError(f"{name}: expected at least {lowest}, got {getattr(self, name)}")
        if self.temperature is not None and not self.temperature > 0:
            raise UserError(f"temperature: expected above 0, got {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise UserError(f"top_p: expected above 0 and at most 1, got {self.top_p}")
        if self.temperature is None and (self.top_k or self.top_p < 1):
            raise UserError("top_k and top_p are for drawing words: give a temperature too")
        if self.temperature is not None and self.beams > 1:
            raise UserError("beams: words are either drawn (temperature) or searched (beams)")
        if self.temperature is None and self.num > self.beams:
            raise UserError(
                f"num: beam search gives at most as many texts as beams, {self.beams}; "
                f"got {self.num}"
            )
        if len(self.prompt) >= self.length:
            raise UserError(
                f"prompt: expected fewer than {self.length} words, the decoder's longest text, "
                f"got {len(self.prompt)}"
            )
        wrong = {self.end, *self.prompt} - set(range(self.vocabulary_size))
        if wrong:
            raise UserError(f"the vocabulary has {self.vocabulary_size} words, none of {wrong}")
