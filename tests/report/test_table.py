"""Numbers with uncertainty against hand-worked values and scipy.stats, and the tables of them."""

# Minus, times and dash are the signs of print, not the letters that look like them.

import math
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from scipy import stats

from cnnjax.report.table import (
    Table,
    escape_markdown,
    format_count,
    format_interval,
    format_number,
    format_summary,
    half_width,
    over_seeds,
    table_html,
    table_markdown,
)
from cnnjax.run.statistics import Summary, summarize


@pytest.mark.fast
def test_two_values_by_hand():
    # Mean 2, variance ((1-2)^2 + (3-2)^2) / 1 = 2; t(0.975, 1) = tan(0.475 pi) = 12.7062.
    summary = summarize([1.0, 3.0])
    assert (summary.mean, summary.n) == (2.0, 2)
    assert summary.std == pytest.approx(math.sqrt(2), rel=1e-15)
    half_width = math.tan(0.475 * math.pi) * math.sqrt(2) / math.sqrt(2)
    assert summary.half_width() == pytest.approx(half_width, rel=1e-9)
    assert summary.interval() == pytest.approx((2 - half_width, 2 + half_width), rel=1e-9)


@pytest.mark.fast
def test_three_values_by_hand():
    # With 2 degrees of freedom t(p) = (2p - 1) / sqrt(2 p (1 - p)) in closed form: 4.302653.
    summary = summarize([1.0, 2.0, 6.0])
    assert summary.mean == 3.0
    assert summary.std == pytest.approx(math.sqrt(7), rel=1e-15)
    quantile = 0.95 / math.sqrt(2 * 0.975 * 0.025)
    assert summary.half_width() == pytest.approx(quantile * math.sqrt(7 / 3), rel=1e-9)


def test_one_value_has_no_spread_and_no_interval():
    summary = summarize([0.5])
    assert summary == Summary(mean=0.5, std=None, n=1)
    assert summary.half_width() is None
    assert summary.interval() is None


@pytest.mark.fast
def test_an_interval_has_the_digits_that_half_of_it_leaves_certain():
    assert format_interval(0.8123, (0.7811, 0.8355), 100) == "81 (78 to 84)"
    assert format_interval(-0.0123, (-0.0211, 0.0004), 100) == "−1.2 (−2.1 to 0.0)"
    assert format_interval(0.5, (0.48, 0.52)) == "0.50 (0.48 to 0.52)"
    assert format_interval(0.25, (0.25, 0.25), 100) == "25.0 (25.0 to 25.0)"


@pytest.mark.parametrize("n", [2, 3, 5, 30])
def test_interval_is_scipys(n):
    values = np.random.default_rng(n).normal(size=n)
    expected = stats.t.interval(0.95, n - 1, loc=values.mean(), scale=stats.sem(values))
    assert summarize(values).interval() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: summarize([]), r"shape \(0,\)"),
        (lambda: summarize([[1.0, 2.0]]), r"shape \(1, 2\)"),
        (lambda: summarize([1.0, math.nan]), "finite.*nan"),
        (lambda: Summary(1.0, 0.1, 0), "n is 0"),
        (lambda: Summary(1.0, None, 2), "std is None with n 2"),
        (lambda: Summary(1.0, 0.0, 1), "std is 0.0 with n 1"),
        (lambda: format_count(-1), "-1"),
        (lambda: format_count(math.inf), "inf"),
    ],
)
def test_wrong_numbers_get_a_sentence(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0"),
        (0.1234, "0.123"),
        (0.9996, "1.00"),
        (9.996, "10.0"),
        (-12.34, "−12.3"),
        (123.4, "123"),
        (12345, "12,345"),
        (12_345_678, "1.23 × 10⁷"),
        (0.000123, "0.000123"),
        (1.4e-7, "1.40 × 10⁻⁷"),
        (9.999e-8, "1.00 × 10⁻⁷"),
        (-2e-10, "−2.00 × 10⁻¹⁰"),
        (math.nan, "NaN"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
    ],
)
def test_format_number(value, text):
    assert format_number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0"),
        (7, "7"),
        (950, "950"),
        (0.25, "0.25"),
        (12.6, "13"),
        (999, "999"),
        (999.6, "1.0 k"),
        (1_000, "1.0 k"),
        (1_234, "1.2 k"),
        (9_960, "10 k"),
        (37_248, "37 k"),
        (157_400, "157 k"),
        (999_499, "999 k"),
        (999_960, "1.0 M"),
        (1_234_567, "1.2 M"),
        (3.4e9, "3.4 G"),
        (5.6e12, "5.6 T"),
        (7.8e16, "78,000 T"),
    ],
)
def test_format_count(value, text):
    assert format_count(value) == text


def test_format_count_with_more_digits():
    assert format_count(1_234_567, digits=3) == "1.23 M"
    assert format_count(37_248, digits=3) == "37.2 k"


