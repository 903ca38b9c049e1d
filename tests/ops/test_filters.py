"""Fixed filters: what they answer to, as functions, frozen layers and initialisers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import ops
from cnnjax.layers import Conv, FixedFilter, filter_init

pytestmark = pytest.mark.fast


def image():
    return jnp.asarray(np.random.default_rng(0).normal(size=(2, 9, 8, 3)), jnp.float32)


def test_every_channel_is_filtered_by_itself():
    x, kernel = image(), ops.gabor_kernel(3, tau=0.3)
    z = ops.filter_channels(x, kernel, padding="VALID")
    for channel in range(3):
        expected = sum(
            kernel[i, j] * x[:, i : i + 7, j : j + 6, channel] for i, j in np.ndindex(3, 3)
        )
        np.testing.assert_allclose(z[..., channel], expected, rtol=1e-4, atol=1e-5)
    bank = np.stack([kernel, kernel.T], -1)
    both = ops.filter_channels(x, bank, padding="VALID")
    np.testing.assert_allclose(both[..., 0::2], z, rtol=1e-5, atol=1e-6)
    assert not np.allclose(both[..., 1::2], z, atol=0.1)


def test_what_each_answers_to():
    rows = jnp.arange(8.0)[:, None, None] * jnp.ones((1, 8, 1))  # brighter downwards, by 1 a row
    inside = (slice(1, -1), slice(1, -1))
    assert (ops.sobel(rows, 0)[inside] == -8).all()
    assert (ops.sobel(rows, 1)[inside] == 0).all()
    assert (ops.sobel_magnitude(rows.swapaxes(0, 1))[inside] == 8).all()
    assert (ops.laplacian(rows)[inside] == 0).all()
    assert (ops.laplacian(rows**2)[inside] == 2).all()
    np.testing.assert_allclose(ops.box_blur(rows, 3)[inside], rows[inside], rtol=1e-6)
    blurred = ops.gaussian_blur(jnp.ones((21, 21, 1)), 1.5, padding="CIRCULAR")
    np.testing.assert_allclose(blurred, 1.0, rtol=1e-6)


def test_a_gabor_of_the_bank_answers_most_to_its_own_wave():
    bank = ops.gabor_bank(15, orientations=4, frequencies=(0.6, 1.2))
    assert bank.shape == (15, 15, 2 * 4 * 2)
    np.testing.assert_allclose(bank.mean((0, 1)), 0, atol=1e-7)
    across = np.arange(15) - 7
    for index, frequency, tau in [(0, 0.6, 0.0), (2, 0.6, np.pi / 4), (12, 1.2, np.pi / 2)]:
        along = across * np.cos(tau) + across[:, None] * np.sin(tau)
        wave = np.cos(frequency * along)
        energies = np.abs((bank * wave[..., None]).sum((0, 1))) / np.linalg.norm(bank, axis=(0, 1))
        assert energies.argmax() == index


def test_a_normalised_gaussian_sums_to_one_and_the_formula_alone_does_not():
    np.testing.assert_allclose(ops.gaussian_kernel(3, normalize=True).sum(), 1, rtol=1e-6)
    assert ops.gaussian_kernel(3).sum() < 0.8
    assert ops.gaussian_kernel(4)[1, 1] == ops.gaussian_kernel(4)[2, 2]


def test_a_frozen_layer_has_no_parameters():
    x, layer = image(), FixedFilter(ops.sobel_kernel(1))
    variables = layer.init(jax.random.key(0), x)
    assert jax.tree.leaves(variables) == []
    np.testing.assert_array_equal(layer.apply(variables, x), ops.sobel(x, 1))


def test_a_layer_may_begin_as_a_filter():
    bank = ops.gabor_bank(5)
    layer = Conv(20, 5, kernel_init=filter_init(bank))
    kernel = layer.init(jax.random.key(0), image())["params"]["kernel"]
    np.testing.assert_allclose(kernel.sum(2)[..., 17], bank[..., 1], rtol=1e-6)
    np.testing.assert_array_equal(kernel[:, :, 0], kernel[:, :, 2])
    with pytest.raises(ValueError, match=r"shape \(5, 5, 16\) cannot begin .* \(3, 3, 3, 20\)"):
        Conv(20, 3, kernel_init=filter_init(bank)).init(jax.random.key(0), image())


def test_wrong_settings_are_named():
    with pytest.raises(ValueError, match="sigma must be above 0, got 0"):
        ops.gaussian_kernel(3, 0)
    with pytest.raises(ValueError, match="axis 0 or 1, got 2"):
        ops.sobel_kernel(2)
    with pytest.raises(ValueError, match=r"got shape \(3,\)"):
        ops.filter_channels(image(), np.ones(3))
