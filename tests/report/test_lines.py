"""Panels of curves: every value where it belongs, every name in one look."""

import numpy as np
import pytest

from cnnjax.report import line_panels

PANELS = {"first": {"a": [1, 2, 4], "b": [3, 3, 3]}, "second": {"b": [5, 6, 7], "c": [8, 8, 9]}}
X = [10, 20, 40]


def shown(axes):
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def test_every_curve_stands_in_its_panel_in_the_look_of_its_name():
    figure = line_panels(PANELS, X, "size", y_label="time")
    for axes, (title, curves) in zip(figure.axes, PANELS.items(), strict=True):
        assert axes.get_title() == title
        assert axes.get_xlabel() == "size"
        assert list(shown(axes)) == list(curves)
        for name, line in shown(axes).items():
            np.testing.assert_array_equal(line.get_xdata(), X)
            np.testing.assert_array_equal(line.get_ydata(), curves[name])
    first, second = map(shown, figure.axes)
    looks = [(line.get_color(), line.get_linestyle()) for line in (first["b"], second["b"])]
    assert looks[0] == looks[1]
    assert looks[0] != (first["a"].get_color(), first["a"].get_linestyle())
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b", "c"]
    colors = {
        text.get_text(): line.get_color() for text, line in zip(legend.texts, legend.get_lines())
    }
    assert colors == {"a": first["a"].get_color(), "b": looks[0][0], "c": second["c"].get_color()}


def test_panels_share_the_vertical_axis_only_where_it_has_one_label():
    one, other = line_panels(PANELS, X, "size", y_label="time", limits=(0, 12)).axes
    assert one.get_ylim() == other.get_ylim() == (0, 12)
    assert (one.get_ylabel(), other.get_ylabel()) == ("time", "")
    one, other = line_panels(PANELS, X, "size").axes
    assert one.get_ylim() != other.get_ylim()


def test_scales_ticks_and_reference_are_those_asked_for():
    axes = line_panels(PANELS, X, "size", ticks=X, logarithmic=True, reference=2.5).axes[0]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert [label.get_text() for label in axes.get_xticklabels()] == ["10", "20", "40"]
    assert 2.5 in [line.get_ydata()[0] for line in axes.lines if line.get_label().startswith("_")]
    assert line_panels(PANELS, X, "size").axes[0].get_xscale() == "linear"


def test_twenty_names_have_twenty_looks_and_zeros_a_place_on_a_logarithmic_axis():
    axes = line_panels({"": {str(n): [0, 1, 2] for n in range(20)}}, X, "size", linear_below=0.1)
    (axes,) = axes.axes
    assert len({(line.get_color(), line.get_linestyle()) for line in axes.lines}) == 20
    heights = axes.transData.transform([(0, y) for y in (0.0, 0.05, 0.1, 1.0, 10.0)])[:, 1]
    steps = np.diff(heights)
    assert steps[0] == pytest.approx(steps[1])
    assert steps[2] == pytest.approx(steps[3])


def test_what_is_no_curve_is_an_error():
    with pytest.raises(ValueError, match=r"at least one curve, got \{'a': \{\}\}"):
        line_panels({"a": {}}, X, "size")
    with pytest.raises(ValueError, match="'b' of 'a' must have 3 values, one for each x, got 2"):
        line_panels({"a": {"b": [1, 2]}}, X, "size")
