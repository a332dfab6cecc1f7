import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmjax.errors import UserError
from mmjax.privacy import groups
from mmjax.privacy.risk import diversity, risk

CELLS = st.one_of(st.integers(0, 30).map(str), st.sampled_from(["", "a", "b", "NA", "1.5"]))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(CELLS, CELLS, st.integers(0, 9), st.integers(0, 3)), min_size=1),
    st.integers(2, 5),
    st.integers(1, 2),
)
def test_every_group_has_k_people_and_l_values_or_nothing_is_made(rows, k, l):  # noqa: E741
    first, second, person, ill = (list(column) for column in zip(*rows, strict=True))
    columns = [groups.quasi(first), groups.quasi(second)]
    if len(set(person)) < k or (len(set(ill)) < l):
        with pytest.raises(UserError, match="at least k"):
            groups.partition(columns, np.array(person), k, [np.array(ill)], l)
        return
    made = groups.partition(columns, np.array(person), k, [np.array(ill)], l)
    assert sorted(np.concatenate(made)) == list(range(len(rows)))
    cells = list(zip(*(groups.generalised(c, made, "range") for c in columns), strict=True))
    assert risk(cells, person).k >= k
    assert diversity(cells, ill) >= l


def test_a_group_is_cut_where_it_can_be():
    column = groups.quasi([str(age) for age in range(20)])
    made = groups.partition([column], np.arange(20), 5)
    assert sorted(map(len, made)) == [5, 5, 5, 5]


@pytest.mark.parametrize(
    "cells, numbers, expected",
    [
        (["30", "35", "39"], "range", "30..39"),
        (["30", "35", "39"], "mean", "34.6667"),
        (["7", "7", "7"], "range", "7"),
        (["02138", "02139", "02142"], "range", "021**"),
        (["m", "f", "m"], "range", "f|m"),
        (["31.12.1999", "2001-02-03", "2000-01-01"], "range", "1999-12-31..2001-02-03"),
        (["30", "", "39"], "range", "*"),
        (["", "NA", ""], "range", ""),
        (["a", "b", "c", "d", "e"], "range", "*"),
    ],
)
def test_cells_of_a_group_become_one(cells, numbers, expected):
    column = groups.quasi(cells)
    rows = np.arange(len(cells))
    assert set(groups.generalised(column, [rows], numbers)) == {expected}


def test_risk_counts_people_and_not_rows():
    found = risk(["a", "a", "a", "b", "b"], ["x", "x", "x", "y", "z"])
    assert (found.k, found.groups, found.unique, found.highest) == (1, 2, 3 / 5, 1)
    assert found.mean == pytest.approx((3 * 1 + 2 * 0.5) / 5)
    assert diversity(["a", "a", "b"], ["flu", "flu", "cold"]) == 1
