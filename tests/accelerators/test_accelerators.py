"""The real compilers of TPUs and NVIDIA GPUs take every part; nothing is run on an accelerator."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmjax.encoders import ENCODERS
from mmjax.errors import UserError
from mmjax.fusion import FUSIONS
from mmjax.heads import HEADS
from mmjax.objectives import OBJECTIVES

ROOT = Path(__file__).parents[2]


@pytest.fixture
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "experiments" / "benchmarks"))
    return importlib.import_module


def missing(target):
    module = "libtpu" if target.startswith("v") else "jax_plugins.xla_cuda12"
    try:
        return importlib.util.find_spec(module) is None
    except ModuleNotFoundError:
        return True


@pytest.mark.slow
@pytest.mark.parametrize("target", ["v5e:2x2", "h200:2"])
def test_every_part_compiles_without_the_host_and_sums_gradients_together(target):
    if missing(target):
        pytest.skip(f"the compiler for {target} is not installed: pip install -e '.[accelerators]'")
    command = [sys.executable, "-m", "tests.accelerators.compile_all", target]
    environment = {**os.environ, "XLA_FLAGS": ""}  # not the tests' own: nothing is optimised there
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    names = {label.split()[0] + " " + label.split()[1].split("-")[0] for label in found}
    for kind, table in (
        ("encoder", ENCODERS), ("fusion", FUSIONS), ("head", HEADS), ("objective", OBJECTIVES)
    ):  # fmt: skip
        assert {f"{kind} {name}" for name in table} <= names
    for label, program in found.items():
        assert not program["host"], label
        # Counts first, then gradients and totals: two sums over devices in a step.
        expected = {"all-reduce"} if label.startswith("step") else set()
        assert label == "step fsdp" or set(program["collectives"]) <= expected, label
    for label in ("step jit", "step pmap"):
        assert 1 <= found[label]["collectives"]["all-reduce"] <= 3
    fsdp = found["step fsdp"]
    assert fsdp["collectives"]["reduce-scatter"] <= 4
    if target.startswith("v"):
        # Kernels and gradients travel, not activations: one array of those has 8.4 MB.
        assert fsdp["exchanged"] < 8e6
        # 10 of 15 today: what comes first is beside nothing. NVIDIA's compiler joins all gathers of
        # so small a model.
        assert fsdp["collectives"]["all-gather"] >= 12
        assert fsdp["beside"]["all-gather"] >= 0.6 * fsdp["collectives"]["all-gather"]


LOOP, GATHER = (Path(__file__).with_name(name).read_text() for name in ("loop.hlo", "gather.hlo"))


def test_a_loop_counts_as_often_as_it_runs_and_a_slice_as_what_it_reads(benchmarks):
    program, targets = benchmarks("program"), benchmarks("targets")
    cost = program.measure(LOOP, targets.CHIPS["v5e"], 6 * 128, 0)
    assert cost.cycles == 6 * (7 + 5)
    # A slice of 64 bytes read and written, and the number of the step; vector memory is free.
    assert cost.bytes == 6 * (64 + 64 + 4) + 2 * 8 * 16 * 4
    # Three sums of 64 bytes in each turn of the loop, and one behind it.
    assert cost.collectives == {"all-reduce": 3 * 6 + 1} and cost.exchanged == 3 * 6 * 64 + 512
    assert cost.kernels == 12 and cost.outside == 0
    assert sum(kernel.flops for kernel in program.kernels(LOOP)) == 6 * 2 * 4 * 4 * 4
    (first, times, share), (second, _, _), *_ = program.hottest(LOOP, targets.CHIPS["v5e"])
    assert (first, times, second) == ("A/b: dot", 6, "A/c: dot grad")
    assert share == pytest.approx(7 / 12)


SLICES = """
%part (param_0: f32[64,16]) -> f32[2,16] {
  %param_0 = f32[64,16]{1,0} parameter(0)
  ROOT %slice.1 = f32[2,16]{1,0} slice(%param_0), slice={[0:2], [0:16]}
}

ENTRY %main (a: f32[64,16]) -> f32[2,16] {
  %a = f32[64,16]{1,0} parameter(0)
  %slice.2 = f32[3,16]{1,0} slice(%a), slice={[0:3], [0:16]}
  %slice-start = ((f32[64,16]{1,0}), f32[4,16]{1,0:S(1)}, s32[]{:S(2)}) slice-start(%a)
  %slice-done = f32[4,16]{1,0:S(1)} slice-done(%slice-start)
  ROOT %wrapped_slice = f32[2,16]{1,0} fusion(%a), kind=kLoop, calls=%part
}
"""


def test_a_slice_of_an_array_is_read_alone(benchmarks):
    """By itself, on its way to a TPU's vector memory, and in a kernel that does nothing else."""
    program, targets = benchmarks("program"), benchmarks("targets")
    cost = program.measure(SLICES, targets.CHIPS["h200"], 0, 0)
    assert cost.bytes == 64 * (2 * 3 + 4 + 2 * 2) and cost.kernels == 3


def test_a_gather_counts_once_and_is_seen_beside_the_products_that_hide_it(benchmarks):
    """A TPU's gather in the background is a part of three fusions, its scattered sum one of one."""
    program, targets = benchmarks("program"), benchmarks("targets")
    cost = program.measure(GATHER, targets.CHIPS["v5e"], 0, 0)
    whole = 64 * 64 * 2
    assert cost.collectives == {"all-gather": 2, "reduce-scatter": 1}
    assert cost.beside == {"all-gather": 1}
    assert program.exchanges(GATHER) == [("all-gather", whole, 2), ("reduce-scatter", whole, 1)]
    assert cost.kernels == 1 and cost.cycles == 9


def test_an_unknown_target_lists_the_known_ones(benchmarks):
    targets = benchmarks("targets")
    for wrong in ("v7", "v5e:2xtwo", "h200:0"):
        with pytest.raises(UserError, match=rf"--target {wrong}: expected one of v5e:2x2, v6e"):
            targets.target(wrong)


def test_a_missing_compiler_says_what_to_install(benchmarks, monkeypatch):
    targets = benchmarks("targets")
    monkeypatch.setattr(targets, "_installed", lambda module: False)
    with pytest.raises(UserError, match=r"libtpu\) is not installed: pip install -e '\.\[accel"):
        targets.target("v5e")
