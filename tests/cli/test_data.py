"""`mmjax data`: what a table holds."""

import json

import pytest

from tests import browser
from tests.cli.command import mmjax, process
from tests.data.tables.made import picture, write


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """pets.csv, with semicolons, pictures, and a column that is called split."""
    folder = tmp_path_factory.mktemp("pets")
    rows = [
        {
            "photo": picture(folder / f"{i}.png", i) if i != 38 else "lost.png",
            "note": f"a <b>cup</b> of {'tea' * (i % 2)}",
            "age": i * 7 % 40,
            "kind": "ab"[i % 2],
            "split": ("train", "train", "train", "val", "test")[i % 5],
        }
        for i in range(40)
    ]
    write(folder / "pets.csv", rows, ";")
    return folder


def test_a_table_is_shown_with_its_columns_and_what_cannot_be_read(folder):
    done = process("data", "pets.csv", "--target", "kind", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert (
        "--data.columns kind:class photo:image note:text table=age:table --data.split split"
        in done.stdout
    )
    assert "rows: 24 train, 8 validation, 8 test, 1 with masked cells" in done.stdout
    assert "pets.csv:40: photo masked: " in done.stdout and "lost.png" in done.stdout
    assert not list(folder.glob("*.skipped.csv")), "looking writes nothing"


def test_columns_may_be_said_and_the_facts_are_json(folder):
    columns = ("note:text", "kind:class")
    shown = mmjax("data", "pets.csv", "--columns", *columns, "--json", cwd=folder)
    facts = json.loads(shown)
    assert list(facts["columns"]) == ["note", "kind"] and len(facts["digest"]) == 64


def test_the_page_shows_pictures_and_escapes_texts(folder):
    mmjax("data", "pets.csv", "--target", "kind", "--html", folder / "page.html", cwd=folder)
    page = (folder / "page.html").read_text()
    assert page.count("data:image/png;base64,") == 12 + 8 + 8 - 1
    assert "&lt;b&gt;cup" in page and "<b>cup" not in page and "<script" not in page
    assert "<p>rows: 40, masked: 1</p>" in page
    assert 'class="missing"' in page and "http:" not in page


@browser.needed
def test_the_page_can_be_read_on_a_phone_and_printed(folder):
    mmjax("data", "pets.csv", "--target", "kind", "--html", folder / "page.html", cwd=folder)
    browser.look(folder / "page.html")
    browser.print_out(folder / "page.html")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("pets.csv", "--target", "sort"), "no column 'sort' for the target"),
        (("pets.csv", "--columns", "sort:class", "note:text"), "no column 'sort'"),
        (("pets.csv", "--columns", "note:song"), "expected COLUMN:KIND"),
        (("lost.csv",), "lost.csv: expected a table"),
        (("pets.xls",), "pets.xls"),
    ],
)
def test_errors_are_a_line(folder, arguments, message):
    error = mmjax("data", *arguments, code=1, cwd=folder).strip().splitlines()
    assert error[-1].startswith("error: ") and message in error[-1]
    assert not any("Traceback" in line for line in error)
