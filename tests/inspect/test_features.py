"""Seeing inside functions whose insides are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.inspect import (
    feature_maps,
    occlusion_map,
    preferred_inputs,
    saliency,
    smooth_saliency,
    top_patches,
)
from cnnjax.models import PlainNet

DRAW = np.random.default_rng(0)
WEIGHTS = DRAW.normal(size=(8, 8, 2)).astype(np.float32)
X = DRAW.normal(size=(3, 8, 8, 2)).astype(np.float32)


def linear(x):
    return (x * WEIGHTS[None]).sum((1, 2, 3))


def test_saliency_of_a_linear_score_is_its_weights_also_when_smoothed():
    for found in (saliency(linear, X), smooth_saliency(linear, X, jax.random.key(0))):
        np.testing.assert_allclose(found, np.broadcast_to(WEIGHTS, X.shape), atol=1e-6)


def test_smoothing_averages_the_slope():
    """The slope of |x| at 0 is 0 to JAX; of noisy copies it is that of a mean of signs."""
    score = lambda x: jnp.abs(x).sum((1, 2, 3))
    x = np.zeros((1, 8, 8, 1), np.float32)
    x[0, 0, 0, 0] = 10
    found = np.asarray(smooth_saliency(score, x, jax.random.key(0), samples=64))
    assert found[0, 0, 0, 0] == 1
    assert np.abs(found[0, 1:]).max() < 0.7
    assert np.abs(found[0, 1:]).std() > 0.01


def test_what_is_covered_is_what_a_sum_loses():
    found = occlusion_map(linear, X, size=4, stride=2)
    assert found.shape == (3, 3, 3)
    found, products = np.asarray(found), (X * WEIGHTS).sum(-1)
    for row in range(3):
        for column in range(3):
            square = products[:, 2 * row : 2 * row + 4, 2 * column : 2 * column + 4]
            np.testing.assert_allclose(found[:, row, column], square.sum((1, 2)), atol=1e-4)


def both(x):
    """Of the first image the linear score, of the second its negative."""
    return linear(x) * jnp.array([1.0, -1.0])


@pytest.mark.parametrize("decorrelate", [True, False])
def test_the_preferred_input_of_a_linear_unit_is_its_kernel(decorrelate):
    found = preferred_inputs(
        both,
        (2, 8, 8, 2),
        jax.random.key(0),
        norm=3.0,
        jitter=0,
        blur=0.0,
        decorrelate=decorrelate,
    )
    for image, kernel in zip(np.asarray(found), (WEIGHTS, -WEIGHTS), strict=True):
        cosine = (image * kernel).sum() / np.linalg.norm(image) / np.linalg.norm(kernel)
        np.testing.assert_allclose(np.linalg.norm(image), 3.0, rtol=1e-5)
        assert cosine > 0.99


def test_jitter_and_blur_make_smoother_images():
    def roughness(**options):
        found = preferred_inputs(linear, (1, 8, 8, 2), jax.random.key(0), norm=3.0, **options)
        (image,) = np.asarray(found)
        return (np.diff(image, axis=0) ** 2).mean() + (np.diff(image, axis=1) ** 2).mean()

    assert roughness(jitter=2, blur=0.3) < 0.8 * roughness(jitter=0, blur=0.0)


def test_patches_are_cut_where_the_unit_answered():
    images = DRAW.uniform(size=(5, 9, 9, 1))
    responses = np.zeros((5, 5, 5))
    # Jump 2 on 9 pixels: position (i, j) is centred on pixel (2 i, 2 j).
    responses[3, 2, 1], responses[0, 0, 4] = 7.0, 5.0
    patches, strengths = top_patches(responses, images, field=3, stride=2, count=2)
    np.testing.assert_array_equal(strengths, [7.0, 5.0])
    np.testing.assert_array_equal(patches[0], images[3, 3:6, 1:4])
    # At the corner the upper row and the right column lie outside.
    np.testing.assert_array_equal(patches[1][1:, :2], images[0, 0:2, 7:9])
    assert (patches[1][0] == 0).all()
    assert (patches[1][:, 2] == 0).all()


def test_patches_of_neighbouring_positions_are_neighbours():
    """Seven positions on eight pixels lie half-way between these."""
    ramp = np.broadcast_to(np.arange(8.0)[None, None, :, None], (1, 8, 8, 1))
    columns = []
    for column in range(7):
        responses = np.zeros((1, 7, 7))
        responses[0, 3, column] = 1
        patches, _ = top_patches(responses, ramp, field=1, stride=1, count=1)
        columns.append(patches.item())
    assert columns == [1, 2, 3, 4, 5, 6, 7]


def test_feature_maps_have_every_module_in_order():
    model = PlainNet(3, features=(4, 6))
    variables = jax.jit(model.init)(jax.random.key(0), X)
    found = feature_maps(model, variables, X)
    names = list(found)
    layers = ["conv1", "bn1", "pool1", "conv2", "bn2", "pool2", "average", "classifier"]
    assert names == [*layers, "PlainNet"]
    assert found["conv2"].shape == (3, 4, 4, 6)
    np.testing.assert_array_equal(found["PlainNet"], model.apply(variables, X))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: smooth_saliency(linear, X, jax.random.key(0), samples=0), "got 0"),
        (lambda: occlusion_map(linear, X, size=9), "1 to 8 .* got 9"),
        (lambda: top_patches(np.zeros((2, 3, 3)), np.zeros((3, 4, 4, 1)), 3, 1), "for 3 images"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
