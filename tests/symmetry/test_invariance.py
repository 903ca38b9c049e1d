"""Invariance of predictions: classes at every shift, and measures of grids made by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.symmetry import (
    accuracy_curve,
    chance_corrected_consistency,
    classes_over_crops,
    classes_over_shifts,
    one_pixel_flip_rate,
    shift_consistency,
    worst_case_accuracy,
)

# Predicted classes [rows, columns, images] of three images at 2 x 2 shifts.
GRID = np.stack([[[0, 0], [0, 0]], [[1, 1], [2, 2]], [[0, 1], [2, 3]]], -1)


def test_consistency_is_the_probability_that_two_shifts_agree():
    """Of 4 x 4 pairs agree: all; 8, in two halves; 4, each shift with itself."""
    assert shift_consistency(GRID[..., :1]) == 1
    assert shift_consistency(GRID[..., 1:2]) == 0.5
    assert shift_consistency(GRID[..., 2:]) == 0.25
    assert shift_consistency(GRID) == (1 + 0.5 + 0.25) / 3


@pytest.mark.parametrize("shape", [(4, 4, 7), (8, 8, 30), (2, 4, 1)])
def test_consistency_is_the_mean_over_all_ordered_pairs(shape):
    classes = np.random.default_rng(0).integers(0, 3, shape)
    flat = classes.reshape(-1, shape[-1])
    pairs = flat[:, None] == flat[None]
    assert shift_consistency(classes) == pytest.approx(pairs.mean(), rel=1e-12)


def test_a_negative_control_of_consistency():
    """One image of sixteen shifts whose class is another at a single one: (15^2 + 1) / 16^2."""
    classes = np.zeros((4, 4, 1), int)
    classes[2, 3] = 1
    assert shift_consistency(classes) == (15**2 + 1) / 16**2
    assert one_pixel_flip_rate(classes) == 4 / 32
    assert worst_case_accuracy(classes, [0]) == 0


def test_flips_count_both_axes_and_every_base_shift():
    """Rows that differ flip at each step down and at no step to the right, and so on."""
    assert one_pixel_flip_rate(GRID[..., :1]) == 0
    assert one_pixel_flip_rate(GRID[..., 1:2]) == 0.5
    assert one_pixel_flip_rate(GRID[..., 1:2].swapaxes(0, 1)) == 0.5
    assert one_pixel_flip_rate(GRID[..., 2:]) == 1
    # Steps down change 2 of 3 columns each time, steps to the right none.
    assert one_pixel_flip_rate(np.array([[0, 0], [1, 1], [0, 0], [0, 0]])[..., None]) == 0.25


def test_the_last_shift_is_followed_by_the_first():
    """Along four shifts 0 0 0 1 the class changes twice: before the last, and after it."""
    assert one_pixel_flip_rate(np.array([[0], [0], [0], [1]])) == 0.5


def test_the_worst_case_is_correct_at_every_shift():
    labels = np.array([0, 1, 0])
    assert worst_case_accuracy(GRID, labels) == 1 / 3
    # The second image is correct in the first row.
    assert worst_case_accuracy(GRID[:1], labels) == 2 / 3
    assert worst_case_accuracy(GRID, np.array([1, 1, 0])) == 0


def test_accuracy_at_each_amount_by_hand():
    labels = np.array([0, 1, 0])
    np.testing.assert_array_equal(accuracy_curve(GRID[0], labels), [1, 2 / 3])
    np.testing.assert_array_equal(accuracy_curve(GRID, labels), [[1, 2 / 3], [1 / 3, 1 / 3]])
    worst = worst_case_accuracy(GRID, labels)
    assert worst <= accuracy_curve(GRID, labels).min()


def test_measures_are_float64_also_of_jax_arrays():
    classes, labels = jnp.asarray(GRID), jnp.array([0, 1, 0])
    found = shift_consistency(classes), one_pixel_flip_rate(classes)
    found += worst_case_accuracy(classes, labels), accuracy_curve(classes, labels)
    assert {each.dtype for each in found} == {np.dtype(np.float64)}


# Each image has one bright pixel, at column 0, 1, 2, 3.
X = jnp.eye(4).reshape(4, 1, 4, 1)


def by_column(x, scale=1.0):
    """Class 1 if the pixel is in the right half: not invariant."""
    right = scale * x[:, 0, 2:, 0].sum(1)
    return jnp.stack([0.5 - right, right - 0.5], 1)


def by_sum(x):
    """Class 1 if there is a pixel: invariant."""
    total = x.sum((1, 2, 3))
    return jnp.stack([0.5 - total, total - 0.5], 1)


def test_classes_at_every_shift_by_hand():
    found = classes_over_shifts(by_column, X, (1, 4))
    assert found.shape == (1, 4, 4)
    np.testing.assert_array_equal(
        found[0], [[0, 0, 1, 1], [0, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 1]]
    )
    # Each column of the table has each class twice, and changes at every second step.
    assert shift_consistency(found) == 0.5
    assert one_pixel_flip_rate(found[0]) == 0.5
    assert worst_case_accuracy(found[0, :2], jnp.array([0, 1, 1, 0])) == 0.5
    always = classes_over_shifts(by_sum, X, (1, 4))
    assert shift_consistency(always) == worst_case_accuracy(always, np.ones(4)) == 1
    assert one_pixel_flip_rate(always) == 0


def test_rows_are_shifts_down_and_columns_shifts_to_the_right():
    def place(x):
        """The class is 3 times the row of the pixel and its column."""
        return x[..., 0].reshape(len(x), -1)

    image = jnp.zeros((1, 3, 3, 1)).at[0, 0, 0].set(1)
    np.testing.assert_array_equal(
        classes_over_shifts(place, image, 3)[..., 0], np.arange(9).reshape(3, 3)
    )


def test_other_arguments_compile_nothing_anew():
    traced = []

    def classify(x, scale):
        traced.append(scale)
        return by_column(x, scale)

    found = [classes_over_shifts(classify, X, (1, 4), jnp.float32(scale)) for scale in (1, 0.1)]
    assert len(traced) == 1
    np.testing.assert_array_equal(found[0], classes_over_shifts(by_column, X, (1, 4)))
    assert not found[1].any()


@pytest.mark.parametrize("shifts", [0, (1, 0), (4,), (1, 4, 1)])
def test_shifts_of_every_axis(shifts):
    with pytest.raises(ValueError, match="`shifts` must be at least 1 on each of 2 spatial axes"):
        classes_over_shifts(by_sum, X, shifts)


def test_measures_need_a_grid_of_classes_and_a_label_an_image():
    with pytest.raises(ValueError, match=r"none empty, got shape \(4,\)"):
        shift_consistency(np.zeros(4))
    with pytest.raises(ValueError, match=r"none empty, got shape \(0, 4\)"):
        one_pixel_flip_rate(np.zeros((0, 4)))
    for measure in (worst_case_accuracy, accuracy_curve):
        with pytest.raises(ValueError, match=r"each of 3 images, got shape \(2,\)"):
            measure(GRID, np.zeros(2))


def test_a_dense_network_is_less_consistent_than_an_invariant_one():
    """Random weights on random images: the mean over space before them makes the classes one."""
    key = jax.random.key(0)
    x = jax.random.normal(key, (16, 4, 4, 1))
    dense = jax.random.normal(key, (16, 5))
    found = {
        "dense": classes_over_shifts(lambda x: x.reshape(16, -1) @ dense, x, 4),
        "pooled": classes_over_shifts(lambda x: x.max((1, 2)) @ dense[:1], x, 4),
    }
    assert shift_consistency(found["dense"]) < 0.6
    assert shift_consistency(found["pooled"]) == 1


def test_consistency_beyond_chance_by_hand():
    """Classes 0 0 0 0, 1 1 2 2 and 0 1 2 3: shares 5, 3, 3, 1 of 12, so chance is 44 / 144."""
    consistency, chance = (1 + 0.5 + 0.25) / 3, 44 / 144
    found = chance_corrected_consistency(GRID)
    assert found == pytest.approx((consistency - chance) / (1 - chance), rel=1e-12)


def test_one_class_alone_is_no_agreement_and_two_that_never_change_are_all():
    """The controls: plain consistency is 1 for both."""
    constant, stable = np.zeros((3, 3, 4), int), np.tile([0, 1, 1, 1], (3, 3, 1))
    assert shift_consistency(constant) == shift_consistency(stable) == 1
    assert chance_corrected_consistency(constant) == 0
    assert chance_corrected_consistency(stable) == 1


@pytest.mark.parametrize("shares", [[0.5, 0.5], [0.9, 0.05, 0.05]])
def test_unrelated_predictions_agree_by_chance_however_often_a_class_is_preferred(shares):
    classes = np.random.default_rng(0).choice(len(shares), (8, 8, 3000), p=shares)
    assert chance_corrected_consistency(classes) == pytest.approx(1 / 64, abs=4e-3)
    assert shift_consistency(classes) > 0.5 - 1e-3


def brightest(windows):
    """The position of the brightest pixel as a class."""
    return windows.reshape(len(windows), -1)


def test_crops_are_windows_of_the_images_at_every_place():
    images = np.random.default_rng(0).permutation(2 * 5 * 4).reshape(2, 5, 4, 1)
    classes = classes_over_crops(brightest, images, (3, 2))
    assert classes.shape == (3, 3, 2)
    for row, column, image in np.ndindex(3, 3, 2):
        window = images[image, row : row + 3, column : column + 2]
        assert classes[row, column, image] == window.argmax()
    assert classes_over_crops(brightest, images, 4).shape == (2, 1, 2)


@pytest.mark.parametrize("size", [0, 6, (3, 5), (3,), (2, 2, 1)])
def test_windows_that_do_not_fit_are_named(size):
    with pytest.raises(
        ValueError, match=r"`size` must be between 1 and \(5, 4\) on each axis, got"
    ):
        classes_over_crops(brightest, np.zeros((2, 5, 4, 1)), size)


def test_the_last_crop_has_no_next():
    """Along four shifts 0 0 0 1 the class changes at one of three steps."""
    assert one_pixel_flip_rate(np.array([[0], [0], [0], [1]]), periodic=False) == 1 / 3
    # Two axes count by their steps: 1 of 1 down in each of 3 columns, 2 of 2 right in each row.
    classes = np.array([[0, 1, 0], [1, 0, 1]])[..., None]
    assert one_pixel_flip_rate(classes, periodic=False) == 1
    assert one_pixel_flip_rate(np.array([[0, 0, 0], [1, 1, 1]])[..., None], False) == 3 / 7
    with pytest.raises(ValueError, match=r"two neighbouring shifts, got shape \(1, 1, 2\)"):
        one_pixel_flip_rate(np.zeros((1, 1, 2)), periodic=False)
