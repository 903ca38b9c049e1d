"""Brightness and contrast by hand."""

import jax.numpy as jnp
import numpy as np

from cnnjax.ops.photometric import brightness, contrast


def test_contrast_pulls_to_the_mean_of_each_image():
    x = jnp.array([[[[1.0], [3.0]]], [[[10.0], [30.0]]]])
    np.testing.assert_allclose(contrast(x, 0.5), [[[[1.5], [2.5]]], [[[15.0], [25.0]]]])
    np.testing.assert_allclose(brightness(x, -1.0)[0, 0, 0, 0], 0.0)


def test_the_mean_of_each_channel():
    """Two channels, of means 2 and 20: at factor 0 only the means are left, 11 of both together."""
    x = jnp.array([[[[1.0, 10.0], [3.0, 30.0]]]])
    np.testing.assert_allclose(contrast(x, 0.0, (-3, -2)), [[[[2.0, 20.0], [2.0, 20.0]]]])
    np.testing.assert_allclose(contrast(x, 0.0), np.full((1, 1, 2, 2), 11.0))
