"""The same tables as JSON and as CSV."""

import contextlib
import csv
import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios

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


def test_at_80_columns_no_name_is_cut(tmp_path):
    """In a terminal: a pseudo-terminal of 80 columns."""
    long = "a_folder_with_a_name_that_is_longer_than_a_column_of_a_narrow_table"
    runs = [fake(tmp_path / f"{long}_{n}", small(seed=n, steps=n + 5), 0.5) for n in (0, 1)]
    script = (
        "import json, sys\n"
        "from pathlib import Path\n"
        "from mmjax.cli.list import list_parts\n"
        "from mmjax.cli.table import table\n"
        "list_parts()\n"
        "table(tuple(map(Path, sys.argv[1:])))\n"
        "from mmjax.config.registry import FAMILIES\n"
        "print(json.dumps([[*one] for one in FAMILIES.values()]), file=sys.stderr)\n"
    )
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        [sys.executable, "-c", script, *runs],
        stdout=child,
        stderr=subprocess.PIPE,
        env=environment | {"TERM": "dumb"},
    )
    os.close(child)
    shown = b""
    with contextlib.suppress(OSError):  # Linux: nobody writes any more
        while part := os.read(parent, 65536):
            shown += part
    names = process.communicate()[1].splitlines()[-1]  # other tests register parts here
    assert process.returncode == 0
    lines = shown.decode().splitlines()
    assert max(map(len, lines)) <= 80
    for members in json.loads(names):
        assert all(any(line.startswith(f"  {name} ") for line in lines) for name in members)
    assert "match/accuracy" in "".join(line.strip("│┃ ") for line in lines).replace(" ", "")
