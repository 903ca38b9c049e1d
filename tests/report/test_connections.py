"""Diagrams of connections: each weight has a colour, each connection a line."""

import numpy as np
import pytest

from cnnjax.report.figures.connections import (
    connection_diagram,
    sharing_matrix,
    subscript,
    weight_colors,
)


@pytest.mark.fast
def test_weights_have_colours_of_their_own():
    for count in (1, 3, 8, 9, 40):
        assert len(set(weight_colors(count))) == count


def test_the_diagram_draws_each_connection_once_and_highlights_one_unit():
    labels = np.array([[0, 1, -1], [2, 0, 1], [-1, 2, 0]])
    figure = connection_diagram(labels)
    every, below, above = figure.axes
    assert [len(ax.lines) for ax in figure.axes] == [7, 7, 7]
    colors = weight_colors(3)
    assert [line.get_color() for line in every.lines] == [colors[i] for i in (0, 1, 2, 0, 1, 2, 0)]
    # Input 1 reaches all outputs by the weights 1, 0, 2; output 1 sees the weights 2, 0, 1.
    for ax, seen in ((below, (1, 0, 2)), (above, (2, 0, 1))):
        bright = [line.get_color() for line in ax.lines if line.get_color() in colors]
        assert bright == [colors[i] for i in seen]


@pytest.mark.fast
def test_titles_count_weights_connections_and_one_unit():
    labels = np.array([[0, 1, -1], [2, 0, 1], [-1, 2, 0]])
    every, below, above = (ax.get_title(loc="left") for ax in connection_diagram(labels).axes)
    assert every.endswith("3 weights, 7 connections")
    assert below == "input x₁ affects 3 of 3 outputs"
    assert above == "output z₁ depends on 3 of 3 inputs"
    assert subscript(120) == "₁₂₀"


@pytest.mark.fast
def test_the_matrix_is_white_without_a_connection():
    labels = np.array([[0, -1, 1], [1, 0, -1]])
    (axes,) = sharing_matrix(labels).axes
    (image,) = axes.images
    np.testing.assert_array_equal(image.get_array(), labels + 1)
    assert image.cmap(0)[:3] == (1, 1, 1)
    assert [text.get_text() for text in axes.get_yticklabels()[:2]] == ["z₀", "z₁"]
