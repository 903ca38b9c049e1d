"""Tests by movements: which movements, the moved images, and what a classifier makes of them."""

import numpy as np
import pytest

from cnnjax import symmetry


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).normal(size=(4, 6, 6, 1)).astype(np.float32)


def test_shifts_are_in_eight_directions_and_rotations_both_ways():
    assert sorted(symmetry.shifts_around([2])) == [
        (-2, -2), (-2, 0), (-2, 2), (0, -2), (0, 2), (2, -2), (2, 0), (2, 2)
    ]  # fmt: skip
    assert [symmetry.amount_of(move) for move in symmetry.shifts_around([1, 3])] == 8 * [1] + 8 * [
        3
    ]
    assert symmetry.rotations_both_ways([30, 90.0, 180.0]) == [30, -30, 90, -90, 180]
    assert symmetry.amount_of(-30.0) == 30


def test_moved_images(images):
    shifted = symmetry.moved_images(images, (1, -2))
    np.testing.assert_array_equal(shifted[:, 1, 0], images[:, 0, 2])
    np.testing.assert_array_equal(shifted[:, 0, 5], images[:, 5, 1])
    for degrees, turns in ((90.0, 1), (-90.0, 3), (180.0, 2)):
        turned = symmetry.moved_images(images, degrees)
        np.testing.assert_array_equal(turned, np.rot90(images, turns, (1, 2)))
    # The corner of an image that is rotated by 45 degrees comes from outside, its centre does not.
    rotated = symmetry.moved_images(np.ones_like(images), 45.0, fill=7.0)
    np.testing.assert_allclose(rotated[:, 0, 0], 7)
    np.testing.assert_allclose(rotated[:, 2:4, 2:4], 1)
    # Counter-clockwise: what lies right of the centre goes up.
    right = np.zeros((1, 7, 7, 1), np.float32)
    right[:, 3, 6] = 1
    assert np.unravel_index(symmetry.moved_images(right, 80.0).argmax(), (7, 7)) == (0, 4)


def test_responses_by_loops():
    rng = np.random.default_rng(1)
    still, moved, noisy = (rng.normal(size=(*n, 3, 4)) for n in ((), (5,), (5,)))
    labels = np.array([0, 2, 1])
    moves = [(1, 0), (2, 2), (-1, 1), (0, -2), (0, 1)]
    found = symmetry.move_responses(still, moved, noisy, labels, moves)
    correct = np.array([[moved[m, i].argmax() == labels[i] for i in range(3)] for m in range(5)])
    assert found.accuracy == pytest.approx(correct.mean())
    assert found.curve == pytest.approx([correct[[0, 2, 4]].mean(), correct[[1, 3]].mean()])
    # Pairs of a shift with any other, the image at rest among them.
    classes = np.concatenate([still[None], moved]).argmax(-1)
    agree = np.mean([classes[a, i] == classes[b, i] for a in range(6) for b in range(6)
                     for i in range(3)])  # fmt: skip
    chance = np.mean([x == y for x in classes.ravel() for y in classes.ravel()])
    assert found.kappa == pytest.approx((agree - chance) / (1 - chance))
    between = np.mean(
        [((still[i] - still[j]) ** 2).sum() for i in range(3) for j in range(3) if i != j]
    )
    for name, outputs in (("change", moved), ("noise", noisy)):
        each = [
            np.sqrt(np.mean([((outputs[m, i] - still[i]) ** 2).sum() for i in range(3)]) / between)
            for m in range(5)
        ]
        assert getattr(found, name) == pytest.approx(np.mean(each), rel=1e-5)
        if name == "change":
            np.testing.assert_allclose(found.changes, each, rtol=1e-5)


def test_a_change_that_has_no_unit_is_missing():
    still, moved = np.zeros((3, 2)), np.ones((1, 3, 2))
    found = symmetry.move_responses(still, moved, still[None], np.zeros(3, int), [(1, 0)])
    assert found.change is None
    assert found.noise == 0


def test_a_test_gives_each_group_its_own_images(images):
    """The 'classifier' tells the place of the largest pixel: moved as the image is."""
    labels = np.array([3, 1, 2, 0])
    moves = [(0, 1), 90.0]
    test = symmetry.MoveTest(images, labels, moves, fill=0.0)
    for moved, noisy, move in zip(test.moved, test.noisy, moves, strict=True):
        np.testing.assert_array_equal(moved, symmetry.moved_images(images, move))
        sizes = [np.sqrt(((each - images) ** 2).sum((1, 2, 3))) for each in (moved, noisy)]
        np.testing.assert_allclose(sizes[0], sizes[1], rtol=1e-5)
    assert np.abs(test.noisy[0] - test.noisy[1]).max() > 0.1

    def logits(x):
        return x.reshape(len(x), -1)[:, :4]

    groups = {"even": np.array([True, False, True, False]), "all": np.full(4, True)}
    found = test.responses(logits, groups)
    assert list(found) == ["even", "all"]
    for name, chosen in groups.items():
        expected = symmetry.move_responses(
            logits(images[chosen]),
            np.stack([logits(view[chosen]) for view in test.moved]),
            np.stack([logits(view[chosen]) for view in test.noisy]),
            labels[chosen],
            moves,
        )
        for one, other in zip(found[name], expected, strict=True):
            np.testing.assert_array_equal(one, other)
    other = symmetry.MoveTest(images, labels, moves, seed=1)
    assert np.abs(other.noisy[0] - test.noisy[0]).max() > 0.1


def test_every_movement_needs_its_logits():
    with pytest.raises(ValueError, match="`moves` must be one for each of 2 logits, got 1"):
        symmetry.move_responses(
            np.eye(3), np.zeros((2, 3, 3)), np.zeros((2, 3, 3)), np.arange(3), [90.0]
        )
