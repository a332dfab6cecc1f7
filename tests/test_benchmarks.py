"""The benchmark's arithmetic, that both sides compute the same function, and that it starts."""

import dataclasses
import importlib
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from mmjax.devices import parallel

FOLDER = Path(__file__).parents[1] / "experiments" / "benchmarks"
_WHY = "PyTorch is not installed: that the benchmark's two sides agree is not tested"


@pytest.fixture
def load(monkeypatch):
    """A script finds the files beside it."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


def test_a_ratio_is_taken_round_by_round(load):
    timing = load("timing")
    # A round in which both take ten times as long changes nothing.
    assert timing.ratio([2.0, 20.0, 4.0], [1.0, 10.0, 1.0]) == timing.Spread(2.0, 2.0, 3.0)
    with pytest.raises(ValueError, match="shorter"):
        timing.ratio([1.0, 2.0], [1.0])


def test_a_spread_is_the_median_between_quartiles(load):
    timing = load("timing")
    assert timing.spread([5.0, 1.0, 3.0, 2.0, 4.0]) == timing.Spread(3.0, 2.0, 4.0)
    assert timing.Spread(1.234, 1.0, 1.5).text() == "1.23 (1.00-1.50)"
    with pytest.raises(ValueError, match="at least one measurement"):
        timing.spread([])


def test_contenders_take_turns_and_begin_in_turn(load):
    timing, calls = load("timing"), []
    contenders = {name: lambda name=name: calls.append(name) for name in "ab"}
    seconds = timing.alternate(contenders, rounds=3, calls=2)
    assert "".join(calls) == "abab" + "aabb" + "bbaa" + "aabb"
    assert all(len(found) == 3 and min(found) >= 0 for found in seconds.values())


def test_the_fastest_of_each_side_counts(load):
    timing = load("timing")
    seconds = {"mmjax jit": [3.0], "PyTorch eager": [5.0], "PyTorch compiled": [4.0, 4.0, 9.0]}
    assert timing.best(seconds, "PyTorch") == "PyTorch compiled"
    assert timing.best({"mmjax jit": [1.0]}, "PyTorch") is None


def test_each_peer_has_a_ratio_of_its_own_and_one_without_contenders_says_so(load, monkeypatch):
    result, timing, roofline = load("result"), load("timing"), load("roofline")
    seconds = {"mmjax jit": [2.0], "PyTorch eager": [3.0], "flax jit": [1.0], "flax pmap": [1.5]}
    monkeypatch.setattr(timing, "alternate", lambda *_, **__: seconds)
    options = result.Options(True, None, None, roofline.Machine(1.0, 1.0))
    row = result.compare("row", {}, options, rounds=1, at_least=1.0, peers=timing.PEERS)
    assert row.met is False and row.peers["PyTorch"].ratio.median == 1.5
    assert row.peers["flax"].how == "jit" and row.peers["flax"].ratio.median == 0.5
    cells = dict(zip(result.HEADER, row.cells(), strict=True))
    assert cells["Keras"] == "not installed" and "(jit): 0.50 (0.50-0.50)" in cells["flax"]
    assert result.as_json(row)["peers"]["flax"]["ratio"]["median"] == 0.5


def test_what_does_not_agree_is_refused(load):
    agreement = load("agreement")
    assert agreement.require_same([1.0], [1.00005], "loss") == pytest.approx(5e-05, rel=1e-3)
    for wrong in (1.01, float("nan")):
        with pytest.raises(ValueError, match="loss: ours"):
            agreement.require_same([wrong], [1.0], "loss")


def test_a_loops_work_counts_as_often_as_it_turns(load):
    roofline = load("roofline")

    def once(w, x):
        return x @ w, None

    def many(w, x):
        return jax.lax.scan(lambda x, _: once(w, x), x, None, length=5)[0]

    w = np.ones((4, 4), np.float32)
    assert roofline.work(many, w, w).flops == 5 * roofline.work(once, w, w).flops == 5 * 2 * 4**3
    assert roofline.work(many, w, w).bytes == 3 * w.nbytes + 5 * 3 * w.nbytes
    either = roofline.work(lambda w: jax.lax.cond(w[0, 0] > 0, lambda w: w @ w, lambda w: w, w), w)
    assert either.bytes == 2 * w.nbytes + 3 * w.nbytes
    machine = roofline.Machine(flops=1e3, bandwidth=1e4)
    assert roofline.share(roofline.Work(500, 1000), 1.0, machine) == {
        "flops_of_limit": 0.5,
        "bytes_of_limit": 0.1,
    }


@pytest.mark.usefixtures("standard_promotion")
def test_the_tutorials_network_has_pytorchs_losses_for_three_steps(load):
    pytest.importorskip("torch", reason=_WHY)
    tutorial, theirs, peer = map(load, ("tutorial", "tutorial_peer", "peer"))
    row, agreement, made_up = map(load, ("row1_step", "agreement", "made_up"))
    pairs, net = made_up.pairs(8), theirs.network()
    given, params = tutorial.batch(pairs), tutorial.mapped(peer.arrays(net))
    theirs = peer.trainer(net, theirs.loss_of(pairs, True), made_up.LR)
    mesh = parallel.choose(8, 2)
    update = parallel.WRAPPERS["pmap"](tutorial.step(), mesh)
    found = row.losses(update, given, params, mesh)
    agreement.require_same(found, [theirs() for _ in range(row.STEPS)], "loss")


def test_the_lstm_has_pytorchs_gradient_for_ragged_texts(load):
    pytest.importorskip("torch", reason=_WHY)
    row = load("row2_lstm")
    words, lengths = row.texts(7, True, 6)
    net, contenders, _ = row._peer(words, lengths, True)
    mask = np.arange(7)[None] < lengths[:, None]
    eager = {name: call for name, call in contenders.items() if "compiled" not in name}
    assert len(eager) == 2
    row._same(row.gradient(row.mapped(net), words, mask), eager, net, "jit")


@pytest.mark.usefixtures("standard_promotion")
@pytest.mark.parametrize("side, needed", [("flax_peer", "flax"), ("keras_peer", "keras")])
@pytest.mark.parametrize("ragged", [False, True])
def test_a_peer_on_jax_has_our_gradient(load, side, needed, ragged):
    pytest.importorskip(needed, reason=f"{needed} is not installed: row 2 is not compared with it")
    row, peer = load("row2_lstm"), load(side)
    words, lengths = row.texts(7, ragged, 8)
    mask = np.arange(7)[None] < lengths[:, None]
    params = row.ENCODER.init(jax.random.key(0), words, mask, train=False)["params"]
    ours = row.gradient(params, words, mask)
    with jax.numpy_rank_promotion("allow"):
        calls, mapping = peer.gradients(params, words, mask, ragged)
        assert len(calls) == 2
        for name, call in calls.items():
            row._equal(ours, call(), mapping, name)


@pytest.mark.parametrize("fusion", ["cross_attention", "bottleneck"])
def test_pytorchs_pair_has_our_parameters_and_our_logits(load, fusion):
    pytest.importorskip("torch", reason=_WHY)
    pytest.importorskip("transformers", reason="transformers is not installed: row 5 not compared")
    pair, peer, row, agreement = map(load, ("pair", "peer", "row5_pair", "agreement"))
    given = load("tutorial").batch(load("made_up").larger(2))
    net = row.network(fusion)
    model = pair.model(fusion)
    state = row._state(model, given, drawn=False)
    params = pair.mapped(peer.arrays(net), fusion)
    shapes = jax.tree.map(lambda x: x.shape, state.params)
    assert jax.tree.map(lambda x: x.shape, params) == shapes
    state = dataclasses.replace(state, params=params)
    predict = jax.jit(lambda variables, inputs: model.apply(variables, inputs, train=False))
    found = predict(state.variables, given.inputs).values["match"]
    expected = row._predictor(net.eval(), given, False)()
    agreement.require_same(np.asarray(found).tolist(), expected.tolist(), "logits")


def test_the_command_explains_itself_and_refuses_unknown_rows():
    command = [sys.executable, str(FOLDER / "compare.py")]
    printed = subprocess.run([*command, "--help"], capture_output=True, text=True)
    assert printed.returncode == 0 and "--manual-dir" in printed.stdout
    wrong = subprocess.run([*command, "--rows", "1,9"], capture_output=True, text=True)
    assert wrong.returncode == 1 and "--rows 9: choose from 1, 2" in wrong.stderr


def test_a_row_without_its_files_is_printed_and_is_no_error(tmp_path):
    folders = ["--manual-dir", str(tmp_path / "files"), "--data-dir", str(tmp_path / "data")]
    command = [sys.executable, str(FOLDER / "compare.py"), "--fast", "--rows", "3", *folders]
    printed = subprocess.run(command, capture_output=True, text=True)
    assert printed.returncode == 0, printed.stderr
    assert f"not run: no fashion_mnist files in {tmp_path / 'files'}" in printed.stdout


@pytest.mark.parametrize(
    "ours, other", [("tutorial", "torch"), ("tutorial_peer", "jax"), ("child", "jax")]
)
def test_a_process_that_is_timed_imports_its_own_sides_framework_alone(ours, other):
    if ours == "tutorial_peer":
        pytest.importorskip("torch", reason=_WHY)
    code = f"import sys, {ours}; assert {other!r} not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=FOLDER, check=True)
