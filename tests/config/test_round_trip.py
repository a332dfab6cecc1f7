"""What any experiment is as JSON, and that it comes back."""

import dataclasses
import functools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmjax.balance import Blend
from mmjax.config import storage
from mmjax.config.registry import FAMILIES
from mmjax.data.datasets import TableData
from mmjax.encoders import Lstm
from tests.config.experiments import SMALL, small
from tests.config.random_experiments import experiments, instances
from tests.drawn import drawn


def written(experiment):
    """As it stands in a file."""
    return json.loads(json.dumps(storage.to_json(experiment)))


def leaves(value, path=()):
    """(path, value) of everything that is no object with fields."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    else:
        yield path, value


def changed(data, path, value):
    """A copy in which the value at this path is another one."""
    key, *rest = path
    return {**data, key: changed(data[key], rest, value) if rest else value}


def other(value):
    """Another value of the same kind, where there is one."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return value + "x"
        case list():
            return [*value, 7]
        case _:
            return 7


def holding(family, part):
    """A small experiment with this part."""
    model = functools.partial(dataclasses.replace, SMALL.model)
    match family:
        case "encoder":
            return small(model=model(encoders={"image": part, "text": Lstm()}))
        case "head":
            return small(model=model(heads={"match": part}))
        case "fusion" | "imputation":
            return small(model=model(**{family: part}))
        case "objective":
            return small(objectives=SMALL.objectives | {"other": part})
        case "column":
            return small(data=TableData(columns={"x": part}))
        case "balance":
            return small(balance=part, model=model(unimodal=part.unimodal[0]))
    return small(**{family: part})


@drawn(40)
@given(experiments())
def test_any_experiment_comes_back_equal(experiment):
    again = storage.from_json(written(experiment))
    assert again == experiment
    assert written(again) == written(experiment)
    assert not list(storage.differences(written(experiment), written(again)))


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - {"model", "target"}))
def test_every_registered_class_comes_back_with_any_fields(family):
    for cls in FAMILIES[family].values():
        given_fields = {"weights": {"text": 0.5}} if cls is Blend else {}
        given_fields |= {"output": "match"} if family == "objective" else {}

        @drawn(4)
        @given(instances(cls, **given_fields))
        def comes_back(part):
            experiment = holding(family, part)
            assert storage.from_json(written(experiment)) == experiment

        comes_back()


@drawn(25)
@given(experiments(), st.randoms(use_true_random=False))
def test_a_single_change_is_the_only_difference(experiment, random):
    data = written(experiment)
    path, value = random.choice(sorted(leaves(data), key=repr))
    found = list(storage.differences(data, changed(data, path, other(value))))
    name = ".".join(path)
    assert found == [f"{name}: {other(value)!r} there, {value!r} here"]


@drawn(25)
@given(experiments(), experiments())
def test_a_run_is_known_by_all_but_how_it_is_computed_and_kept(experiment, another):
    compute = dataclasses.replace(another.compute, accumulate=1)
    moved = dataclasses.replace(experiment, compute=compute, keeping=another.keeping)
    assert storage.identity(moved) == storage.identity(experiment)
    assert set(written(experiment)) - set(storage.identity(moved)) == {
        "format", "compute", "keeping", "init", "teacher"
    }  # fmt: skip


@drawn(25)
@given(experiments(), st.randoms(use_true_random=False))
def test_a_field_that_no_class_has_is_refused_wherever_it_stands(experiment, random):
    data = written(experiment)
    classes = [path[:-1] for path, _ in leaves(data) if path[-1] in ("type", "format")]
    where = random.choice(sorted(classes))
    with pytest.raises(ValueError, match=r"(no field \[|extra fields found \(|)'?no_such_field"):
        storage.from_json(changed(data, (*where, "no_such_field"), 1))
