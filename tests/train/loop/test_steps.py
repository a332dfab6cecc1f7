"""The loop over steps: signals, workers that die, what is read and saved."""

import contextlib
import signal

import jax.numpy as jnp
import pytest

from mmjax.errors import StorageError
from mmjax.models.train_state import TrainState
from mmjax.runs.stop import Interrupted, Stop
from mmjax.train.loop.profile import Profile
from mmjax.train.loop.program import Program
from mmjax.train.loop.recorder import RunRecorder
from mmjax.train.loop.steps import train
from tests.config.experiments import small
from tests.train.step.test_step import batch

FRESH = TrainState(step=jnp.int32(0), params={}, collections={}, opt_state=(), key=None)


class Asked(Stop):
    """A signal that comes between two looks at it."""

    def __init__(self, number):
        self._number, self._looks = number, 0

    def asked(self, step):
        self._looks += 1
        return self._number if self._looks > 1 else None


class Fake(Program, RunRecorder, Profile):
    """The program, its only recorder and the profile of a training of five steps."""

    def __init__(self):
        self.saved, self.seen = [], []

    def join(self, states):
        raise NotImplementedError

    def stream(self, start, watchdog):
        raise NotImplementedError

    def update(self, state, given):
        return state, {}

    def means(self, means, given):
        return [(means, given)]

    def split(self, state):
        return [state]

    def read(self, before, means, given):
        self.seen.append(before)

    def keep(self, state, due):
        self.saved.append(due)

    @contextlib.contextmanager
    def around(self, first, last, given):
        yield []


def run(fake, given, number):
    experiment = small(steps=5, eval_every=5)
    return train(experiment, FRESH, fake, given, [fake], fake, Asked(number))


def test_a_signal_is_saved_or_not_spoken_of():
    fake = Fake()
    with pytest.raises(Interrupted, match="and saved"):
        run(fake, iter([batch(0)] * 5), signal.SIGINT)
    assert fake.saved == [False]


@pytest.mark.parametrize("number", [signal.SIGTERM, None])
def test_a_signal_that_ends_the_data_workers_too_still_saves(number):
    def batches():
        yield batch(0)
        raise StorageError("a data worker died")

    fake = Fake()
    with pytest.raises(Interrupted if number else StorageError) as ended:
        run(fake, batches(), number)
    assert fake.saved == ([False] if number else []) and fake.seen == ([0] if number else [])
    assert ("after step 1 of 5 and saved" in str(ended.value)) == bool(number)


def test_the_last_step_is_read_validated_and_saved():
    fake = Fake()
    run(fake, iter([batch(0)] * 5), None)
    assert fake.seen == [0, 1, 2, 3, 4] and fake.saved == [True]
