"""Decoders: cached steps, missing tokens, many devices, and what is refused."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.devices import parallel
from mmjax.errors import UserError
from mmjax.heads import LstmDecoder, TransformerDecoder
from mmjax.types import Masked, Tokens

WORDS, LENGTH = 5, 4
SMALL = {"vocabulary_size": WORDS, "width": 8, "length": LENGTH, "unknown": None}
DECODERS = {
    "lstm": LstmDecoder(**SMALL),
    "cross": TransformerDecoder(**SMALL, layers=2, heads=2),
    "prefix": TransformerDecoder(**SMALL, layers=2, heads=2, context="prefix"),
}


def tokens(batch=4):
    rng = np.random.default_rng(0)
    mask = rng.random((batch, 5)) < 0.6
    mask[-1] = False
    values = rng.normal(size=(batch, 5, 6)).astype(np.float32)
    return Tokens(jnp.asarray(values), jnp.asarray(mask))


@functools.cache
def made(name):
    """A decoder with its variables, moved so that all words have different probabilities."""
    decoder = DECODERS[name]
    variables = jax.jit(lambda: decoder.init(jax.random.key(0), tokens(), train=False))()
    keys = itertools.count()
    moved = jax.tree.map(
        lambda x: x + 0.5 * jax.random.normal(jax.random.key(next(keys)), x.shape), variables
    )
    return decoder, moved


def taught(decoder, variables, tokens, words):
    target = Masked(words, jnp.ones(words.shape, bool))
    output = decoder.apply(variables, tokens, train=False, target=target, write=False)
    return output["logits"]


@pytest.mark.parametrize("name", DECODERS)
def test_cached_steps_give_the_logits_of_teacher_forcing(name):
    decoder, variables = made(name)
    words = jnp.asarray(np.random.default_rng(1).integers(0, WORDS, (4, LENGTH)), jnp.int32)
    whole = taught(decoder, variables, tokens(), words)

    @jax.jit
    def stepped(variables):
        step, cache = decoder.apply(variables, tokens(), LENGTH, method="stepper")
        before, logits_of = jnp.zeros((4,), jnp.int32), []
        for place in range(LENGTH):
            logits, cache = step(before, jnp.asarray(place, jnp.int32), cache)
            logits_of.append(logits)
            before = words[:, place]
        return logits_of

    np.testing.assert_allclose(jnp.stack(stepped(variables), axis=1), whole, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", DECODERS)
def test_written_texts_have_the_probability_that_teacher_forcing_gives_them(name):
    decoder, variables = made(name)
    for fields in ({}, {"beams": 3, "num": 2}, {"temperature": 1.5, "num": 2}):
        other = decoder.clone(**fields)
        found = jax.jit(lambda v, other=other: other.apply(v, tokens(), train=False))(variables)
        for choice in range(found["words"].shape[1]):
            words = found["words"][:, choice]
            log_p = jax.nn.log_softmax(taught(decoder, variables, tokens(), words), axis=-1)
            own = jnp.take_along_axis(log_p, words[:, :, None], axis=2)[:, :, 0]
            ended = jnp.cumsum(words == 0, axis=1)
            counted = (ended == 0) | ((ended == 1) & (words == 0))
            total = jnp.sum(jnp.where(counted, own, 0.0), axis=1)
            np.testing.assert_allclose(
                found["log_probability"][:, choice], total, rtol=1e-4, atol=1e-4
            )
        assert np.all(np.isfinite(found["log_probability"]))  # also without any token


@pytest.mark.parametrize("name", DECODERS)
def test_masked_tokens_change_no_text(name):
    decoder, variables = made(name)
    given = tokens()
    other = jnp.where(given.mask[:, :, None], given.values, 1e30)
    write = jax.jit(
        lambda values: decoder.apply(variables, Tokens(values, given.mask), train=False)
    )
    for a, b in zip(
        jax.tree.leaves(write(given.values)), jax.tree.leaves(write(other)), strict=True
    ):
        np.testing.assert_array_equal(a, b)


def test_texts_do_not_depend_on_the_number_of_devices():
    decoder, variables = made("cross")
    decoder = decoder.clone(beams=2)
    given = tokens(8)

    def step(variables, tokens):
        return decoder.apply(variables, tokens, train=False)

    found = [
        jax.tree.map(
            lambda x: np.reshape(x, (8, *x.shape[2:])),
            parallel.each(step, parallel.mesh_of(count))(
                variables, jax.tree.map(np.asarray, given)
            ),
        )
        for count in (1, 8)
    ]
    np.testing.assert_array_equal(found[0]["words"], found[1]["words"])
    np.testing.assert_allclose(found[0]["log_probability"], found[1]["log_probability"], atol=1e-5)


def test_words_see_only_earlier_words():
    for name in DECODERS:
        decoder, variables = made(name)
        words = jnp.ones((4, LENGTH), jnp.int32)
        one = taught(decoder, variables, tokens(), words)
        other = taught(decoder, variables, tokens(), words.at[:, 2].set(3))
        np.testing.assert_array_equal(one[:, :3], other[:, :3])
        assert np.any(one[:, 3] != other[:, 3])


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"temperature": 0.0}, "temperature: expected above 0, got 0.0"),
        ({"temperature": -1.0}, "temperature: expected above 0"),
        ({"beams": 0}, "beams: expected at least 1, got 0"),
        ({"top_p": 0.0, "temperature": 1.0}, "top_p: expected above 0"),
        ({"top_k": 3}, "give a temperature too"),
        ({"num": 3}, "at most as many texts as beams, 1"),
        ({"beams": 2, "temperature": 1.0}, "either drawn"),
        ({"prompt": (1, 2, 3, 4)}, "prompt: expected fewer than 4 words"),
        ({"prompt": (7,)}, r"none of \{7\}"),
        ({"length": 65}, "at most the 64 positions"),
        ({"weights": "a.safetensors"}, 'give context "prefix"'),
    ],
)
def test_fields_out_of_range_are_refused(fields, message):
    decoder, variables = made("cross")
    with pytest.raises(UserError, match=message):
        decoder.clone(**fields).apply(variables, tokens(), train=False)


def test_training_without_a_target_is_refused():
    decoder, variables = made("lstm")
    with pytest.raises(UserError, match="no target 'text'"):
        decoder.apply(variables, tokens(), train=True, rngs={"dropout": jax.random.key(0)})
