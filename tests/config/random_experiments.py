"""Random experiments from all registries: any registered class with any legal fields."""

import contextlib
import dataclasses
import random
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, Union

from hypothesis import strategies as st

from mmjax.balance import BALANCES, JOINT, Blend
from mmjax.config import Compute, Experiment, Private
from mmjax.config.registry import FAMILIES, fields
from mmjax.data.dataset import Dataset
from mmjax.data.datasets import Kitti, Mixed, Planted, TableData, Utterances
from mmjax.data.tables.columns import Column
from mmjax.fusion import MixtureOfExperts
from mmjax.models import MODELS, DualEncoder, Model, Multimodal
from mmjax.objectives import BradleyTerry, Huber, Objective
from mmjax.objectives.distillation import Taught
from mmjax.objectives.pairs import Pairs

COUNTS = st.integers(1, 64)
# Every float of a configuration may be such a small positive number, down to the smallest one.
SHARES = st.floats(0, 0.49, exclude_min=True)
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/"), min_size=1)
OBJECTIVES = NAMES.filter(lambda name: name != "auxiliary")
TIMED = ("vision_touch", "camera_radar_lidar", "camera_radar_lidar_imu")


def values(hint: Any) -> st.SearchStrategy:
    """Of a field with this type hint."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in (Union, types.UnionType):
        return st.one_of([st.none() if kind is type(None) else values(kind) for kind in arguments])
    if origin is tuple and arguments[-1] is Ellipsis:
        return st.lists(values(arguments[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*map(values, arguments))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return st.dictionaries(*map(values, arguments), max_size=3)
    if hint is Column:
        return registered("column")
    if hint is Dataset:  # one that does not hold others
        return instances(Planted)
    if dataclasses.is_dataclass(hint):
        return instances(hint)
    plain = {bool: st.booleans(), int: COUNTS, float: SHARES, str: st.text(max_size=8)}
    if hint not in plain:
        raise LookupError(f"tests/config/random_experiments.py: say how to draw a {hint}")
    return plain[hint]


@contextlib.contextmanager
def beartype():
    """It picks at random what it checks, where hypothesis wants to draw all that is random."""
    state = random.getstate()
    yield
    random.setstate(state)


@st.composite
def instances(draw, cls: type, **given: Any) -> Any:
    """Of a class, with any legal fields and those that are given."""
    with beartype():
        return cls(**legal(draw, cls, given))


def legal(draw, cls: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a class."""
    hints = typing.get_type_hints(cls)
    drawn = {
        field.name: draw(values(hints[field.name]))
        for field in fields(cls)
        if field.name not in given
    }
    drawn |= given
    # What one field asks of another.
    wide = next((name for name in ("width", "dim") if name in drawn), None)
    if wide and "heads" in drawn:
        if drawn["heads"] is None or drawn[wide] is None:
            drawn["heads"] = drawn[wide] = None
        else:
            drawn[wide] *= drawn["heads"]
    if drawn.get("method") == "sinkhorn":
        drawn["steps"] += 1
    if cls is MixtureOfExperts:
        drawn["experts"] = draw(st.integers(drawn["k"] + 1, 99))
        drawn["k"] += 1
    if cls is Planted and drawn["task"] == "misaligned":
        drawn["shape"] = draw(st.sampled_from(TIMED))
    if cls is TableData:
        drawn |= {"fold": "", "balance": None, "modalities": ()}
    if cls is Kitti:
        drawn["extent"] = (0.0, 1.0, -1.0, 1.0)
    if cls is Utterances:
        drawn["modalities"] = ("text",)
    if cls is Mixed:
        drawn["rates"] = {name: 0.5 for name in drawn["parts"]}
    if issubclass(cls, Pairs):
        drawn["modalities"] = ()
    if cls is BradleyTerry:
        drawn |= {"target": None, "better": "a", "worse": "b", "queries": ()}
    if issubclass(cls, Objective):
        drawn["schedule"] = tuple(sorted(dict(drawn["schedule"]).items()))
    if cls is Compute:
        if drawn["fsdp"] > 1:
            drawn["parallel"] = "jit"
        if drawn["steps_per_call"] > 1:
            drawn["buckets"] = 1
    if cls is Private:
        if drawn["delta"] is None or drawn["noise"] is drawn["epsilon"] is None:
            return {}
        drawn["epsilon"] = max(drawn["epsilon"], 0.01) if drawn["noise"] is None else None
    if cls is Experiment:
        several = dataclasses.replace(drawn["compute"], accumulate=1, fsdp=1, buckets=1)
        taught = drawn["teacher"] is not None
        first, *others = drawn["objectives"].values()
        if all(isinstance(one, Taught) for one in (first, *others)):
            own = Huber(output=first.output, target="t")
            drawn["objectives"] = {**drawn["objectives"], "own": own}
        if taught or drawn["balance"] != JOINT or drawn["compute"] != several:
            drawn["private"] = Private()
        compute, keeping = drawn["compute"], drawn["keeping"]
        drawn["batch_size"] *= compute.accumulate
        every = keeping.eval_every * compute.steps_per_call
        drawn["keeping"] = dataclasses.replace(keeping, eval_every=every)
    return drawn


