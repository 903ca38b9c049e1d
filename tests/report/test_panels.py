"""Panels of curves with axes of their own: values, colours in order, zeros, what is rescaled."""

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from cnnjax.report import Curve, CurvePanel, collapse, curve_panels

ERRORS = {"t = 1": np.zeros((2, 4)), "t = 2": np.array([0, 1.0, 0, 1.2])}
CURVES = [
    Curve("t = 1", [100, 200], np.array([[10, 50], [20, 70]])),
    Curve("t = 2", [100, 200, 400], np.array([5, 10, 50])),
    Curve("t = 2", [100, 200, 400], np.array([6, 20, 60]), "tied"),
    Curve("other", [100, 200], np.array([7, 8])),
]
SCALES = {"t = 1": 1, "t = 2": 4, "other": 10}


def drawn():
    ordered = ["t = 1", "t = 2"]
    return collapse(ERRORS, CURVES, SCALES, ordered=ordered, exact=1e-5, levels=[30, 40])


def lines(axes):
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def luminance(color):
    return np.dot(to_rgb(color), (0.299, 0.587, 0.114))


def test_each_panel_shows_its_curves_at_their_places():
    errors, learning, rescaled = drawn().axes
    assert list(lines(errors)) == ["t = 1", "t = 2"]
    np.testing.assert_array_equal(lines(errors)["t = 2"].get_xdata(), [0, 1, 2, 3])
    np.testing.assert_array_equal(lines(errors)["t = 2"].get_ydata(), [0, 1, 0, 1.2])
    assert list(lines(learning)) == ["t = 1", "t = 2", "t = 2, tied", "other"]
    np.testing.assert_array_equal(lines(learning)["t = 1"].get_ydata(), [15, 60])
    # Without the variant, over the examples divided by the scale.
    assert list(lines(rescaled)) == ["t = 1", "t = 2", "other"]
    np.testing.assert_array_equal(lines(rescaled)["t = 1"].get_xdata(), [100, 200])
    np.testing.assert_array_equal(lines(rescaled)["t = 2"].get_xdata(), [25, 50, 100])
    np.testing.assert_array_equal(lines(rescaled)["other"].get_xdata(), [10, 20])
    assert [axes.get_xscale() for axes in drawn().axes] == ["linear", "log", "log"]
    assert rescaled.get_xlabel() == "training images / index"
    for axes, heights in ((errors, []), (learning, [30, 40]), (rescaled, [30, 40])):
        found = [line.get_ydata()[0] for line in axes.lines if list(line.get_xdata()) == [0, 1]]
        assert found == heights


def test_zeros_alone_are_marked_and_bands_reach_from_the_smallest_to_the_largest():
    errors, learning, _ = drawn().axes
    marks = [line for line in errors.lines if line.get_marker() == "o"]
    assert [line.get_xdata().tolist() for line in marks] == [[0, 1, 2, 3], [0, 2]]
    (band,) = learning.collections
    points = band.get_paths()[0].vertices
    assert (points[:, 1].min(), points[:, 1].max()) == (10, 70)


def test_names_have_colours_in_order_the_same_in_all_panels_and_others_are_grey():
    panels = [lines(axes) for axes in drawn().axes]
    for name in ("t = 1", "t = 2"):
        assert len({tuple(panel[name].get_color()) for panel in panels}) == 1
    first, second = (luminance(panels[1][name].get_color()) for name in ("t = 1", "t = 2"))
    assert first < second < 0.8
    red, green, blue = to_rgb(panels[1]["other"].get_color())
    assert red == green == blue
    tied, plain = panels[1]["t = 2, tied"], panels[1]["t = 2"]
    assert tuple(tied.get_color()) == tuple(plain.get_color())
    assert tied.get_linestyle() != plain.get_linestyle()
    (legend,) = drawn().legends
    words = [text.get_text() for text in legend.get_texts()]
    assert words == ["t = 1", "t = 2", "other", "plain", "tied"]


def test_settings_are_left_alone_and_places_are_in_thousands():
    before = dict(matplotlib.rcParams)
    figure = drawn()
    assert dict(matplotlib.rcParams) == before
    format_place = figure.axes[1].xaxis.get_major_formatter()
    assert [format_place(x) for x in (0.1, 1, 100, 10_000)] == ["0.1", "1", "100", "10 k"]


def test_what_is_no_curve_is_an_error():
    with pytest.raises(ValueError, match="panels must have at least one curve"):
        curve_panels([CurvePanel("", "", "", [])], [])
    wrong = CurvePanel("", "", "", [Curve("a", [1, 2, 3], np.zeros((4, 2)))])
    with pytest.raises(ValueError, match=r"'a' must have a value for each of 3 x, got shape"):
        curve_panels([wrong], [])
