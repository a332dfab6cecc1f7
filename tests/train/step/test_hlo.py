"""What XLA makes of a training step on eight devices: what crosses between them, and how often.

The programs are those that the wrappers in `parallel.py` compile, after all of XLA's passes. On a
CPU, too, these put the sums over devices that are ready together into one.
"""

import functools
import math
import re
from typing import NamedTuple
from unittest import mock

import jax
import pytest

from mmjax.devices import cpu, parallel
from mmjax.encoders import BagOfWords, Gru
from mmjax.models.train_state import create_state
from mmjax.optim import AdamW
from mmjax.train.step.step import train_step
from tests.config.experiments import SMALL
from tests.train.step.test_step import batch

pytestmark = pytest.mark.usefixtures("standard_promotion")
COLLECTIVES = "all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute|broadcast"
HOST = r"\b(infeed|outfeed|send|recv|send-done|recv-done)\(|custom_call_target=\"[^\"]*callback"


class Sum(NamedTuple):
    """One all-reduce: how many numbers it adds up, and whether it is in the body of a loop."""

    size: int
    looped: bool


class Program(NamedTuple):
    """The step's HLO and the number of the model's parameters."""

    text: str
    parameters: int

    def sums(self) -> list[Sum]:
        found, entry = [], False
        for line in self.text.splitlines():
            if line.endswith("{") and not line.startswith(" "):
                entry = line.startswith("ENTRY")
            made = re.match(r"\s+(?:ROOT )?%?[\w.\-]+ = (.*?) all-reduce(-start)?\(", line)
            if made:
                shapes = re.findall(r"\w+\[([\d,]*)\]", made[1])
                size = sum(math.prod(int(n) for n in s.split(",") if n) for s in shapes)
                found.append(Sum(size, not entry))
        return found


@functools.cache
def program(wrapper, text=None):
    """The step of a small network like the tutorial's; `text`: another encoder of the captions."""
    model = SMALL.model
    if text is not None:
        model = model.clone(encoders={**model.encoders, "text": text})
    tx = AdamW(clip_norm=1.0).chain(9)
    state = create_state(model, tx, batch(0), seed=0, ema=0.9)
    options = {"model": model, "objectives": SMALL.objectives, "tx": tx, "ema": 0.9}
    kept = []

    def kept_by(make):
        def wrapped(*arguments, **keywords):
            made = make(*arguments, **keywords)
            return lambda *given: kept.append(made.lower(*given).compile().as_text())

        return wrapped

    # Where the compiler is told something, pmap stands inside a jit that tells it.
    told = cpu.compiler_options(jax.default_backend())
    outermost = "jit" if told else wrapper
    with mock.patch.object(parallel.jax, outermost, kept_by(getattr(jax, outermost))):
        mesh = parallel.mesh_of(8)
        parallel.WRAPPERS[wrapper](functools.partial(train_step, **options), mesh)(state, batch(0))
    (text_,) = kept
    return Program(text_, sum(x.size for x in jax.tree.leaves(state.params)))


CASES = [
    ("pmap", None),
    ("jit", None),
    ("pmap", BagOfWords(100, 8)),
    ("jit", BagOfWords(100, 8)),
    ("jit", Gru(100, 4, 8)),
]


@pytest.mark.parametrize("wrapper, text", CASES)
def test_all_gradients_cross_the_devices_in_one_sum(wrapper, text):
    """Beside it only the counts do, a few numbers: the loss is divided by them before.

    None stands in the loop over words, where it would be one for each of them.
    """
    found = program(wrapper, text)
    whole = [made for made in found.sums() if made.size >= found.parameters]
    rest = [made for made in found.sums() if made.size < found.parameters]
    assert len(whole) == 1 and whole[0].size <= found.parameters + 10
    assert len(rest) <= 1 and sum(made.size for made in rest) <= 3
    assert not any(made.looped for made in found.sums())


@pytest.mark.parametrize("wrapper, text", CASES)
def test_nothing_else_crosses_and_the_state_is_where_it_is_needed(wrapper, text):
    found = program(wrapper, text)
    crossing = re.findall(rf" ({COLLECTIVES})(?:-start)?\([^)]*\).*replica_groups", found.text)
    assert set(crossing) == {"all-reduce"}


@pytest.mark.parametrize("wrapper, text", CASES)
def test_no_step_waits_for_the_host(wrapper, text):
    assert not re.findall(HOST, program(wrapper, text).text)


def test_a_callback_would_be_found():
    def told(x):
        jax.debug.print("{}", x)
        return x

    text = jax.jit(told).lower(1.0).compile().as_text()
    assert re.findall(HOST, text)
