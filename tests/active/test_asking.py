"""The questions, on a terminal and in a real browser where there is one."""

import csv
import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from mmjax.active import corrections, page
from mmjax.active.corrections import Answer
from mmjax.active.offers import Offer
from mmjax.active.terminal import KEYS, ask, keyed
from mmjax.data.tables.rows import Row
from mmjax.data.transforms.audio import Recording
from tests import browser

NAMES = ["a cat", "a, dog", "7", "</script>"]
# Answers by keys and by buttons, and the file that is saved.
PROBE = """async () => {
const press = (key, target) => (target || document.body).dispatchEvent(
  new KeyboardEvent("keydown", {key, bubbles: true}));
const found = {width: get("item").querySelector("img").naturalWidth,
  audio: document.querySelectorAll("audio").length, text: get("item").textContent};
get("by").value = 'Ann "A"'; get("by").dispatchEvent(new Event("input"));
press("1", get("by"));
found.typing = at;
press("2"); press("u"); press("7"); press("Enter"); press("s");
get("answers").querySelectorAll("button")[3].click();
found.csv = csv(); found.end = get("item").textContent; found.kept = localStorage.getItem(place);
let blob; URL.createObjectURL = one => { blob = one; return "#"; };
HTMLAnchorElement.prototype.click = function () { found.file = this.download; };
get("save").click();
const text = await blob.text();
found.saved = text === found.csv && saved;
return found;
}"""


def offer(row, guess="a cat", **inputs):
    others = {name: 0.1 for name in NAMES if name != guess}
    cells = {"picture": "big.png"} if "picture" in inputs else {}
    return Offer(Row(row, {}, inputs), cells, f"mark{row}", {guess: 0.7, **others})


@pytest.fixture
def offers(tmp_path):
    Image.new("RGB", (300, 200), "red").save(tmp_path / "big.png")
    sound = Recording(np.zeros(800), 8000)
    pixels = np.zeros((4, 4, 3), np.uint8)
    return [
        offer(2, words="</script><b>bold", sound=sound, picture=pixels),
        offer(3, guess="</script>", words=None),
        offer(4, words="x"),
        offer(5, words="y"),
    ]


def test_keys_are_the_same_for_every_row_and_a_class_that_is_a_key_has_it():
    assert keyed(offer(2), NAMES) == {"1": "a cat", "2": "a, dog", "7": "7", "3": "</script>"}
    assert keyed(offer(2), ["2", "1"]) == {"2": "2", "1": "1"}
    many = [f"class {number}" for number in range(len(KEYS) + 1)]
    probable = dataclasses.replace(offer(2), p=dict.fromkeys(many[::-1], 0.01))
    assert list(keyed(probable, many).values()) == many[:-10:-1]


def test_the_terminal_takes_keys_names_and_enter_and_stops_without_losing_an_answer(offers):
    given, lines = [], iter(["2", "nonsense", "</script>", "s", ""])
    assert ask(offers, NAMES, "ann", given.append, lambda _: next(lines), lambda _: None)
    assert [(one.row, one.answer, one.by) for one in given] == [
        *(("2", "a, dog", "ann"), ("3", "</script>", "ann"), ("5", "a cat", "ann"))
    ]
    for end in ("q", EOFError):
        given = []
        lines = iter(["1", end])

        def asked(_, lines=lines):
            if (line := next(lines)) is EOFError:
                raise EOFError
            return line

        assert not ask(offers, NAMES, "ann", given.append, asked, lambda _: None)
        assert given == [Answer("2", "mark2", "a cat", "ann")]


@browser.needed
def test_the_page_asks_by_keys_and_saves_what_the_command_reads(offers, tmp_path):
    page.write(tmp_path / "page.html", offers, NAMES, "<Which>?", tmp_path)
    text = (tmp_path / "page.html").read_text()
    assert text.count("<script") == text.count("</script>") == 2 and "<b>bold" not in text
    browser.look(tmp_path / "page.html")
    with browser.opened(tmp_path / "page.html") as opened:
        found = opened.evaluate(PROBE)
    assert found["width"] == 300 and found["audio"] == 1 and "</script><b>bold" in found["text"]
    assert found["typing"] == 0 and found["saved"] and found["file"] == "answers-Ann-A-.csv"
    assert "last one" in found["end"] and json.loads(found["kept"]) == {
        "answers": {"2": "7", "3": "</script>", "5": "</script>"},
        "by": 'Ann "A"',
    }
    (tmp_path / "saved.csv").write_text(found["csv"])
    assert corrections.read(tmp_path / "saved.csv", NAMES) == [
        Answer("2", "mark2", "7", 'Ann "A"'),
        Answer("3", "mark3", "</script>", 'Ann "A"'),
        Answer("5", "mark5", "</script>", 'Ann "A"'),
    ]
    assert next(csv.reader(found["csv"].splitlines())) == list(corrections.FIELDS)


def test_a_picture_is_shown_as_it_is_in_its_file_and_else_as_the_model_reads_it(offers, tmp_path):
    page.write(tmp_path / "page.html", offers, NAMES, "t", tmp_path)
    with_file = (tmp_path / "page.html").stat().st_size
    page.write(tmp_path / "page.html", offers, NAMES, "t", tmp_path / "elsewhere")
    assert "data:image" in (tmp_path / "page.html").read_text()
    assert (tmp_path / "page.html").stat().st_size < with_file
