"""Cross-entropy of texts: every word counts the same, and what is reported of a split."""

import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.data.targets import Group, Text
from mmjax.errors import UserError
from mmjax.objectives import TextCrossEntropy
from mmjax.types import Batch, Outputs

KIND = Text.fit(["a red cat", "a dog"])


def batch(rows, **more):
    target = KIND(rows)
    targets = {"caption": target} | {name: Group()(groups) for name, groups in more.items()}
    return Batch({}, targets, np.ones(len(rows), np.float32), np.arange(len(rows)))


def outputs(rows, written, scale=3.0):
    """Logits that prefer the words of `rows`, and texts."""
    words = KIND(rows).values
    logits = scale * (words[:, :, None] == np.arange(KIND.vocabulary_size))
    texts = KIND(written).values[:, None]
    return Outputs(
        {
            "y": {
                "logits": jnp.asarray(logits.astype(np.float32)),
                "words": jnp.asarray(texts),
                "log_probability": jnp.zeros((len(rows), 1)),
            }
        }
    )


def measured(objective, outputs, batch):
    records = {k: np.asarray(v) for k, v in objective.record(outputs, batch).items()}
    return objective.metrics(records, KIND)


def test_the_loss_is_the_mean_over_words_and_perplexity_its_exponential():
    objective = TextCrossEntropy(output="y", target="caption")
    given = batch(["a red cat", "a dog", None])
    found = objective(outputs(["a red cat", "a dog", "a dog"], ["a"] * 3), given)
    p = np.exp(3) / (np.exp(3) + KIND.vocabulary_size - 1)
    assert float(found["loss"].count) == 4 + 3  # ends counted
    assert float(found["loss"].mean()) == pytest.approx(-np.log(p), rel=1e-5)
    assert float(found["accuracy"].mean()) == 1
    metrics = measured(
        objective, outputs(["a red cat", "a dog", "a dog"], ["a red cat", "a cat", "a"]), given
    )
    assert metrics["perplexity"] == pytest.approx(1 / p, rel=1e-5)
    assert metrics["exact_match"] == 0.5
    assert metrics["word_error_rate"] == pytest.approx(1 / 5)


def test_texts_of_a_group_are_references_of_its_first_example():
    objective = TextCrossEntropy(output="y", target="caption", references="picture")
    given = batch(["a red cat", "a dog", "a cat"], picture=["1", "2", "1"])
    rows = ["a red cat", "a dog", "a cat"]
    metrics = measured(objective, outputs(rows, ["a cat", "a dog", "red red"]), given)
    assert metrics["exact_match"] == 1 and "word_error_rate" not in metrics


def test_unknown_words_of_true_texts_are_wrong():
    objective = TextCrossEntropy(output="y", target="caption")
    given = batch(["a zebra"])
    metrics = measured(objective, outputs(["a zebra"], ["a cat"]), given)
    assert metrics["exact_match"] == 0 and metrics["word_error_rate"] == 0.5


def test_predictions_are_texts_with_alternatives():
    texts = KIND(["a dog", "a cat"]).values[None]
    log_p = np.array([[-0.5, -np.inf]], np.float32)
    objective = TextCrossEntropy(output="y", target="caption")
    output = {"words": texts, "log_probability": log_p}
    (found,) = objective.predictions(Outputs({"y": output}), KIND)
    assert found == {"value": "a dog", "log_probability": -0.5}
    output["log_probability"] = np.array([[-0.5, -1.0]], np.float32)
    (found,) = objective.predictions(Outputs({"y": output}), KIND)
    assert found["alternatives"] == [{"value": "a cat", "log_probability": -1.0}]


def test_a_head_that_is_no_decoder_is_named():
    objective = TextCrossEntropy(output="y", target="caption")
    with pytest.raises(UserError, match="'y' gives no logits of the words of target 'caption'"):
        objective(Outputs({"y": jnp.zeros((1, 3))}), batch(["a dog"]))
    with pytest.raises(UserError, match="learns another target"):
        output = {"logits": jnp.zeros((1, 9, 5))}
        objective(Outputs({"y": output}), batch(["a dog"]))
    with pytest.raises(UserError, match="label_smoothing"):
        TextCrossEntropy(output="y", target="caption", label_smoothing=2.0)
