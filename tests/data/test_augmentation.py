"""Augmentation against SciPy, by hand, and by what must not change."""

import dataclasses
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.data.augmentation import augment
from cnnjax.data.augmentation_config import Augmentation, Border
from cnnjax.ops.interpolation import Border as InterpolationBorder

EACH = {
    "rotation": 40.0,
    "translation": 0.3,
    "rescale": 1.5,
    "zoom": 1.5,
    "shear": 30.0,
    "mirror_columns": True,
    "mirror_rows": True,
    "elastic": 2.0,
    "brightness": 0.3,
    "contrast": 2.0,
    "spot": 0.5,
    "noise": 0.2,
    "cutout": 5,
}


def pictures(count=6, height=12, width=14, channels=2):
    return np.random.default_rng(0).uniform(size=(count, height, width, channels)).astype("float32")


compiled = jax.jit(augment, static_argnums=2)


def keys(count=6, seed=0):
    return jax.random.split(jax.random.key(seed), count)


def augmented(x, keys, augmentation):
    """NumPy images, augmented by one compiled program."""
    return np.asarray(compiled(np.asarray(x, np.float32), keys, augmentation))


def test_nothing_asked_for_changes_nothing():
    x = pictures()
    np.testing.assert_array_equal(augmented(x, keys(), Augmentation()), x)


@pytest.mark.parametrize("name", EACH)
def test_each_change_is_of_the_image_and_its_key_alone(name):
    augmentation = Augmentation(**{name: EACH[name]})
    x = pictures()
    drawn, others = keys(), keys(seed=1)

    def run(x, keys):
        return augmented(x, keys, augmentation)

    first = run(x, drawn)
    assert first.shape == x.shape
    assert first.dtype == x.dtype
    np.testing.assert_array_equal(first, run(x, drawn))
    # Another key, another change; the same image under another key differs.
    assert not np.array_equal(first, run(x, others))
    alike = np.broadcast_to(x[:1], x.shape)
    changed = run(alike, drawn)
    distinct = {one.tobytes() for one in changed}
    assert len(distinct) == (2 if name.startswith("mirror") else 6)
    # In any company: alone and in another order.
    np.testing.assert_allclose(run(x[::-1], drawn[::-1])[::-1], first, atol=1e-6)


def bell(down, right, width=2.0, size=33):
    grid = np.indices((size, size)) - (size - 1) / 2
    return np.exp(-((grid[0] - down) ** 2 + (grid[1] - right) ** 2) / (2 * width**2))


def centres(images):
    grid = np.indices(images.shape[1:3]) - (images.shape[1] - 1) / 2
    mass = np.asarray(images)[..., 0]
    return np.stack([(mass * axis).sum((1, 2)) / mass.sum((1, 2)) for axis in grid], -1)


def test_turns_and_moves_stay_within_their_limits_and_reach_them():
    x = np.broadcast_to(bell(0, 8)[None, ..., None], (200, 33, 33, 1))
    turned = centres(augmented(x, keys(200), Augmentation(rotation=30.0)))
    angles = np.rad2deg(np.arctan2(-turned[:, 0], turned[:, 1]))
    assert 28 < np.abs(angles).max() < 30.2
    assert abs(angles.mean()) < 4
    moved = centres(augmented(x, keys(200), Augmentation(translation=0.1))) - np.array([0, 8])
    assert 3.1 < np.abs(moved).max() < 3.32
    np.testing.assert_allclose(np.linalg.norm(turned, axis=1), 8, atol=0.1)


def test_shears_keep_areas_or_the_length_of_columns():
    x = np.broadcast_to(bell(0, 0)[None, ..., None], (50, 33, 33, 1))
    area = augmented(x, keys(50), Augmentation(shear=45.0))
    np.testing.assert_allclose(area.sum((1, 2, 3)), float(x[0].sum()), rtol=0.02)
    rods = augmented(x, keys(50), Augmentation(shear=45.0, shear_keeps="rows")).sum((1, 2, 3))
    # Areas shrink by the cosine of the angle, at most to 0.71.
    assert 0.69 < float(rods.min() / x[0].sum()) < 0.75
    assert float(rods.max() / x[0].sum()) < 1.02


def test_elastic_displacements_have_the_size_that_is_asked_for():
    """Of an image whose values are its columns, warping adds the displacement itself."""
    columns = np.broadcast_to(np.arange(64.0)[None, :], (64, 64))[None, ..., None]
    x = np.broadcast_to(columns, (20, 64, 64, 1))
    changed = augmented(x, keys(20), Augmentation(elastic=1.5, border="edge"))
    displacement = np.asarray(changed - x)[:, 8:-8, 8:-8]
    assert abs(np.sqrt((displacement**2).mean()) - 1.5) < 0.2
    # Smooth: neighbours differ by far less than independent ones would, sqrt(2) times 1.5.
    assert np.sqrt((np.diff(displacement, axis=1) ** 2).mean()) < 0.5


def test_lighting_by_hand():
    x = pictures(200)
    brighter = augmented(x, keys(200), Augmentation(brightness=0.5))
    added = np.asarray(brighter - x)
    np.testing.assert_allclose(added, added[:, :1, :1, :1] * np.ones_like(added), atol=1e-6)
    assert 0.48 < np.abs(added).max() <= 0.5
    harder = augmented(x, keys(200), Augmentation(contrast=2.0))
    factors = np.asarray(harder).std((1, 2, 3)) / np.asarray(x).std((1, 2, 3))
    assert factors.min() < 0.52
    assert factors.max() > 1.95
    np.testing.assert_allclose(harder.mean((1, 2, 3)), x.mean((1, 2, 3)), atol=1e-5)


def test_a_cutout_is_a_square_of_fill():
    x = np.ones((30, 12, 14, 2))
    cut = np.asarray(augmented(x, keys(30), Augmentation(cutout=4, fill=0.5)))
    holes = (cut == 0.5).all(-1)
    assert ((cut == 0.5) | (cut == 1)).all()
    assert holes.sum((1, 2)).max() == 16
    assert holes.sum((1, 2)).min() >= 4


def test_a_fill_like_the_ground_leaves_no_cue_and_another_does():
    ground = np.full((20, 12, 12, 1), 0.5)
    moves = Augmentation(rotation=30.0, translation=0.2, shear=20.0, fill=0.5)
    np.testing.assert_allclose(augmented(ground, keys(20), moves), 0.5, atol=1e-6)
    for border in ("edge", "reflect", "circular"):
        same = augmented(ground, keys(20), dataclasses.replace(moves, border=border))
        np.testing.assert_allclose(same, 0.5, atol=1e-6)
    cue = augmented(ground, keys(20), dataclasses.replace(moves, fill=0.0))
    assert (np.asarray(cue) < 0.25).any((1, 2, 3)).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Augmentation(rotation=-1.0), "`rotation` must be at least 0, got -1.0"),
        (lambda: Augmentation(zoom=0.5), "got 0.5"),
        (lambda: Augmentation(shear=90.0), "got 90.0"),
        (lambda: Augmentation(border="wrap"), "got 'wrap'"),
        (lambda: Augmentation(cutout=-1), "-1"),
        (lambda: augment(jnp.zeros((2, 4, 4, 1), jnp.uint8), keys(2), Augmentation()), "uint8"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_borders_of_the_configuration_are_those_of_the_interpolation():
    """Written twice, because a configuration is read without jax."""
    assert get_args(Border) == get_args(InterpolationBorder)
