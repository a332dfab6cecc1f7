import csv
import json

import numpy as np
import pytest
from PIL import Image

from mmjax.errors import UserError
from mmjax.io.encryption import keys
from mmjax.io.tables import PLAIN
from mmjax.privacy import suggest
from mmjax.privacy.anonymise import anonymise
from mmjax.privacy.roles import Roles
from mmjax.privacy.settings import Settings
from tests.cli.command import mmjax

ROLES = {
    "pseudonym": ("patient",),
    "drop": ("name",),
    "quasi": ("age", "postcode"),
    "sensitive": ("diagnosis",),
    "text": ("note",),
    "file": ("photo",),
    "keep": ("score",),
}


@pytest.fixture
def people(tmp_path):
    """A table of 40 people with two rows each, a folder of pictures and a key."""
    rng = np.random.default_rng(0)
    Image.new("RGB", (8, 8), "red").save(tmp_path / "ann_smith.png")
    with (tmp_path / "people.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["patient", "name", "age", "postcode", "diagnosis", "note", "photo", "score"]
        )
        for i in range(80):
            name = f"Qann{i // 2} Zsmith{i // 2}"
            note = f"{name} of Zsmith{i // 2} wrote to a@example.org, aged"
            cells = [rng.integers(20, 90), rng.integers(10000, 10020), "flu" if i % 3 else "cold"]
            writer.writerow([f"P{i // 2:04d}", name, *cells, note, "ann_smith.png", i / 7])
    keys.create(tmp_path / "key")
    return tmp_path


def rows_of(out):
    return list(csv.DictReader((out / "table.csv").read_text().splitlines()))


def settings(**changes):
    roles = Roles(**{**ROLES, **changes.pop("roles", {})})
    return Settings(roles, **{"locales": ("en_US",), "faces": "off", "k": 4, **changes})


def test_nothing_that_identifies_is_left(people):
    report = anonymise(people / "people.csv", people / "out", settings(l=2), people / "key")
    text = (people / "out" / "table.csv").read_text()
    for private in ("Qann", "Zsmith", "P00", "example", "smith"):
        assert private not in text
    rows = rows_of(people / "out")
    assert len(rows) == 80 and "name" not in rows[0]
    assert rows[0]["patient"] == rows[1]["patient"] != rows[2]["patient"]
    assert rows[0]["note"] == "[ID] of [ID] wrote to [EMAIL], aged"
    assert rows[5]["score"] == str(5 / 7) and rows[5]["diagnosis"] == "flu"
    assert (people / "out" / rows[0]["photo"]).is_file() and "ann" not in rows[0]["photo"]
    content = json.loads((people / "out" / "report.json").read_text())
    before, after = content["linkage"]["before"], content["linkage"]["after"]
    assert before["k"] == 1 and after["k"] >= 4 and after["mean"] < before["mean"]
    assert content["diversity"]["diagnosis"]["after"] >= 2
    assert content["replaced"] == {"ID": 160, "EMAIL": 80}
    assert any("faces were not looked for" in line for line in report.content["not_done"])
    key = (people / "key").read_text().strip()
    assert all(
        key.encode() not in file.read_bytes()
        for file in (people / "out").rglob("*")
        if file.is_file()
    )


def test_pseudonyms_follow_the_key_and_agree_between_tables(people):
    (people / "other.csv").write_text("patient\nP0003\n")
    anonymise(people / "people.csv", people / "a", settings(), people / "key")
    alone = Settings(Roles(pseudonym=("patient",)))
    anonymise(people / "other.csv", people / "b", alone, people / "key")
    keys.create(people / "key2")
    anonymise(people / "other.csv", people / "c", alone, people / "key2")
    first = rows_of(people / "a")[6]["patient"]
    second, third = ((people / name / "table.csv").read_text().split()[1] for name in "bc")
    assert first == second != third


