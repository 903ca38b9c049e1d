"""Labelling every pixel: the data, the measure by hand, the network and the study."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cnnjax.study.segmentation import intersection_over_union

import launch
from cnnjax.data.textured_digits import textured_digits
from cnnjax.models import RecurrentSegmentation
from cnnjax.symmetry import translation_lattice


def test_intersection_over_union_by_hand():
    predicted = np.array([[0, 0, 1], [1, 1, 2]])
    labels = np.array([[0, 1, 1], [1, 0, 0]])
    # Ground: 1 of 4; class 1: 2 of 4; class 2: predicted once, never true; class 3: nowhere.
    found = intersection_over_union(predicted, labels, 4)
    np.testing.assert_allclose(found, [1 / 4, 2 / 4, 0, np.nan])
    with pytest.raises(ValueError, match=r"got \(2, 3\) and \(3,\)"):
        intersection_over_union(predicted, labels[0], 4)


def squares():
    """Two digits: a filled square of class 3, and a bar of class 7."""
    digits = np.zeros((2, 8, 8, 1), np.uint8)
    digits[0, 2:6, 2:6], digits[1, :, 3:5] = 16, 16
    return digits, np.array([3, 7])


def test_ink_is_labelled_with_its_digit_and_brighter_than_the_ground():
    found = textured_digits(*squares(), 50, seed=0)
    assert found.images.shape == (50, 32, 32, 1)
    assert set(np.unique(found.labels)) == {0, 4, 8}
    # Smoothed squares of 8 x 8 pixels: 3/4 at the edge, 9/16 in the corners, 1/4 outside.
    only = textured_digits(squares()[0][:1], np.array([3]), 5, seed=0, each=1).labels
    np.testing.assert_array_equal((only == 4).sum((1, 2)), [64] * 5)
    values = found.images[..., 0] / 255
    assert values[found.labels > 0].mean() > values[found.labels == 0].mean() + 0.2
    # But no threshold tells them apart.
    assert values[found.labels > 0].min() < np.quantile(values[found.labels == 0], 0.9)
    again = textured_digits(*squares(), 50, seed=0)
    np.testing.assert_array_equal(found.images, again.images)
    assert not np.array_equal(found.images, textured_digits(*squares(), 50, seed=1).images)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: textured_digits(np.zeros((2, 5, 5, 1)), np.zeros(2), 3, seed=0), "5, 5"),
        (lambda: textured_digits(*squares(), 3, seed=0, each=5), "got 5"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def made(**fields):
    model = RecurrentSegmentation(5, features=4, **fields)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 8, 8, 1)), jnp.float32)
    return model, model.init(jax.random.key(0), x), x


def test_every_iteration_has_the_same_weights_and_starts_from_the_one_before():
    one, params, x = made(iterations=1)
    three, others, _ = made(iterations=3)
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, others)
    estimates = three.apply(params, x, method=three.estimates)
    np.testing.assert_allclose(estimates[0], one.apply(params, x), atol=1e-6)
    assert np.abs(estimates[1] - estimates[0]).max() > 1e-3
    assert np.abs(estimates[2] - estimates[1]).max() > 1e-5
    np.testing.assert_array_equal(three.apply(params, x), estimates[2])
    _, sown = three.apply(params, x, train=True, mutable="auxiliary")
    assert sorted(sown["auxiliary"]) == ["iteration_1", "iteration_2"]
    # U and R of 25 taps, W of 25 from 5 classes, V of one; biases.
    by_hand = 25 * 4 + 4 + 25 * 5 * 4 + 4 + 25 * 4 * 4 + 4 + 4 * 5 + 5
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == by_hand


@pytest.mark.parametrize(("padding", "expected"), [("CIRCULAR", (1, 1)), ("SAME", (8, 8))])
def test_labels_move_with_the_image_where_there_is_no_border(padding, expected):
    model, params, _ = made(padding=padding)
    assert translation_lattice(lambda x: model.apply(params, x), (2, 8, 8, 1)) == expected


def test_no_iterations_are_refused():
    with pytest.raises(ValueError, match="got 0"):
        made(iterations=0)


def test_the_study_reports_the_overlap_after_each_iteration(tmp_path):
    run = tmp_path / "run"
    assert launch.main(["segmentation", "smoke", "--workdir", str(run)]) == 0
    results = json.loads((run / "results.json").read_text("utf-8"))
    assert [len(row["after"]) for row in results["rows"]] == [1, 2]
    for row in results["rows"]:
        for after in row["after"]:
            assert 0 <= after["digits_iou"]["mean"] <= 1
            assert 0.3 < after["accuracy"]["mean"] <= 1
            assert after["mean_iou"]["mean"] < after["ground_iou"]["mean"]
    assert np.array(results["shown"]["estimates"]).shape == (2, 2, 32, 32)
    assert "<h2>Overlap by iteration</h2>" in (run / "report.html").read_text("utf-8")
