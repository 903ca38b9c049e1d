"""Augerino: how far images are moved in training and evaluation, and what widths are paid."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from cnnjax.models import Augerino, PlainNet
from cnnjax.models.augerino import stratified_offsets
from cnnjax.models.description import describe_model, described_model

SIDE = 17
RAMP = np.broadcast_to(np.arange(SIDE, dtype=np.float32)[:, None, None], (64, SIDE, SIDE, 1))
"""Images whose every pixel is its row: a translation down by t makes the central one 8 - t."""


class Centre(nn.Module):
    """The central pixel, and one more in training."""

    @nn.compact
    def __call__(self, x, train=False):
        scale = self.param("scale", nn.initializers.ones, (1,))
        return scale[None] * x[:, SIDE // 2, SIDE // 2, :] + train


MODEL = Augerino(Centre, ("down",), regularisation=0.3, half_width=0.5, samples=3)
PIXELS = 0.5 * SIDE / 2
"""The half-width in pixels: half of the half height."""


@pytest.fixture(scope="module")
def variables():
    return jax.jit(MODEL.init)(jax.random.key(0), RAMP)


@functools.partial(jax.jit, static_argnums=0)
def training(model, variables, images, seed):
    """Logits in training, and what is sown."""
    rngs = {"dropout": jax.random.key(seed)}
    return model.apply(variables, images, train=True, rngs=rngs, mutable=["losses"])


def test_in_training_each_image_is_moved_once_by_up_to_the_half_width(variables):
    logits, sown = jax.device_get(training(MODEL, variables, RAMP, 3))
    moves = SIDE // 2 + 1 - logits[:, 0]
    assert len(np.unique(moves)) == 64
    assert np.abs(moves).max() <= PIXELS + 1e-4
    # Uniform on both sides: quarters of the range hold about 16 each.
    counts, _ = np.histogram(moves, 4, (-PIXELS, PIXELS))
    assert counts.min() >= 8
    other, _ = training(MODEL, variables, RAMP, 4)
    assert not np.allclose(logits, other)
    # A width is the whole range: 2 x 0.5.
    assert float(sown["losses"]["width"][0]) == pytest.approx(-0.3 * 1.0)


def test_in_evaluation_logits_are_the_mean_over_the_middles_of_the_parts(variables):
    found = jax.jit(MODEL.apply)(variables, RAMP[:3] ** 2)
    moved = [(SIDE // 2 - t * PIXELS) for t in (-2 / 3, 0, 2 / 3)]
    np.testing.assert_allclose(found, np.full((3, 1), np.mean(np.square(moved))), rtol=5e-3)
    assert float(found[0, 0]) > (SIDE // 2) ** 2 + 1


def test_images_keep_their_places_in_a_batch(variables):
    images = RAMP[:3] * np.float32([1.0, 2.0, 4.0])[:, None, None, None]
    found = np.asarray(jax.jit(MODEL.apply)(variables, images))
    np.testing.assert_allclose(found[:, 0], [8, 16, 32], rtol=1e-4)


@pytest.mark.parametrize(("raw", "paid"), [((0.5, -1.0), True), ((0.5, 10.1), False)])
def test_what_is_paid_is_the_norm_of_the_widths_until_one_is_10(raw, paid):
    model = Augerino(Centre, ("down", "right"), regularisation=0.3)
    variables = jax.jit(model.init)(jax.random.key(0), RAMP[:1])

    def reward(widths):
        params = {**variables["params"], "augmentation": {"widths": widths}}
        _, sown = training(model, {"params": params}, RAMP[:1], 0)
        (value,) = sown["losses"]["width"]
        return value

    value, gradient = jax.jit(jax.value_and_grad(reward))(jnp.array(raw))
    widths = np.log1p(np.exp(raw))
    norm = math.hypot(*widths)
    sigmoid = 1 / (1 + np.exp(-np.array(raw)))
    assert float(value) == pytest.approx(-0.3 * norm if paid else 0)
    np.testing.assert_allclose(gradient, -0.3 * widths / norm * sigmoid * paid, rtol=1e-5)


@pytest.mark.fast
def test_offsets_are_the_middles_of_equal_parts_once_each():
    np.testing.assert_allclose(stratified_offsets(4, 1)[:, 0], [-0.75, -0.25, 0.25, 0.75])
    offsets = stratified_offsets(5, 6)
    assert offsets.shape == (5, 6)
    np.testing.assert_allclose(np.sort(offsets, 0), np.tile([[-0.8], [-0.4], [0], [0.4], [0.8]], 6))
    assert len({tuple(column) for column in offsets.T}) > 3
    with pytest.raises(ValueError, match="`samples` must be at least 1, got 0"):
        stratified_offsets(0, 1)


@pytest.mark.fast
def test_it_is_described_with_its_network():
    model = Augerino(functools.partial(PlainNet, classes=4, features=(2, 3)), samples=2)
    again = described_model(describe_model(model))
    assert describe_model(again) == describe_model(model)
    assert again.network.keywords == {"classes": 4, "features": (2, 3)}
