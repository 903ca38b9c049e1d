"""Rotated glyphs: their angles and classes, what is zero, and the half-width of least loss."""

import math

import numpy as np
import pytest

from cnnjax.data import rotated_glyphs as module
from cnnjax.data.rotated_glyphs import CLASSES, SIDE, draw, optimal_half_width, rotated_glyphs
from cnnjax.symmetry import rotate

pytestmark = pytest.mark.fast


def test_angles_are_uniform_about_upright_or_inverted(monkeypatch):
    calls = []

    def drawing(glyphs, angles, **looks):
        calls.append((glyphs, angles, looks))
        return draw(glyphs, angles, **looks)

    monkeypatch.setattr(module, "draw", drawing)
    data = rotated_glyphs(30, 600, 40, seed=4)
    glyphs, angles = (np.concatenate([call[n] for call in calls])[:600] for n in (0, 1))
    labels = data.train.labels
    assert CLASSES == ("flag upright", "flag inverted", "hook upright", "hook inverted")
    np.testing.assert_array_equal(labels, np.arange(600) % 4)
    np.testing.assert_array_equal(glyphs, labels // 2)
    moved = angles - 180 * (labels % 2)
    assert 29.5 < np.abs(moved).max() <= 30
    for label in range(4):
        counts, _ = np.histogram(moved[labels == label], 3, (-30, 30))
        assert counts.min() > 30
    assert data.train.images.shape == (600, SIDE, SIDE, 1)
    assert len(data.validation) == len(data.test) == 40


def test_images_are_a_function_of_the_seed_and_splits_share_none():
    first, again, other = (rotated_glyphs(45, 8, 8, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.train.images, again.train.images)
    every = [
        split.images.tobytes()
        for data in (first, other)
        for split in (data.train, data.validation, data.test)
    ]
    assert len(set(every)) == 6


def test_glyphs_turn_counter_clockwise_and_no_two_are_alike():
    upright, quarter, half = (draw(np.arange(2), np.full(2, angle)) for angle in (0, 90, 180))
    np.testing.assert_allclose(np.rot90(upright, 1, (1, 2)), quarter, atol=1e-12)
    np.testing.assert_allclose(np.rot90(upright, 2, (1, 2)), half, atol=1e-12)
    # No glyph at any angle is the other, nor its own half turn.
    angles = np.arange(0, 360, 5.0)
    for glyph in (0, 1):
        others = draw(np.full(72, 1 - glyph), angles)
        assert np.abs(others - upright[glyph]).mean((1, 2, 3)).min() > 0.02
    assert np.abs(half - upright).mean((1, 2, 3)).min() > 0.02


def test_outside_of_the_inscribed_circle_there_is_nothing():
    """So corners cannot tell how far a glyph was rotated, nor can what is filled in there."""
    images = rotated_glyphs(90, 400, 1, seed=3).train.images
    middle = (SIDE - 1) / 2
    far = np.hypot(*(np.indices((SIDE, SIDE)) - middle)) > middle
    assert images[:, far].max() == 0
    assert images.max() > 200


@pytest.mark.parametrize("degrees", [-70, 10, 45])
def test_interpolation_is_as_good_as_drawing(degrees):
    """So sharpness cannot tell how far a glyph was rotated either."""
    glyphs = np.arange(2)
    given = draw(glyphs, np.full(2, 10.0)).astype(np.float32)
    rotated = rotate(given, math.radians(degrees), interpolation="bicubic")
    drawn = draw(glyphs, np.full(2, 10.0 + degrees))
    assert np.linalg.norm(rotated - drawn) < 0.01 * np.linalg.norm(drawn)


def loss(half_angle, half_width):
    """Cross-entropy of the best classifier of upright and inverted, by counting angles."""
    angles = np.arange(-180, 180, 0.05) + 0.025
    total = half_angle + half_width
    flat = abs(half_angle - half_width)

    def density(distance):
        slope = (total - distance) / (total - flat)
        return np.clip(slope, 0, 1) / (total + flat)

    upright = density(np.abs(angles))
    inverted = density(180 - np.abs(angles))
    both = upright + inverted
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = [np.where(p > 0, -p * np.log(p / both), 0) for p in (upright, inverted)]
    return 0.05 * sum(parts).sum() / 2


@pytest.mark.parametrize("half_angle", [30, 60, 80, 90])
def test_the_half_width_of_least_loss_is_found_by_search(half_angle):
    reward = 0.1
    widths = np.arange(0.5, 89.5, 0.25)
    losses = [loss(half_angle, width) - reward * math.radians(width) for width in widths]
    expected = optimal_half_width(half_angle, reward)
    assert widths[np.argmin(losses)] == pytest.approx(expected, abs=0.51)


def test_without_reward_it_is_where_the_classes_touch():
    assert optimal_half_width(35, 0) == pytest.approx(55)
    assert optimal_half_width(90, 0.1) == 0
    assert optimal_half_width(75, 0.5) is None
    assert optimal_half_width(45, 1.0) is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rotated_glyphs(45, 0, 1), "`train` and `test` must be at least 1, got 0 and 1"),
        (lambda: rotated_glyphs(91, 1, 1), "`half_angle` must be 0 to 90 degrees, got 91"),
        (lambda: optimal_half_width(0, 0.1), "`half_angle` must be above 0 and at most 90, got 0"),
        (lambda: optimal_half_width(45, -1), "`reward` must be at least 0, got -1"),
    ],
)
def test_wrong_input_is_one_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()
