"""Random affine maps: what a width means, where pixels come from, and what the gradient is."""

import math

import jax
import numpy as np
import pytest
from scipy import ndimage

from cnnjax.layers import RandomAffine, half_widths, raw_width
from cnnjax.symmetry import rotate, translate

X = np.random.default_rng(0).uniform(size=(3, 12, 12, 2)).astype(np.float32)
OFFSETS = np.float32([[-1.0], [0.25], [0.8]])

# One program for all angles and distances.
rotated = jax.jit(rotate, static_argnames="interpolation")
translated = jax.jit(translate)


def moved_by(layer, offsets):
    """The images moved by a layer, and its initial variables."""
    run = jax.jit(layer.init_with_output)
    return jax.device_get(run(jax.random.key(0), X, offsets))


@pytest.mark.fast
@pytest.mark.parametrize("half_width", [1e-3, math.radians(45), 4.0])
def test_a_half_width_is_half_of_the_softplus(half_width):
    raw = raw_width(half_width)
    assert math.log1p(math.exp(raw)) / 2 == pytest.approx(half_width)
    assert float(half_widths({"widths": np.array([raw])})[0]) == pytest.approx(half_width, rel=1e-5)


@pytest.mark.parametrize(("interpolation", "order"), [("bilinear", 1), ("bicubic", None)])
def test_an_image_is_rotated_by_its_offset_times_the_half_width(interpolation, order):
    layer = RandomAffine(("rotation",), math.radians(60), interpolation)
    moved, variables = moved_by(layer, OFFSETS)
    assert float(half_widths(variables["params"])[0]) == pytest.approx(math.radians(60))
    for image, found, degrees in zip(X, moved, (-60, 15, 48), strict=True):
        expected = rotated(image, math.radians(degrees), interpolation=interpolation)
        np.testing.assert_allclose(found, expected, atol=2e-5)
        if order is not None:
            # Counter-clockwise on a screen, as SciPy turns the first axis towards the second.
            cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
            back = np.array([[cos, sin], [-sin, cos]])
            middle = np.full(2, 5.5)
            for channel in range(2):
                turned = ndimage.affine_transform(
                    np.pad(np.asarray(image[..., channel], float), 1),
                    back,
                    middle + 1 - back @ (middle + 1),
                    order=order,
                )
                np.testing.assert_allclose(found[..., channel], turned[1:-1, 1:-1], atol=2e-5)


def test_translations_are_in_half_heights_and_each_generator_has_its_own_offset():
    layer = RandomAffine(("down", "right"), 0.5, "bilinear")
    moved, _ = moved_by(layer, np.float32([[1.0, 0.0], [0.5, -1.0], [0.0, 0.0]]))
    # Half of the half height, 6 pixels, is 3.
    for image, found, pixels in zip(X, moved, ((3, 0), (1.5, -3), (0, 0)), strict=True):
        np.testing.assert_allclose(found, translated(image, np.float32(pixels)), atol=2e-5)


def test_the_gradient_reaches_the_widths_through_the_pixels():
    layer = RandomAffine(("rotation",), 0.3)
    _, variables = moved_by(layer, OFFSETS)

    @jax.jit
    @jax.value_and_grad
    def loss(widths):
        return (layer.apply({"params": {"widths": widths}}, X, OFFSETS) ** 2).sum()

    widths, step = variables["params"]["widths"], np.float32(1e-2)
    slope = (loss(widths + step)[0] - loss(widths - step)[0]) / (2 * step)
    assert float(loss(widths)[1][0]) == pytest.approx(float(slope), rel=0.02)
    assert abs(float(slope)) > 0.1


@pytest.mark.fast
@pytest.mark.parametrize("half_width", [0.0, -1.0, math.inf])
def test_wrong_input_is_one_sentence(half_width):
    with pytest.raises(ValueError, match="`half_width` must be above 0 and finite, got"):
        raw_width(half_width)
