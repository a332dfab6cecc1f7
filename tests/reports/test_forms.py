"""What is measured of a run, as CSV and JSON."""

import csv
import json
import shutil

import pytest

from mmjax.cli.calibrate import calibrate
from mmjax.cli.describe import describe
from mmjax.cli.report import report

pytestmark = pytest.mark.usefixtures("standard_promotion")


def read(capsys):
    return list(csv.reader(capsys.readouterr().out.splitlines()))


def test_what_compares_describes_and_calibrates_prints_csv_and_json(synergy, tmp_path, capsys):
    run = shutil.copytree(synergy, tmp_path / "run")
    calibrate(run, resamples=20, csv=True)
    header, *listed = read(capsys)
    assert header == ["objective", "quantity", "value", "low", "high"]
    calibrate(run, resamples=20, json=True)
    found = json.loads(capsys.readouterr().out)["test"]
    assert [f"{row[0]}/{row[1]}" for row in listed] == list(found)
    one = found["label/calibration error, after"]
    assert one["low"] <= one["value"] <= one["high"]
    describe(run, memory=False, csv=True)
    header, *listed = read(capsys)
    assert header[:2] == ["path", "kind"] and len(listed) > 3
    report(run, out=tmp_path / "page.html", sample=8, resamples=20, json=True)
    found = json.loads(capsys.readouterr().out)["label"]["accuracy"]
    assert found["low"] <= found["value"] <= found["high"]


def test_without_the_data_json_has_no_metrics(synergy, tmp_path, capsys, monkeypatch):
    def gone(*_, **__):
        raise FileNotFoundError("pictures.csv is not there")

    monkeypatch.setattr("mmjax.reports.report.open_run", gone)
    report(synergy, out=tmp_path / "page.html", json=True)
    shown = capsys.readouterr()
    assert json.loads(shown.out) == {} and "pictures.csv" in shown.err
