"""The cue in the corners, and the study in its smallest form."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from cnnjax.study.cue import ANGLES, Beyond, turned_grounds
from cnnjax.study.grounded import on_ground

import launch
from cnnjax.data.augmentation_config import Augmentation
from cnnjax.train.config import TrainConfig


def grounds(ground, border, fill=0.0):
    task = turned_grounds(
        ground, Beyond(border, fill), TrainConfig(), train_images=200, test_images=20
    )
    return task.dataset.train


def test_only_the_fill_tells_the_angle_of_a_flat_ground():
    """With the ground's own grey every image is the same; with zeros corners get darker."""
    assert np.ptp(grounds("flat", "constant", 0.5).images) <= 1
    for border in ("edge", "reflect", "circular"):
        assert np.ptp(grounds("flat", border).images) <= 1
    dark = grounds("flat", "constant", 0.0)
    sums = [dark.images[dark.labels == each].mean() for each in range(ANGLES)]
    # Nothing leaves at 0 degrees, most at 45.
    assert np.argmax(sums) == 0
    assert np.argmin(sums) == ANGLES // 2
    for label in range(ANGLES):
        assert np.ptp(dark.images[dark.labels == label], axis=0).max() <= 1


def test_the_noise_has_no_direction_inside():
    """Slopes along both axes are as steep at every angle, where no corner reaches."""
    noise = grounds("noise", "constant", 0.5)
    middle = noise.images[:, 8:16, 8:16, 0].astype(float)
    down, right = (np.diff(middle, axis=axis).std() for axis in (1, 2))
    assert abs(down / right - 1) < 0.1
    with pytest.raises(ValueError, match="got 'stripes'"):
        grounds("stripes", "edge")


def test_test_digits_are_moved_only_when_asked():
    task = on_ground(TrainConfig(), Augmentation(), 50, 0.5)
    images = task.dataset.test.images[:4]
    import jax

    keys = jax.random.split(jax.random.key(0), 4)
    still = task.augment_test(images, keys, {"moved": jnp.array(0)})
    np.testing.assert_array_equal(still, task.place(images))
    moved = np.asarray(task.augment_test(images, keys, {"moved": jnp.array(1)}))
    assert np.abs(moved - still).max() > 0.1
    # White ink on grey, grey beyond the border as well.
    assert moved.min() > 0.499
    assert len(task.dataset.train.images) == 50


def test_the_study_shows_cue_samples_and_gains(tmp_path):
    run = tmp_path / "run"
    assert launch.main(["augmentation", "smoke", "--workdir", str(run)]) == 0
    results = json.loads((run / "results.json").read_text("utf-8"))
    told = {(row["ground"], row["fill"]): row["accuracy"]["mean"] for row in results["cues"]}
    # All images are alike: one class is guessed, which about one in eight has.
    for fill in ("grey", "edge", "reflect", "circular"):
        assert 0.05 < told["flat", fill] < 0.2
    assert {(row["kind"], row["fill"]) for row in results["digits"]} == {
        ("none", "grey"),
        ("rotation", "grey"),
        ("rotation", "zeros"),
    }
    assert np.array(results["samples"][0]["images"]).shape == (4, 24, 24)
    page = (run / "report.html").read_text("utf-8")
    for heading in ("The cue", "What the network sees", "What it buys"):
        assert f"<h2>{heading}</h2>" in page
