"""The page, in a real browser where there is one: it finds what the command finds."""

import base64
import csv
import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from mmjax.cli.search import search
from mmjax.errors import UserError
from mmjax.search import Index, page
from mmjax.search.build import build
from tests import browser
from tests.cli.command import mmjax

pytestmark = pytest.mark.usefixtures("standard_promotion")
# What the page's own functions find, and what they do with the keys of the keyboard.
PROBE = """() => {
const found = {phrases: {}, items: {}};
const shown = () => [...results.children].map(c => data.names[c.dataset.item]).slice(0, 10);
for (const phrase of data.phrases) { searchText(phrase); found.phrases[phrase] = shown(); }
for (let i = 0; i < 20; i++) { searchItem(i); found.items[data.names[i]] = shown(); }
searchText("purple red BLUE"); found.remark = note.textContent;
searchText("purple"); found.unknown = [note.textContent, shown()];
location.hash = "#q=100%"; opened(); location.hash = "#i=length"; opened();
searchText("  GREEN   square "); found.plain = shown();
const left = () => [...results.children].map(c => Number(c.dataset.item));
const press = key => document.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
searchText("green, "); compareButton.click(); const pairs = [left()]; press("ArrowLeft");
pairs.push(left()); results.children[1].click(); pairs.push(left()); press("ArrowDown");
pairs.push(left()); searchItem(0); pairs.push(left()); press("ArrowRight");
found.pairs = pairs.map(pair => pair.map(i => data.names[i]));
found.choices = table(); found.saving = saveButton.textContent; found.offered = data.values.length;
for (let i = 0; i < 40; i++) press("ArrowLeft");
found.compared = [note.textContent, choices.length, left().length]; compareButton.click();
return found;
}"""


def assert_best(names, index, vector):
    """These are the ten best items, but for items whose scores differ by less than rounding."""
    scores = [float(index.vectors[list(index.names).index(name)] @ vector) for name in names]
    expected = [hit.score for hit in index.hits(vector)]
    np.testing.assert_allclose(scores, expected, atol=2e-4)


@pytest.fixture(scope="module")
def indexed(colours, tmp_path_factory):
    """(index's folder, page)."""
    folder = tmp_path_factory.mktemp("indexed")
    mmjax("index", colours[0], colours[1], "-o", folder / "index")
    mmjax("search", folder / "index", "--html", folder / "page.html")
    return folder / "index", folder / "page.html"


def test_the_command_finds_and_explains(indexed):
    folder, _ = indexed
    lines = mmjax("search", folder, "blue", "-k", 3, "--json").splitlines()
    hits = [json.loads(line) for line in lines]
    assert [hit["rank"] for hit in hits] == [1, 2, 3] and "blue" in hits[0]["text"]
    shown = mmjax("search", folder, "--image", folder / hits[0]["name"], code=1)
    assert "expected a" in shown and "no file" in shown


def test_arguments_that_do_not_go_together():
    for arguments in ({}, {"query": "red", "image": "a.png"}):
        with pytest.raises(UserError, match="one of them"):
            search(Path("i"), arguments.pop("query", None), **arguments)
    with pytest.raises(UserError, match="-k: expected at least 1, got 0"):
        search(Path("i"), "red", k=0)


def test_nothing_in_the_data_ends_the_script_or_the_title(embedder, colours, tmp_path):
    index = build(embedder, colours[1], tmp_path / "index").index
    texts = ["</script><script>alert(1)</script>red", *index.texts[1:]]
    evil = dataclasses.replace(index, texts=texts, source="</title><script>{{data}}\udcff")
    text = page.page_of(evil, tmp_path / "index", embedder)
    assert text.count("</script>") == 2 and "alert(1)" in text
    assert text.count("<script") == 2 and text.count('"phrases"') == 1


