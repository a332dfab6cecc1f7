"""The page about scaling: its formula, and that its tables are the ones that are printed."""

import importlib
import math
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "experiments" / "benchmarks"


@pytest.fixture
def scaling(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.delitem(sys.modules, "scaling", raising=False)
    return importlib.import_module("scaling")


def test_a_ring_sends_nearly_twice_the_bytes_however_many_devices_there_are(scaling):
    assert scaling.ring(100.0, 1, 1.0) == 0
    assert scaling.ring(100.0, 2, 1.0) == 100
    assert math.isclose(scaling.ring(100.0, 4096, 50.0), 2 * 4095 / 4096 * 2)


def test_a_larger_sum_and_one_over_more_devices_take_longer(scaling):
    for link in scaling.LINKS.values():
        assert 0 < link(4, 8) < link(4, 256) < link(1e6, 256) < link(1e8, 256)


def made(scaling, *exchanges):
    return scaling.Program("step", "v5p:16x16x16", 4096, 8, 1e-3, 1e9, exchanges)


def test_exchanges_are_summed_and_gathering_in_rows_takes_as_long_as_a_sum(scaling):
    sums = made(scaling, ("all-reduce", 4.0, 53), ("all-reduce", 5e8, 1))
    small, large = scaling.v5p(4.0, 4096), scaling.v5p(5e8, 4096)
    assert math.isclose(sums.exchange(), 53 * small + large)
    assert math.isclose(sums.exchange(large=False), 53 * small)
    others = made(scaling, ("all-gather", 5e8, 1), ("reduce-scatter", 5e8, 1))
    assert math.isclose(others.exchange(), 2 * large)


def test_the_batch_that_is_needed_gives_the_share_that_was_asked_for(scaling):
    one = made(scaling, ("all-reduce", 5e8, 1))
    larger = one.needed(0.9) / one.batch * one.seconds
    assert math.isclose(larger / (larger + one.exchange()), 0.9, abs_tol=0.01)


def test_the_page_has_the_tables_that_are_printed(scaling, capsys):
    scaling.main()
    page = (FOLDER / "scaling.md").read_text()
    for table in capsys.readouterr().out.strip().split("\n\n"):
        assert table in page
