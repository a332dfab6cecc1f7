"""Generation word by word as one compiled loop: greedy, by sampling, by beam search.

Top-k sampling: Fan et al. 2018, arXiv:1805.04833; nucleus sampling: Holtzman et al. 2020,
arXiv:1904.09751; beams with a length penalty: Wu et al. 2016, arXiv:1609.08144, equation 14.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int, PRNGKeyArray

# (words [row], their position, cache) -> (logits [row, word] of the next words, cache)
Step = Callable[[Array, Array, Any], tuple[Array, Any]]
Choose = Callable[[PRNGKeyArray, Array], Array]


class Texts(NamedTuple):
    """Generated texts, the best first."""

    words: Int[Array, "batch choice word"]  # after the end only `end`
    # Of the words after the prompt, with the end; -inf where fewer texts are possible than asked.
    log_probability: Float[Array, "batch choice"]


class Task(NamedTuple):
    """What is generated."""

    end: int  # the word that begins and ends each text
    length: int  # words of the longest text, prompt and end counted
    banned: tuple[int, ...] = ()  # words that are never generated

    def log_p(self, logits: Float[Array, "row vocabulary"]) -> Float[Array, "row vocabulary"]:
        """Log-probabilities of the words that may be generated."""
        return jax.nn.log_softmax(self.allowed(logits), axis=-1)

    def allowed(self, logits: Float[Array, "row vocabulary"]) -> Float[Array, "row vocabulary"]:
        """The logits in float32, -inf for banned words."""
        logits = logits.astype(jnp.float32)
        if not self.banned:
            return logits
        return logits.at[:, jnp.array(self.banned)].set(-jnp.inf)


def greedy(key: PRNGKeyArray, logits: Float[Array, "row vocabulary"]) -> Int[Array, "row"]:
    """The most probable word; the first of equal ones."""
    del key
    return jnp.argmax(logits, axis=-1).astype(jnp.int32)


def sampling(temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> Choose:
    """Draws a word from softmax(logits / temperature).

    Args:
        temperature: above 0; less than 1 prefers probable words
        top_k: only the k most probable words; 0: all
        top_p: only the most probable words that together reach this probability
    """

    def choose(key: PRNGKeyArray, logits: Float[Array, "row vocabulary"]) -> Int[Array, "row"]:
        logits = logits / temperature
        ordered = jnp.sort(logits, axis=-1, descending=True)
        least = jnp.full_like(logits[:, :1], -jnp.inf)
        if 0 < top_k < logits.shape[-1]:
            least = ordered[:, top_k - 1 : top_k]
        if top_p < 1:
            p = jax.nn.softmax(ordered, axis=-1)
            # The word that passes the threshold still belongs to the nucleus.
            inside = jnp.cumsum(p, axis=-1) - p < top_p
            last = jnp.where(inside, ordered, jnp.full_like(ordered, jnp.inf))
            least = jnp.maximum(least, jnp.min(last, axis=-1, keepdims=True))
        logits = jnp.where(logits >= least, logits, jnp.full_like(logits, -jnp.inf))
        return jax.random.categorical(key, logits, axis=-1).astype(jnp.int32)

    return choose


def generate(
    step: Step,
    cache: Any,
    prompt: Int[Array, "batch word"],
    given: Int[Array, "batch"],
    task: Task,
    *,
    choose: Choose = greedy,
    choices: int = 1,
    key: PRNGKeyArray | None = None,
) -> Texts:
    """Texts of which `choose` decides every word; stops when all have ended.

    Args:
        step: gives the logits of the next word; in its first call the word is `end`
        cache: of the step, arrays `[batch, ...]`
        prompt: words that the texts begin with
        given: how many of them, for each example
        task: what is generated
        choose: (key, logits) -> words
        choices: texts for each example, in the order in which they are drawn
        key: of the random numbers
    """
    rows = prompt.shape[0] * choices
    prompt, given, cache = jax.tree.map(
        lambda x: jnp.repeat(x, choices, axis=0), (prompt, given, cache)
    )
    key = jax.random.key(0) if key is None else key

    def body(state: Any) -> Any:
        place, words, before, ended, total, cache = state
        logits, cache = step(before, place, cache)
        forced, word = _forced(prompt, given, place)
        word = jnp.where(forced, word, choose(jax.random.fold_in(key, place), task.allowed(logits)))
        word = jnp.where(ended, task.end, word)
        own = jnp.take_along_axis(task.log_p(logits), word[:, None], axis=1)[:, 0]
        total = jnp.where(forced | ended, total, total + own)
        words = jax.lax.dynamic_update_index_in_dim(words, word, place, axis=1)
        return place + 1, words, word, ended | (~forced & (word == task.end)), total, cache

    def unfinished(state: Any) -> Array:
        place, _, _, ended, *_ = state
        return (place < task.length) & ~jnp.all(ended)

    zero = _zero(cache)
    words = jnp.full((rows, task.length), task.end, jnp.int32) + zero
    before = words[:, 0]
    total = jnp.zeros_like(before, jnp.float32)
    start = (zero, words, before, before != task.end, total, cache)
    _, words, _, _, total, _ = jax.lax.while_loop(unfinished, body, start)
    shape = (-1, choices, task.length)
    return Texts(jnp.reshape(words, shape), jnp.reshape(total, shape[:2]))


def beam_search(
    step: Step,
    cache: Any,
    prompt: Int[Array, "batch word"],
    given: Int[Array, "batch"],
    task: Task,
    *,
    beams: int,
    penalty: float = 0.0,
    choices: int = 1,
    fixed: Callable[[Any], Any] = lambda path: False,
) -> Texts:
    """The texts of the highest score found; stops when no beam can give a better one.

    score = log p(text) / ((5 + words) / 6)^penalty. Texts that have ended are kept apart from the
    beams, so none is lost; those of `length` words need no end. With as many beams as there are
    texts the result is that of an exhaustive search.

    Args:
        step, cache, prompt, given, task: as of `generate`
        beams: unfinished texts that are followed for each example
        penalty: above 0 prefers longer texts
        choices: texts that are returned, at most `beams`
        fixed: whether the array of the cache at a path is the same for all beams of an example
    """
    batch = prompt.shape[0]
    cache = jax.tree.map(lambda x: jnp.repeat(x, beams, axis=0), cache)
    row = jnp.arange(batch)[:, None]

    def scored(total: Array, words: Array) -> Array:
        return total / ((5.0 + words.astype(jnp.float32)) / 6.0) ** penalty

    def body(state: Any) -> Any:
        place, words, before, total, done, done_total, done_score, cache = state
        logits, cache = step(jnp.reshape(before, -1), place, cache)
        log_p = jnp.reshape(task.log_p(logits), (batch, beams, -1))
        forced, word = _forced(prompt, given, place)
        number = jnp.arange(log_p.shape[2])[None, None]
        only = jnp.where(number == word[:, None, None], 0.0, -jnp.inf)
        log_p = jnp.where(forced[:, None, None], only, log_p)
        following = total[:, :, None] + log_p
        # Each beam may end here ...
        ended = jnp.where(forced[:, None], -jnp.inf, following[:, :, task.end])
        done, done_total, done_score = _best(
            beams,
            jnp.concatenate([done_score, scored(ended, place + 1)], axis=1),
            jnp.concatenate([done, words], axis=1),
            jnp.concatenate([done_total, ended], axis=1),
        )
        # ... or go on with another word.
        free = jnp.where(forced, -1, task.end)  # a prompt may hold the end
        going = jnp.where(number == free[:, None, None], -jnp.inf, following)
        total, best = jax.lax.top_k(jnp.reshape(going, (batch, -1)), beams)
        parent, before = best // log_p.shape[2], (best % log_p.shape[2]).astype(jnp.int32)
        words = jax.lax.dynamic_update_index_in_dim(words[row, parent], before, place, axis=2)
        flat = jnp.reshape(row * beams + parent, -1)
        cache = jax.tree_util.tree_map_with_path(
            lambda path, x: x if fixed(path) else x[flat], cache
        )
        return place + 1, words, before, total, done, done_total, done_score, cache

    def unfinished(state: Any) -> Array:
        place, _, _, total, _, _, done_score, _ = state
        # A score rises or falls with the length alone: its bound is at one of the two ends.
        ends = scored(total[:, 0], place + 1), scored(total[:, 0], jnp.asarray(task.length))
        better = jnp.maximum(*ends) > done_score[:, choices - 1]
        return (place < task.length) & jnp.any(better)

    zero = _zero(cache)
    words = jnp.full((batch, beams, task.length), task.end, jnp.int32) + zero
    nothing = jnp.full_like(words[:, :, 0], -jnp.inf, jnp.float32)
    total = nothing.at[:, 0].set(0.0)
    start = (zero, words, words[:, :, 0], total, words, nothing, nothing, cache)
    place, words, _, total, done, done_total, done_score, _ = jax.lax.while_loop(
        unfinished, body, start
    )
    # Beams at the full length are texts too; shorter ones cannot become better than those ended.
    whole = jnp.where(place == task.length, scored(total, place), -jnp.inf)
    done, done_total, _ = _best(
        choices,
        jnp.concatenate([done_score, whole], axis=1),
        jnp.concatenate([done, words], axis=1),
        jnp.concatenate([done_total, total], axis=1),
    )
    return Texts(done, done_total)


def _best(count: int, score: Array, words: Array, total: Array) -> tuple[Array, Array, Array]:
    """Words, totals and scores of the `count` highest scores."""
    score, best = jax.lax.top_k(score, count)
    row = jnp.arange(score.shape[0])[:, None]
    return words[row, best], total[row, best], score


def _forced(
    prompt: Int[Array, "row word"], given: Int[Array, "row"], place: Int[Array, ""]
) -> tuple[Bool[Array, "row"], Int[Array, "row"]]:
    """Whether the prompt says the word at a place, and which one."""
    if prompt.shape[1] == 0:
        return given < 0, given
    last = jnp.minimum(place, prompt.shape[1] - 1)
    return place < given, jax.lax.dynamic_index_in_dim(prompt, last, axis=1, keepdims=False)


def _zero(cache: Any) -> Int[Array, ""]:
    """0; inside shard_map it varies over devices as the cache does, as a loop's state must."""
    zeros = [jnp.zeros_like(x, shape=()).astype(jnp.int32) for x in jax.tree.leaves(cache)]
    return jnp.asarray(sum(zeros), jnp.int32)