def registered(family: str) -> st.SearchStrategy:
    """Any class of a family, with any legal fields."""
    return st.sampled_from(sorted(FAMILIES[family])).flatmap(
        lambda name: instances(FAMILIES[family][name])
    )


@st.composite
def balances(draw, modalities: list[str]) -> Any:
    """Only `Blend` speaks of modalities, and only of those that there are."""
    cls = BALANCES[draw(st.sampled_from(sorted(BALANCES)))]
    if cls is Blend:
        return Blend(draw(SHARES), draw(st.dictionaries(st.sampled_from(modalities), SHARES)))
    return draw(instances(cls))


PARTS = {
    Multimodal: {"fusion": "fusion", "imputation": "imputation"},  # field: family
}


@st.composite
def models(draw, unimodal: str, modalities: list[str], outputs: list[str]) -> Model:
    """Any registered model of any encoders, heads and other parts."""
    cls = draw(st.sampled_from(list(MODELS.values())))
    if cls is DualEncoder:
        encoders = {name: draw(registered("encoder")) for name in modalities}
        return draw(instances(cls, encoders=encoders, unimodal=unimodal, frozen=()))
    if cls not in PARTS:
        raise LookupError(f"tests/config/random_experiments.py: say how to draw a {cls.__name__}")
    parts = {field: draw(registered(family)) for field, family in PARTS[cls].items()}
    return draw(
        instances(
            cls,
            encoders={name: draw(registered("encoder")) for name in modalities},
            heads={name: draw(registered("head")) for name in outputs},
            unimodal=unimodal,
            frozen=tuple(draw(st.lists(st.sampled_from(modalities), unique=True))),
            **parts,
        )
    )


@st.composite
def objectives(draw, outputs: list[str]) -> Any:
    """Any objective; it reads one of the outputs, and any target or none."""
    cls = FAMILIES["objective"][draw(st.sampled_from(sorted(FAMILIES["objective"])))]
    target = draw(st.one_of(st.none(), NAMES))
    return draw(instances(cls, output=draw(st.sampled_from(outputs)), target=target))


@st.composite
def experiments(draw) -> Experiment:
    """Any model, data, objectives and optimiser, computed and kept in any way."""
    with beartype():
        modalities = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
        outputs = draw(st.lists(NAMES, min_size=1, max_size=2, unique=True))
        names = draw(st.lists(OBJECTIVES, min_size=1, max_size=2, unique=True))
        balance = draw(balances(modalities))
        unimodal = draw(st.sampled_from(balance.unimodal))
        model = draw(models(unimodal, modalities, outputs))
        outputs = sorted(model.outputs)
        return draw(
            instances(
                Experiment,
                model=model,
                objectives={name: draw(objectives(outputs)) for name in names},
                data=draw(registered("data")),
                optim=draw(registered("optim")),
                balance=balance,
                seed=draw(st.integers(0, 2**32 - 1)),
            )
        )
