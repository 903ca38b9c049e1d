"""Images in rows: each in the row of its name, in its place, over the range it is drawn in."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from cnnjax.report import image_rows

A, B, C = (np.array([[number, -2.0 * number]]) for number in (1, 2, 3))


def grid_of(figure, rows):
    return np.reshape(figure.axes, (rows, -1))


def values(axes):
    return axes.images[0].get_array().tolist() if axes.images else None


def test_images_stand_in_the_row_of_their_name_and_none_is_a_gap():
    lines = grid_of(image_rows({"first": [A, None, B], "second": [C]}), 2)
    assert [line[0].texts[0].get_text() for line in lines] == ["first", "second"]
    assert [[values(axes) for axes in line] for line in lines] == [
        [A.tolist(), None, B.tolist()],
        [C.tolist(), None, None],
    ]
    # Each over its own range.
    assert lines[0, 0].images[0].get_clim() == (-2, 1)
    assert lines[0, 2].images[0].get_clim() == (-4, 2)


def test_limits_are_those_of_all_images():
    (line,) = grid_of(image_rows({"a": [A, B]}, limits=(0, 1)), 1)
    assert {axes.images[0].get_clim() for axes in line} == {(0, 1)}


def test_signed_images_are_white_at_zero_over_the_range_of_their_row():
    lines = grid_of(image_rows({"a": [A, B], "b": [C, None], "c": [0 * A]}, signed=True), 3)
    limits = [[axes.images[0].get_clim() for axes in line if axes.images] for line in lines]
    assert limits == [[(-4, 4)] * 2, [(-6, 6)], [(-1e-12, 1e-12)]]


def test_frames_have_the_colours_of_their_places():
    (line,) = grid_of(image_rows({"a": [A, None, B]}, framed=True), 1)
    for place, color in {0: "#0072b2", 2: "#009e73"}.items():
        assert to_hex(line[place].spines["left"].get_edgecolor()) == color
        assert line[place].axison
    assert not line[1].axison
    assert not any(axes.axison for axes in image_rows({"a": [A]}).axes)


@pytest.mark.parametrize("rows", [{}, {"a": []}, {"a": [None]}])
def test_no_images_are_an_error(rows):
    with pytest.raises(ValueError, match="rows must have at least one image, got"):
        image_rows(rows)