@pytest.mark.parametrize("cell", [lambda file: file, lambda file: {"bytes": file, "path": None}])
def test_pictures_that_a_table_holds_are_shown(embedder, colours, tmp_path, cell):
    with colours[1].open() as file:
        files = [(colours[1].parent / row["image"]).read_bytes() for row in csv.DictReader(file)]
    table, folder = tmp_path / "held.parquet", tmp_path / "index"
    cells = {"image": list(map(cell, files[:3])), "words": ["red", "green", "blue"]}
    pyarrow.parquet.write_table(pyarrow.table(cells), table)
    index = build(embedder, table, folder).index

    def pictures():
        text = page.page_of(index, folder, embedder).partition('type="application/json">')[2]
        return json.loads(text.partition("</script>")[0])["pictures"]

    for file, shown in zip(files, pictures(), strict=False):
        levels = [
            np.asarray(Image.open(io.BytesIO(one)).convert("RGB"), float).mean((0, 1))
            for one in (file, base64.b64decode(shown))
        ]
        np.testing.assert_allclose(*levels, atol=8)
    table.unlink()
    assert pictures() == [""] * 3  # the page can still be written


@browser.needed
def test_the_page_finds_what_the_command_finds(indexed, embedder):
    folder, path = indexed
    with browser.opened(path) as page:
        found = page.evaluate(PROBE)
    index = Index.open(folder)
    assert set(found["phrases"]) == {*index.texts, "square"}
    for phrase, names in found["phrases"].items():
        assert_best(names, index, embedder("words", [phrase])[0])
    for name, names in found["items"].items():
        assert_best(names, index, index.vectors[list(index.names).index(name)])
    assert found["remark"] == "The mean of “red”, “blue”. Unknown: “purple”."
    assert found["plain"] == found["phrases"]["green square"]
    assert found["unknown"] == ["None of these words is known.", []]
    (a, b), (c, d), third, fourth, (e, f) = found["pairs"]
    assert len({frozenset(pair) for pair in found["pairs"]}) == 5
    assert len({*third, *fourth, c, d}) >= 3 and index.names[0] not in (e, f)
    lines = [f'"green,",,{a},{b},1', f'"green,",,{d},{c},2', f",{index.names[0]},{f},{e},3"]
    assert found["choices"].splitlines() == ["words,image,better,worse,choice", *lines]
    assert found["saving"] == "Save 3 choices"
    shown, count, left = found["compared"]  # 8 items have 28 pairs, of which one was chosen before
    assert shown.startswith("The first 8 results for") and (count, left) == (2 + 28, 0)


@browser.needed
def test_the_page_by_keyboard_and_by_finger(indexed, embedder):
    folder, path = indexed
    index = Index.open(folder)
    names = "[...results.children].map(c => data.names[c.dataset.item]).slice(0, 10)"
    with browser.opened(path, width=browser.PHONE) as page:
        page.focus("input")
        page.keyboard.type("re")
        assert page.evaluate("[...list.children].map(e => e.textContent)") == ["red", "red square"]
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        assert page.input_value("input") == "red"
        page.wait_for_selector("[data-item]")
        assert_best(page.evaluate(names), index, embedder("words", ["red"])[0])
        first = page.evaluate(names)[0]
        page.tap("[data-item]")
        page.wait_for_function("location.hash.startsWith('#i=')")
        page.evaluate("opened()")  # as the browser does, but at once
        vector = index.vectors[list(index.names).index(first)]
        assert_best(page.evaluate(names), index, vector)
        page.go_back()
        page.wait_for_function("location.hash.startsWith('#q=')")
    browser.look(path)


@browser.needed
def test_a_page_of_texts(embedder, colours, tmp_path):
    index = build(embedder, colours[1], tmp_path / "index", modality="words").index
    page.write(tmp_path / "page.html", index, tmp_path / "index", embedder)
    with browser.opened(tmp_path / "page.html") as shown:
        found = shown.evaluate(PROBE)
    assert found["choices"].startswith("words,better,worse,choice\n")
    assert found["offered"] == len(index)
    browser.look(tmp_path / "page.html")


def test_sixteen_bits_keep_the_order_where_eight_do_not():
    """Which is why the page holds sixteen; at 10,000 items of width 128."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((10_000, 128)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    exact = np.argsort(-(vectors[:50] @ vectors.T), axis=1)[:, :10]

    def same(levels):
        rounded = np.rint(vectors * levels) / levels
        return np.mean(np.argsort(-(rounded[:50] @ rounded.T), axis=1)[:, :10] == exact)

    assert same(page.LEVELS) > 0.99 > 0.9 > same(127)
