"""The same tables as JSON and as CSV."""

import csv
import json

import pytest

from mmjax.cli.evaluate import evaluate
from mmjax.cli.list import list_parts
from mmjax.cli.table import table
from mmjax.cli.tables import print_csv
from mmjax.errors import UserError
from tests.config.experiments import small
from tests.reports.test_summary import fake


def rows(capsys):
    return list(csv.reader(capsys.readouterr().out.splitlines()))


def test_a_table_as_json_and_csv(tmp_path, capsys):
    runs = tuple(fake(tmp_path / str(seed), small(seed=seed), 0.5 + seed) for seed in (0, 1))
    table(runs, csv=True)
    header, row = rows(capsys)
    table(runs, json=True)
    assert json.loads(capsys.readouterr().out) == dict(zip(header, row, strict=True))
    assert row[header.index("match/accuracy")] == "1.0000" and row[0] == "2"
    with pytest.raises(UserError, match="--json, --csv: choose one of them"):
        table(runs, json=True, csv=True)


def test_the_list_as_json_and_csv(capsys):
    list_parts(json=True)
    found = json.loads(capsys.readouterr().out)
    list_parts(csv=True)
    header, *listed = rows(capsys)
    assert header == ["family", "name", "what"]
    assert sum(map(len, found.values())) == len(listed)
    assert ["fusion", "sum", found["fusion"]["sum"]] in listed


def test_metrics_as_csv(finished, capsys):
    run, metrics = finished
    evaluate(run, csv=True)
    header, *listed = rows(capsys)
    assert header == ["metric", "value"] and dict(listed).keys() == metrics.keys()
    assert float(dict(listed)["match/accuracy"]) == metrics["match/accuracy"]
    print_csv(("a",), [(float("nan"),)])
    assert capsys.readouterr().out == 'a\n""\n'
