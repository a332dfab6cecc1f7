"""Answers of several people, settled."""

import pytest

from mmjax.active import corrections
from mmjax.active.corrections import Answer, settle
from mmjax.errors import UserError

GIVEN = [
    Answer("2", "m", "cat", "ann"),
    Answer("2", "m", "dog", "ben"),
    Answer("3", "n", "dog", "ann"),
    Answer("3", "n", "dog", "ben"),
    Answer("4", "o", "dog", "ann"),
    Answer("4", "o", "cat", "ann"),
]


def test_rows_on_which_people_differ_are_listed_and_left_out():
    found = settle(GIVEN)
    assert {one.row: one.answer for one in found.answers} == {"3": "dog", "4": "cat"}
    assert found.differing == {"2": {"ann": "cat", "ben": "dog"}} and found.shared == 2


def test_a_preferred_person_settles_what_they_answered():
    found = settle([*GIVEN, Answer("5", "p", "cat", "cid"), Answer("5", "p", "dog", "ann")], "ben")
    assert {one.row: one.answer for one in found.answers} == {"2": "dog", "3": "dog", "4": "cat"}
    assert found.overruled == 1 and list(found.differing) == ["5"]
    with pytest.raises(UserError, match="--prefer eve: choose from ann, ben"):
        settle(GIVEN, "eve")


def test_answers_to_other_values_of_a_row_are_refused():
    with pytest.raises(UserError, match="row 2: ann, cid have answered different values"):
        settle([GIVEN[0], Answer("2", "other", "cat", "cid")])


def test_a_file_of_answers_comes_back_and_names_what_is_wrong(tmp_path):
    path = tmp_path / "ann.csv"
    corrections.write(path, [Answer("a,b/2", "m", "big cat", ""), Answer("3", "n", "", "ben")])
    assert corrections.read(path, ["big cat"]) == [Answer("a,b/2", "m", "big cat", "ann")]
    with pytest.raises(UserError, match=r"ann.csv:2: answer: got 'big cat', choose from cat, dog"):
        corrections.read(path, ["cat", "dog"])
    path.write_text("row,answer\n2,cat\n")
    with pytest.raises(UserError, match="no column 'mark'"):
        corrections.read(path, ["cat"])
