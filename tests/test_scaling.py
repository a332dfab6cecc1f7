"""The page about scaling: its formula, and that its tables are the ones that are printed."""

import importlib
import math
import re
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "experiments" / "benchmarks"


@pytest.fixture
def scaling(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    for name in ("scaling", "networks"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module("scaling")


def test_a_ring_sends_nearly_twice_the_bytes_however_many_devices_there_are(scaling):
    assert scaling.ring(100.0, 1, 1.0) == 0
    assert scaling.ring(100.0, 2, 1.0) == 100
    assert math.isclose(scaling.ring(100.0, 4096, 50.0), 2 * 4095 / 4096 * 2)


def test_more_devices_and_more_bytes_take_longer(scaling):
    for machine in scaling.MACHINES:
        for size in (4, 1e6, 5e8):
            assert 0 < machine.sum_time(size, 256) < machine.sum_time(size, 4096)
            assert machine.sum_time(size, 256) < machine.sum_time(100 * size, 256)


def test_overlap_hides_the_gradients_and_nothing_else(scaling):
    machine = scaling.MACHINES[0]
    step = scaling.Step(flops=1e13, gradient=5e8, norms=0)
    rest = machine.sum_time(4, 8)
    assert math.isclose(step.total(machine, 8, overlap=True), step.compute(machine) + rest)
    slow = step._replace(gradient=5e12)
    assert math.isclose(
        slow.total(machine, 8, overlap=True), machine.sum_time(slow.gradient, 8) + rest
    )
    assert step._replace(norms=53).total(machine, 8) > step.total(machine, 8) + 100 * rest


def test_the_batch_that_is_needed_gives_the_share_that_was_asked_for(scaling):
    machine, step = scaling.MACHINES[2], scaling.Step(1e12, 1e8, 10)
    batch = scaling.needed(step, 8, machine, 256, 0.9)
    larger = step._replace(flops=step.flops / 8 * batch)
    assert math.isclose(larger.compute(machine) / larger.total(machine, 256), 0.9, abs_tol=0.01)


@pytest.mark.usefixtures("standard_promotion")
def test_the_page_has_the_tables_that_are_printed(scaling, capsys):
    """To 5 %: how a layer computes its gradient changes the operations a little."""
    scaling.main()
    printed = capsys.readouterr().out.strip().split("\n\n")
    page = (FOLDER / "scaling.md").read_text()
    lines = page.splitlines()
    for table in printed:
        rows = table.splitlines()
        place = lines.index(rows[0])
        for row, line in zip(rows, lines[place:], strict=False):
            assert _words(line) == _words(row)
            assert _numbers(line) == pytest.approx(_numbers(row), rel=0.05)
    assert len(printed) == 5


def _words(row):
    return re.sub(r"[\d.,]+", "#", row)


def _numbers(row):
    return [float(n.replace(",", "")) for n in re.findall(r"\d[\d,]*\.?\d*", row)]
