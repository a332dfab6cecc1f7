import os
import signal

import jax
import pytest
from jax.experimental import multihost_utils

from mmjax.runs.stop import Stop


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_only_noted_and_a_second_ctrl_c_stops(number):
    before = signal.getsignal(number)
    with Stop() as stop:
        assert stop.asked(1) is None
        os.kill(os.getpid(), number)
        assert stop.asked(2) == number
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.asked(2) == number
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(number) is before


def test_of_several_processes_all_stop_after_the_step_they_agree_on(monkeypatch):
    """A Ctrl-C in one is handed on as the SIGTERM that JAX listens for."""
    sent = []
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(multihost_utils, "reached_preemption_sync_point", lambda step: step == 7)
    before = signal.getsignal(signal.SIGTERM)
    with Stop() as stop:
        assert signal.getsignal(signal.SIGTERM) is before
        with monkeypatch.context() as patched:
            patched.setattr(os, "kill", lambda pid, number: sent.append(number))
            signal.raise_signal(signal.SIGINT)
        assert sent == [signal.SIGTERM]
        assert stop.asked(6) is None and stop.asked(7) == signal.SIGINT
    with Stop() as stop:
        assert stop.asked(7) == signal.SIGTERM
