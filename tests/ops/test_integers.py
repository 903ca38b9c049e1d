"""Integers, such as the bytes of images, average to fractions."""

import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import ops

RAMP = np.arange(36).reshape(1, 6, 6, 1)
BYTES = jnp.asarray(RAMP + 200, jnp.uint8)
AVERAGES = {
    "average_pool": lambda x: ops.average_pool(x, 2, strides=2),
    "stochastic_pool": lambda x: ops.stochastic_pool(x, 2, strides=2),
    "blur_pool": ops.blur_pool,
    "separable_conv": lambda x: ops.separable_conv(x, [jnp.array([0.3, 0.7])] * 2),
    "filter_channels": ops.box_blur,
    "mixed_polyphase": lambda x: ops.mixed_polyphase(x, jnp.full((1, 4), 0.25)),
    "ideal_resample": lambda x: ops.ideal_resample(x, 4),
    "polynomial_activation": lambda x: ops.polynomial_activation(x, jnp.array([0.5, 0.1])),
    "fft_conv": lambda x: ops.fft_conv(x, jnp.full((3, 3, 1, 1), 0.3)),
}


@pytest.mark.parametrize("name", AVERAGES)
def test_bytes_are_averaged_as_the_numbers_they_are(name):
    found = AVERAGES[name](BYTES)
    assert jnp.issubdtype(found.dtype, jnp.floating)
    expected = AVERAGES[name](jnp.asarray(RAMP + 200, jnp.float32))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.fast
def test_the_mean_of_four_bytes_by_hand():
    """Their sum is above 255."""
    np.testing.assert_array_equal(
        ops.average_pool(BYTES, 2, strides=2)[0, 0, :, 0], [203.5, 205.5, 207.5]
    )
    blurred = ops.blur_pool(jnp.full((1, 4, 4, 1), 100), padding="CIRCULAR")
    np.testing.assert_array_equal(blurred, np.full((1, 2, 2, 1), 100.0))


@pytest.mark.fast
def test_a_transform_of_integers_is_not_cut_down_to_integers():
    kernel = jnp.asarray(np.arange(9).reshape(3, 3, 1, 1))
    x = jnp.asarray(RAMP)
    np.testing.assert_allclose(ops.fft_conv(x, kernel), ops.conv(x, kernel), rtol=1e-5)
