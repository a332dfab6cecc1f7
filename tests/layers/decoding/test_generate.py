"""Generation with a table in the place of a decoder: p(word | word before, place)."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.layers.decoding.generate import Task, beam_search, generate, greedy, sampling

WORDS, LENGTH, END = 4, 4, 0
BATCH = 3


@pytest.fixture(scope="module")
def table():
    """Logits [batch, place, word before, word]."""
    shape = (BATCH, LENGTH, WORDS, WORDS)
    return jnp.asarray(2 * np.random.default_rng(0).normal(size=shape).astype(np.float32))


def step(words, place, cache):
    row = jnp.arange(words.shape[0])
    return cache["table"][row, place, words], {**cache, "seen": cache["seen"] + 1}


def cache_of(table):
    return {"table": table, "seen": jnp.zeros((BATCH, 1), jnp.int32)}


def nothing():
    return jnp.zeros((BATCH, 0), jnp.int32), jnp.zeros((BATCH,), jnp.int32)


def texts(banned=()):
    """Every text: with an end, or of the full length."""
    words = [word for word in range(WORDS) if word not in banned]
    for length in range(1, LENGTH + 1):
        for text in itertools.product(words, repeat=length):
            ended = text[-1] == END
            if END not in text[:-1] and (ended or length == LENGTH):
                yield text


def log_p(table, text, example, banned=()):
    total, before = 0.0, END
    for place, word in enumerate(text):
        logits = np.asarray(table[example, place, before], np.float64)
        logits[list(banned)] = -np.inf
        total += logits[word] - np.logaddexp.reduce(logits)
        before = word
    return total


def padded(text):
    return [*text, *[END] * (LENGTH - len(text))]


def test_the_probabilities_of_all_texts_sum_to_one(table):
    assert sum(np.exp(log_p(table, text, 0)) for text in texts()) == pytest.approx(1)


@pytest.mark.parametrize("penalty", [0.0, 1.5, -1.0])
@pytest.mark.parametrize("banned", [(), (2,)])
def test_enough_beams_are_an_exhaustive_search(table, penalty, banned):
    task = Task(END, LENGTH, banned)
    found = beam_search(
        step, cache_of(table), *nothing(), task, beams=64, penalty=penalty, choices=5
    )
    for example in range(BATCH):
        scores = {
            text: log_p(table, text, example, banned) / ((5 + len(text)) / 6) ** penalty
            for text in texts(banned)
        }
        best = sorted(scores, key=lambda text: -scores[text])[:5]
        assert found.words[example].tolist() == [padded(text) for text in best]
        true = [log_p(table, text, example, banned) for text in best]
        np.testing.assert_allclose(found.log_probability[example], true, rtol=1e-4)


def test_few_beams_find_a_text_and_its_probability(table):
    found = beam_search(step, cache_of(table), *nothing(), Task(END, LENGTH), beams=2, choices=2)
    for example, choice in np.ndindex(BATCH, 2):
        text = found.words[example, choice].tolist()
        text = text[: text.index(END) + 1] if END in text else text
        true = log_p(table, text, example)
        assert float(found.log_probability[example, choice]) == pytest.approx(true, rel=1e-4)


def test_beams_beyond_the_number_of_texts_are_impossible(table):
    found = beam_search(step, cache_of(table), *nothing(), Task(END, 1), beams=6, choices=6)
    assert np.isfinite(found.log_probability).sum(axis=1).tolist() == [WORDS] * BATCH


def test_greedy_takes_the_most_probable_word_each_time(table):
    found = generate(step, cache_of(table), *nothing(), Task(END, LENGTH))
    for example in range(BATCH):
        text, before = [], END
        for place in range(LENGTH):
            before = int(jnp.argmax(table[example, place, before]))
            text.append(before)
            if before == END:
                break
        assert found.words[example, 0].tolist() == padded(text)
        true = log_p(table, text, example)
        assert float(found.log_probability[example, 0]) == pytest.approx(true, rel=1e-4)


def test_prompts_of_unequal_lengths_are_kept_and_cost_nothing(table):
    prompt = jnp.array([[3, 1], [2, 0], [0, 0]], jnp.int32)
    given = jnp.array([2, 1, 0], jnp.int32)
    task = Task(END, LENGTH)
    for found in (
        generate(step, cache_of(table), prompt, given, task),
        beam_search(step, cache_of(table), prompt, given, task, beams=64, choices=1),
    ):
        assert found.words[0, 0, :2].tolist() == [3, 1] and found.words[1, 0, 0] == 2
        for example, length in enumerate(given.tolist()):
            text = found.words[example, 0].tolist()
            ends = [place for place, word in enumerate(text) if word == END and place >= length]
            text = text[: ends[0] + 1] if ends else text
            true = log_p(table, text, example) - log_p(table, text[:length], example)
            assert float(found.log_probability[example, 0]) == pytest.approx(true, rel=1e-4)


def test_it_stops_when_all_have_ended(table):
    ending = table.at[:, 1:, :, END].set(50.0)
    calls = []

    def counted(words, place, cache):
        jax.debug.callback(lambda place: calls.append(int(place)), place)
        return step(words, place, cache)

    for search in (generate, beam_search):
        calls.clear()
        more = {"beams": 2} if search is beam_search else {}
        found = search(counted, cache_of(ending), *nothing(), Task(END, LENGTH), **more)
        jax.block_until_ready(found)
        jax.effects_barrier()
        assert max(calls) == 1


@pytest.mark.parametrize(
    "choose, possible",
    [
        (sampling(top_k=1), [3]),
        (sampling(top_k=2), [1, 3]),
        (sampling(top_p=0.6), [1, 3]),
        (sampling(top_p=0.5), [3]),
        (sampling(temperature=0.01), [3]),
        (sampling(temperature=100.0), [0, 1, 2, 3]),
        (greedy, [3]),
    ],
)
def test_drawn_words_are_those_that_are_allowed(choose, possible):
    p = jnp.array([[0.05, 0.3, 0.15, 0.5]], jnp.float32)
    logits = jnp.broadcast_to(jnp.log(p), (2000, 4))
    drawn = choose(jax.random.key(0), logits)
    assert sorted(set(drawn.tolist())) == possible


def test_draws_have_the_probabilities_of_the_model(table):
    counts = 4000
    found = generate(
        step,
        cache_of(table),
        *nothing(),
        Task(END, LENGTH),
        choose=sampling(),
        choices=counts,
        key=jax.random.key(1),
    )
    for text in texts():
        p = np.exp(log_p(table, text, 1))
        share = np.mean(np.all(np.asarray(found.words[1]) == padded(text), axis=1))
        assert abs(share - p) < 5 * np.sqrt(p * (1 - p) / counts) + 1e-9
