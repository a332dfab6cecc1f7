import sys
import types

import pytest

from mmjax.devices.energy import EnergyMeter


def counters(folder, joules, name="intel-rapl:0"):
    (folder / name).mkdir(exist_ok=True)
    (folder / name / "energy_uj").write_text(f"{joules * 1e6:.0f}\n")
    (folder / name / "max_energy_range_uj").write_text("1000000000\n")


def test_packages_are_counted_past_the_end_of_their_counters(tmp_path):
    counters(tmp_path, 900)
    counters(tmp_path, 5, "intel-rapl:0:0")  # a part of the package, counted in it
    meter = EnergyMeter(tmp_path)
    assert meter.sources == ["intel-rapl:0"] and meter.read() == 0
    counters(tmp_path, 950)
    assert meter.read() == pytest.approx(50)
    counters(tmp_path, 20)
    assert meter.read() == pytest.approx(120)


def test_a_machine_that_counts_nothing_tells_nothing(tmp_path):
    meter = EnergyMeter(tmp_path)
    assert meter.sources == [] and meter.read() is None


def test_gpus_are_counted_where_their_library_is(tmp_path, monkeypatch):
    used = [3000]
    monkeypatch.setitem(
        sys.modules,
        "pynvml",
        types.SimpleNamespace(
            NVMLError=RuntimeError,
            nvmlInit=lambda: None,
            nvmlDeviceGetCount=lambda: 1,
            nvmlDeviceGetHandleByIndex=lambda number: number,
            nvmlDeviceGetTotalEnergyConsumption=lambda gpu: used[0],
        ),
    )
    meter = EnergyMeter(tmp_path)
    used[0] = 7500
    assert meter.sources == ["nvidia 0"] and meter.read() == pytest.approx(4.5)
