import csv

import pytest

from mmjax.errors import UserError
from mmjax.io.bad_rows import Fault, write_report

FAULT = Fault(3, "image", "masked", "two\nlines \udcff")


def test_faults_are_a_table_and_a_report_is_written_anew(tmp_path):
    report = tmp_path / "report.csv"
    write_report(report, [FAULT, FAULT])
    write_report(report, [FAULT])
    with report.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["line", "column", "outcome", "reason"]
    assert rows == [["3", "image", "masked", "two\nlines \\udcff"]]
    write_report(report, [])
    assert report.read_text().strip() == "line,column,outcome,reason"


def test_what_is_no_report_is_never_overwritten(tmp_path):
    (tmp_path / "thesis.csv").write_text("precious")
    (tmp_path / "report.csv").symlink_to(tmp_path / "thesis.csv")
    (tmp_path / "folder").mkdir()
    for name in ("thesis.csv", "report.csv", "folder"):
        with pytest.raises(UserError, match="expected a report of skipped rows, or no file"):
            write_report(tmp_path / name, [])
    assert (tmp_path / "thesis.csv").read_text() == "precious"
