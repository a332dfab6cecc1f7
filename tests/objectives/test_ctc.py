"""Connectionist temporal classification against a sum over all paths."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.data.targets import Text
from mmjax.errors import UserError
from mmjax.heads.token_words import best_path
from mmjax.objectives import Ctc
from mmjax.types import Batch, Masked, Outputs

WORDS, TOKENS = 3, 4
CTC = Ctc(output="y", target="said")


def collapsed(path):
    return [word for word, _ in itertools.groupby(path) if word]


def batch(texts, mask=None):
    words = np.zeros((len(texts), 3), np.int32)
    for row, text in enumerate(texts):
        words[row, : len(text)] = text
    mask = np.ones(words.shape, bool) if mask is None else mask
    return Batch({}, {"said": Masked(words, mask)}, np.ones(len(texts), np.float32), np.arange(2))


@pytest.mark.parametrize("text", [[], [1], [2, 2], [1, 2, 1]])
@pytest.mark.parametrize("tokens", [4, 3])
def test_the_loss_sums_over_all_paths(text, tokens):
    logits = np.random.default_rng(0).normal(size=(1, TOKENS, WORDS)).astype(np.float32)
    log_p = np.asarray(jax.nn.log_softmax(logits[0], axis=-1), np.float64)
    total = sum(
        np.exp(sum(log_p[place, word] for place, word in enumerate(path)))
        for path in itertools.product(range(WORDS), repeat=tokens)
        if collapsed(path) == text
    )
    mask = jnp.arange(TOKENS)[None] < tokens
    found = CTC(Outputs({"y": {"logits": jnp.asarray(logits), "mask": mask}}), batch([text]))
    assert float(found["loss"].total) == pytest.approx(-np.log(total), rel=1e-4)
    assert float(found["loss"].count) == max(len(text), 1)
    assert float(found["unaligned"].mean()) == 0


def test_a_text_without_a_path_does_not_count_and_is_reported():
    mask = jnp.arange(TOKENS)[None] < jnp.array([[2], [4]])
    output = {"logits": jnp.zeros((2, TOKENS, WORDS)), "mask": mask}
    found = CTC(Outputs({"y": output}), batch([[2, 2], [2, 2]]))
    assert float(found["unaligned"].mean()) == 0.5
    assert float(found["loss"].count) == 2 and np.isfinite(float(found["loss"].total))


def test_the_best_path_is_collapsed():
    path = [[1, 1, 0, 1], [0, 2, 2, 1], [0, 0, 0, 0], [2, 1, 1, 1]]
    logits = 5.0 * jax.nn.one_hot(jnp.array(path), WORDS)
    mask = jnp.ones((4, TOKENS), bool).at[3, 1:].set(False)
    words, log_p = best_path(logits, mask)
    assert words.tolist() == [[1, 1, 0, 0], [2, 1, 0, 0], [0] * 4, [2, 0, 0, 0]]
    each = float(jax.nn.log_softmax(jnp.array([5.0, 0.0, 0.0]))[0])
    np.testing.assert_allclose(log_p, [4 * each] * 3 + [each], rtol=1e-5)


def test_metrics_are_those_of_texts():
    kind = Text.fit(["one two", "two"])  # words 2 and 3 are "two" and "one"
    target = kind(["one two", "two"])
    output = {
        "logits": jnp.zeros((2, TOKENS, 4)),
        "mask": jnp.ones((2, TOKENS), bool),
        "words": jnp.array([[[3, 2, 0, 0]], [[3, 2, 0, 0]]]),
    }
    given = Batch({}, {"said": target}, np.ones(2, np.float32), np.arange(2))
    records = {k: np.asarray(v) for k, v in CTC.record(Outputs({"y": output}), given).items()}
    metrics = CTC.metrics(records, kind)
    assert metrics["exact_match"] == 0.5
    assert metrics["word_error_rate"] == pytest.approx(1 / 3)


def test_another_head_is_named():
    with pytest.raises(UserError, match="'y' gives no words of single tokens"):
        CTC(Outputs({"y": jnp.zeros((1, 3))}), batch([[1]]))
