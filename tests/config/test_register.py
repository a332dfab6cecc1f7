"""Classes of a user's own."""

import dataclasses
import functools
import json
from pathlib import Path
from typing import Any, Literal

import pytest
from flax import linen as nn

from mmjax.config import registry, storage
from mmjax.config.command_line import parse
from mmjax.config.registry import FAMILIES, register
from mmjax.data.dataset import Dataset
from mmjax.errors import UserError
from mmjax.objectives import Objective
from mmjax.types import Tokens
from tests.config.experiments import SMALL, small


class TinyEncoder(nn.Module):
    width: int = 4

    @nn.compact
    def __call__(self, values, mask, train): ...


class TinyFusion(nn.Module):
    width: int = 4

    @nn.compact
    def __call__(self, modalities, train) -> Tokens: ...


class TinyHead(nn.Module):
    width: int = 4

    @nn.compact
    def __call__(self, tokens, train): ...


@dataclasses.dataclass(frozen=True)
class TinyLoss(Objective):
    width: int = 4

    def __call__(self, outputs, batch): ...

    def record(self, outputs, batch): ...

    def metrics(self, records, kind): ...

    def predictions(self, outputs, kind): ...


@dataclasses.dataclass(frozen=True)
class TinyData(Dataset):
    width: int = 4

    def prepare(self): ...

    def preprocessing(self): ...

    def source(self, split): ...


def holding(family, part):
    """A small experiment with this part."""
    model = functools.partial(dataclasses.replace, SMALL.model)
    match family:
        case "encoder":
            return small(model=model(encoders={**SMALL.model.encoders, "image": part}))
        case "fusion":
            return small(model=model(fusion=part))
        case "head":
            return small(model=model(heads={"match": part}))
        case "objective":
            return small(objectives={"match": part})
    return small(data=part)


OWN = [
    ("encoder", TinyEncoder, "model.encoders.image", {}),
    ("fusion", TinyFusion, "model.fusion", {}),
    ("head", TinyHead, "model.heads.match", {}),
    ("objective", TinyLoss, "objectives.match", {"output": "match", "target": "match"}),
    ("data", TinyData, "data", {}),
]


@pytest.fixture(autouse=True)
def families(monkeypatch):
    """The registries as they were, after each test."""
    for family, table in FAMILIES.items():
        monkeypatch.setitem(FAMILIES, family, dict(table))


@pytest.mark.parametrize("family, cls, path, needed", OWN, ids=[f for f, *_ in OWN])
def test_what_is_registered_is_on_the_command_line_and_comes_back(family, cls, path, needed):
    register(cls)
    register(cls)  # a file that is loaded twice
    name = cls.__name__.replace("Tiny", "tiny_").lower()
    assert FAMILIES[family][name] is cls and registry.tag(cls) == f"{family}/{name}"
    arguments = [f"--{path}.width", "7", f"{path}:{name}"]
    (point,) = parse(SMALL, Path("runs/x"), arguments, "An experiment.").points
    assert point.experiment == holding(family, cls(width=7, **needed))
    written = json.loads(json.dumps(storage.to_json(point.experiment)))
    assert f'"{family}/{name}"' in json.dumps(written)
    assert storage.from_json(written) == point.experiment
    storage.require_restorable(point.experiment)


@pytest.mark.parametrize("family, cls, path, needed", OWN, ids=[f for f, *_ in OWN])
def test_what_is_not_registered_is_refused_with_the_line_to_add(family, cls, path, needed):
    experiment = holding(family, cls(**needed))
    with pytest.raises(UserError, match=rf"Write `mmjax\.register\({cls.__name__}\)` below"):
        storage.require_restorable(experiment)


def test_a_run_of_a_class_that_is_not_here_says_how_to_name_its_file():
    register(TinyFusion)
    written = storage.to_json(holding("fusion", TinyFusion()))
    del FAMILIES["fusion"]["tiny_fusion"]
    with pytest.raises(
        UserError, match=r"unknown type 'fusion/tiny_fusion'.*registers it with --w"
    ):
        storage.from_json(written)


def test_a_name_that_is_taken_is_refused_and_another_one_will_do():
    with pytest.raises(UserError, match=r"'sum' is mmjax\.fusion\.sum\.Sum already; .* name="):
        register(TinyFusion, name="sum")
    register(TinyFusion, name="my_sum")
    assert FAMILIES["fusion"]["my_sum"] is TinyFusion


def test_what_is_of_no_family_is_refused_with_those_that_there_are():
    class Unclear(nn.Module):
        def __call__(self, x): ...

    class Plain:
        pass

    with pytest.raises(UserError, match="Unclear: its family is not clear: say family= one of mo"):
        register(Unclear)
    register(Unclear, family="head")
    assert FAMILIES["head"]["unclear"] is Unclear
    with pytest.raises(UserError, match="family: got 'hat', choose from model, encoder"):
        register(Unclear, family="hat")
    with pytest.raises(UserError, match="Plain: expected a linen module or a dataclass"):
        register(Plain, family="head")


@dataclasses.dataclass(frozen=True)
class Odd(TinyData):
    keys: dict[int, float] = dataclasses.field(default_factory=dict)
    kind: Literal["a", "b"] = "a"
    number: float = 0.0
    anything: Any = None


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"keys": {1: 0.5}}, "expected int, got '1'"),
        ({"kind": "c"}, "c not in literal"),
        ({"number": float("nan")}, "expected float, got None"),
        ({"anything": {1, 2}}, "set is not JSON serializable"),
        ({"width": 4.0}, "expected int, got 4.0"),
        ({"width": True}, "expected int, got True"),
    ],
)
def test_a_value_that_would_not_come_back_from_a_file_is_refused(fields, message):
    register(Odd)
    storage.require_restorable(small(data=Odd()))
    with pytest.raises(UserError, match=f"could not be restored from its config.json: .*{message}"):
        storage.require_restorable(small(data=Odd(**fields)))


def test_a_value_that_would_come_back_as_another_is_refused_by_its_path():
    register(Odd)
    with pytest.raises(UserError, match=r"come back .* as another one: data\.anything\.1: "):
        storage.require_restorable(small(data=Odd(anything={1: 2})))