# Half of the interval of three seeds is t(0.975, 2) std / sqrt(3).
HALF = 4.302652729911275 / math.sqrt(3)


@pytest.mark.parametrize(
    ("mean", "half", "text"),
    [
        (0.9641, 0.0082, "96.4 ± 0.8"),
        (0.9641, 0.0124, "96.4 ± 1.2"),
        (0.9641, 0.0196, "96 ± 2"),
        (0.9641, 0.00961, "96.4 ± 1.0"),
        (0.9641, 0.123, "96 ± 12"),
        (0.5, 0.00004, "50.000 ± 0.004"),
        (0.5, 0.0, "50.0 ± 0"),
        (0.5, 1e-12, "50.0 ± 0"),
        (123.45, 6.78, "12,300 ± 700"),
        (1.04e-9, 2.1e-10, "(1.0 ± 0.2) × 10⁻⁷"),
        (-0.031, 0.004, "−3.1 ± 0.4"),
        (0.0, 0.004, "0.0 ± 0.4"),
    ],
)
def test_format_summary_keeps_the_certain_digits(mean, half, text):
    assert format_summary(Summary(mean, half / HALF, 3), scale=100) == text


def test_an_interval_needs_three_seeds():
    # 95 ± t(0.975, 2) * 1 / sqrt(3) = 95 ± 2.48
    assert format_summary(summarize([0.94, 0.95, 0.96]), scale=100) == "95 ± 2"
    assert half_width(summarize([0.94, 0.95, 0.96])) == pytest.approx(0.01 * HALF)
    assert format_summary(summarize([0.94, 0.96]), scale=100) == "95.0"
    assert half_width(summarize([0.94, 0.96])) is None
    assert format_summary(summarize([0.97222]), scale=100) == "97.2"
    assert format_summary(summarize([0.97222]), 100, digits=4) == "97.22"


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (1, "one seed"),
        (2, "mean over 2 seeds"),
        (3, "mean ± 95 % interval over 3 seeds"),
        (12, "mean ± 95 % interval over 12 seeds"),
    ],
)
def test_over_seeds(count, text):
    assert over_seeds(count) == text


EVIL = '<script>alert("x")</script> & | `a` *b*'


def test_table_html_escapes_and_parses():
    table = Table([EVIL, "n"], [[EVIL, "1"], ["a", "22"]], caption=EVIL)
    text = table_html(table)
    assert "<script" not in text
    root = ElementTree.fromstring(text)
    cells = [[cell.text for cell in row] for row in root.iter("tr")]
    assert cells == [[EVIL, "n"], [EVIL, "1"], ["a", "22"]]
    assert [cell.get("class") for cell in root.iter("td")] == ["left", "right"] * 2


@pytest.mark.parametrize(
    ("cells", "align"),
    [
        (["1", "2.5", "–"], "right"),
        (["−1", "+2", "37 k"], "right"),
        (["96.4 ± 0.8", "(1.0 ± 0.2) × 10⁻⁷"], "right"),
        (["≤ 3", "4 × 4"], "right"),
        (["1", "none"], "left"),
        (["tiled 2", "tiled 4"], "left"),
        (["–", ""], "left"),
    ],
)
def test_columns_of_numbers_are_set_right(cells, align):
    assert Table(["x"], [[cell] for cell in cells]).alignments() == [align]


def test_table_markdown_by_hand():
    table = Table(["conv", "n"], [["low_rank", "1"], ["a|b", "22"]], caption="Counts.")
    assert table_markdown(table) == (
        "| conv     |   n |\n| -------- | --: |\n| low_rank |   1 |\n| a\\|b     |  22 |\n\nCounts."
    )


def test_table_without_rows_is_its_headings():
    assert table_markdown(Table(["a"], [])) == "| a   |\n| --- |"


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a < b & c", "a &lt; b &amp; c"),
        ("low_rank _x_", "low_rank \\_x\\_"),
        ("*[x](y)*", "\\*\\[x\\](y)\\*"),
        ("two\nlines", "two lines"),
        ("- item", "\\- item"),
        ("1. item", "1\\. item"),
        ("1.5 times", "1.5 times"),
        ("# no", "\\# no"),
        ("---", "\\---"),
        ("−3", "−3"),
    ],
)
def test_escape_markdown(text, escaped):
    assert escape_markdown(text) == escaped


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([], []), "columns must be at least one"),
        ((["a", "b"], [["1"]]), r"row 0 must have .*\['a', 'b'\], got \['1'\]"),
        ((["a"], [["1"], [2.5]]), "row 1, column 'a' must be text.*2.5"),
        ((["a"], [], "", ["center"]), "center"),
        ((["a"], [], "", ["left", "left"]), "1 columns"),
    ],
)
def test_wrong_tables_get_a_sentence(arguments, words):
    with pytest.raises(ValueError, match=words):
        Table(*arguments)
