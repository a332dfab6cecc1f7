import gzip
import json
import socket

import jax
import jax.numpy as jnp
import pytest

from mmjax.config.span import Span
from mmjax.train.loop import profile


def _update(state, batch):
    with jax.named_scope("encoder"):
        return jnp.tanh(state @ state.T @ batch), jnp.sum(state)


def _train(run, span, said, *, start=0, steps=12, per_call=1):
    update = jax.jit(_update)
    state = batch = jnp.ones((64, 64)) / 64
    with profile.Profile(span, run, said.append) as traced:
        for number in range(start, steps, per_call):
            with traced.around(number + 1, number + per_call, state) as made:
                state, sums = update(state, batch)
                made.append(sums)


@pytest.fixture(scope="module")
def traced(tmp_path_factory):
    """(the folder that a profile wrote, what was said)."""
    run, said = tmp_path_factory.mktemp("run"), []
    _train(run, Span(3, 6), said)
    (folder,) = (run / "profile" / "plugins" / "profile").iterdir()
    return folder, said


def _steps(folder):
    with gzip.open(folder / "host.trace.json.gz") as file:
        events = json.load(file)["traceEvents"]
    return sorted(int(e["args"]["step_num"]) for e in events if e.get("name") == "train")


def test_the_steps_of_the_span_are_traced_and_no_others(traced):
    folder, said = traced
    assert said == [f"profile of steps 3 to 6: {folder}"]
    assert _steps(folder) == [3, 4, 5, 6]


def test_the_trace_names_no_source_file_and_no_machine(traced):
    folder, _ = traced
    assert {file.name for file in folder.iterdir()} == {"host.xplane.pb", "host.trace.json.gz"}
    content = (folder / "host.xplane.pb").read_bytes()
    content += gzip.decompress((folder / "host.trace.json.gz").read_bytes())
    for secret in (__file__, "test_profile", ".py", f'"{socket.gethostname()}"'):
        assert secret.encode() not in content


def test_calls_of_several_steps_are_traced_whole(tmp_path):
    said = []
    _train(tmp_path, Span(6, 7), said, per_call=4)
    (folder,) = (tmp_path / "profile" / "plugins" / "profile").iterdir()
    assert said[0].startswith("profile of steps 5 to 8") and _steps(folder) == [5]


def test_a_training_that_ends_within_the_span_is_traced_to_its_end(tmp_path):
    said = []
    _train(tmp_path, Span(11, 99), said)
    assert said[0].startswith("profile of steps 11 to 12")


def test_a_span_that_never_came_is_said(tmp_path):
    said = []
    _train(tmp_path, Span(50, 60), said)
    assert said == ["--profile 50:60: nothing was traced, no such step was trained now"]
    _train(tmp_path, Span(2, 3), said, start=6)  # a training that went on
    assert said[1].startswith("--profile 2:3: nothing was traced")
    _train(tmp_path, None, said)
    assert len(said) == 2 and not list(tmp_path.iterdir())


def test_an_error_within_the_span_leaves_the_tracer_free(tmp_path):
    said = []
    for _ in range(2):
        with (
            pytest.raises(ValueError, match="diverged"),
            profile.Profile(Span(1, 9), tmp_path, said.append) as traced,
            traced.around(1, 1, jnp.ones(())),
        ):
            raise ValueError("diverged")
    assert not said
