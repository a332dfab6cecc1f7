"""Distillation: by the formulas, the same on 8 devices, and nothing without a teacher."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from mmjax.devices import parallel
from mmjax.layers.tracing import collectives
from mmjax.objectives import Distillation, FeatureDistillation, RelationDistillation
from mmjax.types import Batch, Outputs
from tests.samples import target

RNG = np.random.default_rng(0)
STUDENT, TEACHER = RNG.normal(size=(2, 16, 5)).astype(np.float32)
MASK = np.arange(16) % 5 > 0


def batch(values, weight=None):
    given = {} if values is None else {"teacher_y": target(values, MASK)}
    return Batch({}, given, np.ones(16, np.float32) if weight is None else weight, np.arange(16))


def measured(objective, student=STUDENT, teacher=TEACHER):
    return objective(Outputs({"y": jnp.asarray(student)}), batch(teacher))


def test_the_loss_is_the_divergence_of_softened_probabilities():
    found = measured(Distillation(output="y", target="teacher_y", temperature=3.0))
    p, q = (scipy.special.softmax(x[MASK] / 3, axis=1) for x in (TEACHER, STUDENT))
    expected = 9 * np.mean(np.sum(scipy.special.rel_entr(p, q), axis=1))
    np.testing.assert_allclose(found["loss"].mean(), expected, rtol=1e-5)
    same = TEACHER[MASK].argmax(axis=1) == STUDENT[MASK].argmax(axis=1)
    np.testing.assert_allclose(found["agreement"].mean(), same.mean(), rtol=1e-6)


def test_single_logits_are_those_of_yes_and_no():
    objective = Distillation(output="y", target="teacher_y", temperature=1.0)
    found = measured(objective, STUDENT[:, 0], TEACHER[:, 0])
    p, q = (scipy.special.expit(x[MASK, 0].astype(float)) for x in (TEACHER, STUDENT))
    expected = scipy.special.rel_entr(p, q) + scipy.special.rel_entr(1 - p, 1 - q)
    np.testing.assert_allclose(found["loss"].mean(), expected.mean(), rtol=1e-4)


def test_features_are_compared_by_their_squared_error():
    found = measured(FeatureDistillation(output="y", target="teacher_y"))
    np.testing.assert_allclose(
        found["loss"].mean(), np.mean((TEACHER - STUDENT)[MASK] ** 2), rtol=1e-5
    )


def relation(student, teacher):
    """Over all pairs of different examples that have a target."""
    distances = []
    for rows in (student[MASK].astype(float), teacher[MASK].astype(float)):
        d = np.sqrt(np.sum((rows[:, None] - rows[None]) ** 2, axis=-1))
        distances.append(d[~np.eye(len(d), dtype=bool)])
    error = distances[0] / distances[0].mean() - distances[1] / distances[1].mean()
    return np.mean(np.where(abs(error) < 1, error**2 / 2, abs(error) - 0.5))


def test_relations_are_the_relative_distances_of_all_pairs():
    objective = RelationDistillation(output="y", target="teacher_y")
    wide = RNG.normal(size=(16, 9)).astype(np.float32)
    np.testing.assert_allclose(
        measured(objective, STUDENT, wide)["loss"].mean(), relation(STUDENT, wide), rtol=1e-5
    )
    assert measured(objective, 7 * TEACHER)["loss"].mean() < 1e-6  # another scale, same relations


def update(scale, given, *, axis, objective):
    with collectives.over(axis):

        def share(scale):
            loss = objective(Outputs({"y": scale[None] * given[0]}), given[1])["loss"]
            return loss.total / collectives.total(loss.count), loss

        gradient, loss = jax.grad(share, has_aux=True)(scale)
        return collectives.total(gradient), {"loss": collectives.total(loss)}


def test_relations_over_devices_are_those_of_the_global_batch():
    objective = RelationDistillation(output="y", target="teacher_y")
    given = (STUDENT, batch(TEACHER, (np.arange(16) % 3).astype(np.float32)))
    scale = np.linspace(0.5, 2, 5).astype(np.float32)
    step = functools.partial(update, objective=objective)
    expected, means = jax.jit(functools.partial(step, axis=None))(scale, given)
    found, others = parallel.WRAPPERS["pmap"](step, parallel.mesh_of(8))(scale, given)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(others["loss"].mean(), means["loss"].mean(), rtol=1e-5)
    assert np.any(np.abs(expected) > 1e-3)


@pytest.mark.parametrize("cls", [Distillation, FeatureDistillation, RelationDistillation])
def test_without_a_teacher_nothing_counts(cls):
    objective = cls(output="y", target="teacher_y")
    found = measured(objective, teacher=None)["loss"]
    assert float(found.mean()) == 0 == float(found.count)
    assert objective.metrics({}, None) == {}


@pytest.mark.parametrize("cls", [Distillation, FeatureDistillation])
def test_other_shapes_are_refused(cls):
    with pytest.raises(ValueError, match=r"head 'y' gives \(16, 5\) and the teacher's 'teacher_y'"):
        measured(cls(output="y", target="teacher_y"), teacher=TEACHER[:, :3])


def test_no_temperature_is_refused():
    with pytest.raises(ValueError, match="temperature: expected more than 0, got 0"):
        Distillation(output="y", target="t", temperature=0.0)
