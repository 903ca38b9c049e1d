"""Tables of mappings: each value under its heading, in the words for its kind."""

import pytest

from cnnjax.report import listed, reached, rows_table
from cnnjax.run.observations import Observations
from cnnjax.run.statistics import summarize

ROWS = [
    {
        "name": "first",
        "shape": (4, 6),
        "share": 0.25,
        "error": summarize([0.1, 0.2, 0.3]),
        "count": 12345,
        "exact": True,
    },
    {"name": "second", "shape": None, "share": 0.5, "error": summarize([0.5]), "exact": False},
]


def test_each_value_stands_under_its_heading():
    columns = {
        "who": "name",
        "size": "shape",
        "share (%)": ("share", 100),
        "share": "share",
        "error (%)": ("error", 100),
        "number": "count",
        "exact": "exact",
        "twice": lambda row: 2 * row["name"],
    }
    table = rows_table(ROWS, columns, "What it is.", digits=2)
    assert table.columns == list(columns)
    assert table.caption == "What it is."
    assert table.rows == [
        # 4.303 (Student's t, 2 degrees of freedom) times 0.1 / sqrt(3).
        ["first", "4 x 6", "25", "0.25", "20 ± 20", "12,345", "yes", "firstfirst"],
        ["second", "–", "50", "0.50", "50", "–", "no", "secondsecond"],
    ]


def test_digits_are_those_asked_for():
    assert rows_table([{"a": 1.23456}], {"a": "a"}).rows == [["1.23"]]
    assert rows_table([{"a": 1.23456}], {"a": "a"}, digits=5).rows == [["1.2346"]]


def test_words_are_listed_with_one_and():
    assert [listed(range(count)) for count in range(4)] == ["", "0", "0 and 1", "0, 1 and 2"]


def test_a_key_that_no_row_has_is_an_error():
    with pytest.raises(ValueError, match=r"must be one of \['name', .*\], got 'names'"):
        rows_table(ROWS, {"who": "names"})
    assert rows_table([], {"who": "names"}).rows == []


def test_what_some_seeds_did_not_reach_has_no_mean():
    rows = [{"seed": seed, "needed": value} for seed, value in enumerate((100.0, 200.0, 600.0))]
    found = Observations(rows, ("seed",))
    assert reached(found, "needed") == "300 ± 700"
    assert reached(found, "needed", 0.5) == "200 ± 300"
    found = Observations([rows[0], rows[1] | {"needed": None}, {"seed": 2}], ("seed",))
    assert reached(found, "needed") == "1 of 3 seeds"
    assert reached(found, "other") == "0 of 3 seeds"