@pytest.mark.parametrize(
    "changes, line, message",
    [
        ({"roles": {"keep": ()}}, None, "columns without a role: score"),
        ({"roles": {"keep": ("score", "age")}}, None, "one role"),
        ({"roles": {"keep": ("score", "sorce")}}, None, "no such column"),
        (
            {"roles": {"pseudonym": (), "keep": ("score", "patient")}},
            None,
            "may identify",
        ),
        (
            {"roles": {"drop": (), "keep": ("score", "name")}},
            None,
            "may identify",
        ),
        ({"roles": {"text": (), "keep": ("score", "note")}}, None, "e-mail address"),
        ({"k": 41}, None, "at least k = 41 people"),
        ({"l": 3}, None, "l = 3"),
        ({"k": 1}, None, "--k 1"),
        ({}, "P9,Bob,50,10001,flu,text,no.png,1", "no.png"),
        ({}, "P9,Bob,50,10001,flu,text,people.csv,1", "voices, films and other files"),
        ({}, "P9,Bob,50", "cells"),
        ({}, "P9777,Bob Unruh,50,10001,P9777,text,,1", "holds an identifier of the same row"),
    ],
)
def test_in_doubt_nothing_is_written(people, changes, line, message):
    if line is not None:
        with (people / "people.csv").open("a") as file:
            file.write(line + "\n")
    before = sorted(people.iterdir())
    with pytest.raises(UserError, match=message):
        anonymise(people / "people.csv", people / "out", settings(**changes), people / "key")
    assert sorted(people.iterdir()) == before


def test_without_a_key_or_with_an_old_output_nothing_is_written(people, monkeypatch):
    monkeypatch.delenv(keys.VARIABLE, raising=False)
    with pytest.raises(UserError, match="MMJAX_KEY"):
        anonymise(people / "people.csv", people / "out", settings())
    (people / "out").mkdir()
    with pytest.raises(UserError, match="there already"):
        anonymise(people / "people.csv", people / "out", settings(), people / "key")
    assert not list((people / "out").iterdir())


def test_json_lines_with_a_late_column_or_nested_values_are_refused(tmp_path):
    table = tmp_path / "rows.jsonl"
    wanted = Settings(Roles(keep=("a",)))
    table.write_text('{"a": [1, 2.5]}\n{"a": null}\n')
    anonymise(table, tmp_path / "out", wanted)
    assert (tmp_path / "out" / "table.jsonl").read_text() == '{"a": [1, 2.5]}\n{"a": null}\n'
    table.write_text('{"a": {"name": "Ann"}}\n')
    with pytest.raises(UserError, match="may hold anything"):
        anonymise(table, tmp_path / "out2", wanted)
    table.write_text('{"a": 1}\n' * 1000 + '{"a": 1, "name": "Ann"}\n')
    with pytest.raises(UserError, match="1001: columns without a role: name"):
        anonymise(table, tmp_path / "out2", wanted)


def test_a_folder_of_pictures_is_a_table(tmp_path):
    for name in ("cat/ann.png", "dog/bob.png"):
        (tmp_path / "pets" / name).parent.mkdir(parents=True)
        Image.new("L", (4, 4), len(name)).save(tmp_path / "pets" / name)
    wanted = Settings(Roles(file=("file",), keep=("class",)), faces="off")
    keys.create(tmp_path / "key")
    anonymise(tmp_path / "pets", tmp_path / "out", wanted, tmp_path / "key")
    rows = rows_of(tmp_path / "out")
    assert [row["class"] for row in rows] == ["cat", "dog"]
    assert len(list((tmp_path / "out" / "files").iterdir())) == 2


def test_the_command_follows_the_roles_that_are_proposed(people):
    roles = suggest.roles(people / "people.csv", PLAIN)
    assert roles.pseudonym == ("patient",) and roles.drop == ("name",)
    assert roles.text == ("note",) and roles.file == ("photo",)
    assert {"age", "postcode"} <= set(roles.quasi) and roles.keep == ("score",)
    command = roles.command()
    assert "--pseudonym patient" in command and "--keep score" in command
    out = people / "out"
    arguments = ["-o", out, *command.split(), "--key", people / "key"]
    printed = mmjax("anonymise", people / "people.csv", *arguments)
    assert "linkage: k" in printed and f"report: {out / 'report.json'}" in printed
