"""The contracts of an objective that compares the vectors of modalities."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mmjax.objectives import Objective
from mmjax.testing import checks
from mmjax.types import Batch, Masked, Outputs

ROWS = 8


def batch_of(*more: str) -> tuple[Outputs, Batch, np.ndarray]:
    """Vectors of two modalities, of which row 1 has weight 0, row 2 no image, and row 5 no text.

    Rows 3 and 4 are one group. The array says which rows count. `more`: modalities that are never
    missing.
    """
    rng = np.random.default_rng(0)
    names = ("image", "text", *more)
    vectors = {name: rng.normal(size=(ROWS, 5)).astype(np.float32) for name in names}
    vectors = {name: x / np.linalg.norm(x, axis=1, keepdims=True) for name, x in vectors.items()}
    present = {name: np.ones(ROWS, bool) for name in more}
    present |= {"image": np.arange(ROWS) != 2, "text": np.arange(ROWS) != 5}
    weight = np.ones(ROWS, np.float32)
    weight[1] = 0
    values = {"vectors": vectors, "scale": np.float32(5.0), "bias": np.float32(-2.0)}
    group = np.stack([np.array([0, 1, 2, 3, 3, 4, 5, 6], np.int32)] * 2, axis=1)
    targets = {"group": Masked(group, np.arange(ROWS) != 7)}
    counted = (weight > 0) & present["image"] & present["text"]
    given = Outputs({"embedding": values}, present=present)
    return given, Batch({}, targets, weight, np.arange(ROWS)), counted


def check_pairs(objective: Objective, *more: str) -> None:
    """Check an objective: rows that are not whole, or of weight 0, must count for nothing.

    It must read the modalities image, text and `more`. AssertionError if it breaks a contract; says
    which.
    """
    outputs, batch, counted = batch_of(*more)
    embedding = outputs.values["embedding"]

    def loss(vectors: Any) -> tuple[jax.Array, Any]:
        values = {objective.output: {**embedding, "vectors": vectors}}
        means = objective(Outputs(values, present=outputs.present), batch)
        return means["loss"].mean(), means

    measure = jax.jit(jax.grad(loss, has_aux=True))
    vectors = {name: jnp.asarray(x) for name, x in embedding["vectors"].items()}
    original = measure(vectors)
    checks.require_finite(original)
    for gradient in original[0].values():
        checks.require(not np.any(np.asarray(gradient)[~counted]), "a hidden row has a gradient")
        checks.require(bool(np.any(np.asarray(gradient)[counted])), "the loss has no gradient")
    hidden = jnp.asarray(~counted)[:, None]
    for value in (1e30, jnp.nan):
        other = {name: jnp.where(hidden, value, x) for name, x in vectors.items()}
        checks.require_equal(measure(other), original, "a hidden row affects the loss")
