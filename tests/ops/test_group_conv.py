"""Group convolutions against their sum in loops, and against the turns they must commute with."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.ops import conv
from cnnjax.ops.group_convolution import (
    group_conv,
    group_pool,
    inverse,
    lifting_conv,
    product,
    turns_exactly,
)
from tests.ops.finite_differences import check_derivatives
from tests.ops.jaxprs import equations

# A quarter turn counter-clockwise and a left-right mirroring, on (down, right) coordinates.
TURN, MIRROR = np.array([[0, -1], [1, 0]]), np.array([[1, 0], [0, -1]])


def matrix(element):
    turned = np.linalg.matrix_power(TURN, element % 4)
    return turned @ MIRROR if element >= 4 else turned


def element_of(wanted):
    return next(element for element in range(8) if (matrix(element) == wanted).all())


def acted(x, element, group=None):
    """(h f)[p] = f[h^-1 p], and on a group axis as well (h f)[p, g] = f[h^-1 p, h^-1 g]."""
    back = np.linalg.inv(matrix(element)).round().astype(int)
    height, width = x.shape[1:3]
    if element % 2:
        height, width = width, height
    result = np.zeros((len(x), height, width, *x.shape[3:]), x.dtype)
    for i in range(height):
        for j in range(width):
            source = back @ np.array([2 * i - height + 1, 2 * j - width + 1])
            result[:, i, j] = x[
                :, (source[0] + x.shape[1] - 1) // 2, (source[1] + x.shape[2] - 1) // 2
            ]
    if group is None:
        return result
    order = [element_of(back @ matrix(other)) for other in range(group)]
    return result[..., order, :]


def looped(x, kernel, group):
    """z[p, g, o] = sum over a, h, c of x[p + a, h, c] kernel[g^-1 a, g^-1 h, c, o], 'VALID'."""
    taps = kernel.shape[0]
    positions = x.shape[1] - taps + 1
    z = np.zeros((len(x), positions, positions, group, kernel.shape[-1]))
    for g in range(group):
        back = np.linalg.inv(matrix(g)).round().astype(int)
        for a in np.ndindex(taps, taps):
            tap = (back @ (2 * np.array(a) - taps + 1) + taps - 1) // 2
            window = x[:, a[0] : a[0] + positions, a[1] : a[1] + positions]
            if kernel.ndim == 4:
                z[:, :, :, g] += window @ kernel[tap[0], tap[1]]
                continue
            for h in range(group):
                source = element_of(back @ matrix(h))
                z[:, :, :, g] += window[..., h, :] @ kernel[tap[0], tap[1], source]
    return z


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.fast
@pytest.mark.parametrize("first", range(8))
def test_products_and_inverses_are_those_of_the_matrices(first):
    assert (matrix(first) @ matrix(inverse(first)) == np.eye(2)).all()
    for second in range(8):
        assert (matrix(product(first, second)) == matrix(first) @ matrix(second)).all()


@pytest.mark.fast
@pytest.mark.parametrize("group", [4, 8])
@pytest.mark.parametrize("taps", [2, 3])
def test_values_are_the_sum_in_loops(group, taps):
    x, kernel = normal(0, 2, 5, 5, 3), normal(1, taps, taps, 3, 2)
    z = jax.jit(functools.partial(lifting_conv, group=group, padding="VALID"))(x, kernel)
    np.testing.assert_allclose(z, looped(np.float64(x), np.float64(kernel), group), atol=1e-4)
    x, kernel = normal(2, 2, 4, 4, group, 3), normal(3, taps, taps, group, 3, 2)
    z = jax.jit(functools.partial(group_conv, padding="VALID"))(x, kernel)
    np.testing.assert_allclose(z, looped(np.float64(x), np.float64(kernel), group), atol=1e-4)


def relative(actual, expected):
    return np.linalg.norm(np.subtract(actual, expected)) / np.linalg.norm(expected)


def worst_error(size, group, taps=3, **arguments):
    """The largest error of lifting and of group convolution over all elements of the group."""
    x, kernel = normal(0, 1, size, size, 2), normal(1, taps, taps, 2, 3)
    y, deep = normal(2, 1, size, size, group, 2), normal(3, taps, taps, group, 2, 3)

    @jax.jit
    def both(x, y):
        return lifting_conv(x, kernel, group=group, **arguments), group_conv(y, deep, **arguments)

    lifted, convolved = jax.device_get(both(x, y))

    def error(element):
        found = both(acted(x, element), acted(y, element, group))
        expected = acted(lifted, element, group), acted(convolved, element, group)
        return max(map(relative, found, expected))

    return max(error(element) for element in range(1, group))


@pytest.mark.parametrize(
    ("size", "arguments"),
    [
        (5, {}),
        (6, {}),
        (6, {"padding": "CIRCULAR"}),
        (6, {"padding": "REFLECT"}),
        (6, {"padding": "FULL", "taps": 2}),
        (6, {"padding": "VALID", "taps": 2}),
        (7, {"kernel_dilation": 2}),
        (7, {"strides": 2}),
        (8, {"strides": 2, "taps": 4}),
        (7, {"strides": 3, "padding": "VALID", "taps": 4}),
    ],
)
@pytest.mark.parametrize("group", [4, 8])
def test_turns_and_flips_are_exact_where_the_windows_lie_symmetrically(size, arguments, group):
    assert worst_error(size, group, **arguments) <= 1e-5
    geometry = {"taps": 3, "padding": "SAME", **arguments}
    assert turns_exactly(
        size,
        geometry["taps"],
        geometry.get("strides", 1),
        geometry["padding"],
        geometry.get("kernel_dilation", 1),
    )


@pytest.mark.parametrize(
    ("size", "arguments"),
    [
        (6, {"strides": 2}),
        (6, {"taps": 2}),
        (6, {"strides": 2, "padding": "VALID"}),
        (6, {"strides": 2, "padding": "CIRCULAR"}),
    ],
)
def test_and_are_not_where_they_do_not(size, arguments):
    assert worst_error(size, 4, **arguments) > 0.1
    geometry = {"taps": 3, "strides": 1, "padding": "SAME", **arguments}
    assert not turns_exactly(size, geometry["taps"], geometry["strides"], geometry["padding"])


def test_two_strides_of_two_are_exact_on_sizes_4k_plus_1_only():
    kernel, deep = normal(1, 3, 3, 1, 2), normal(3, 3, 3, 4, 2, 2)

    @jax.jit
    def network(x):
        z = jax.nn.relu(lifting_conv(x, kernel, strides=2))
        return group_conv(z, deep, strides=2)

    exact = []
    for size in range(5, 14):
        x = normal(size, 1, size, size, 1)
        z, turned = np.asarray(network(np.concatenate([x, acted(x, 1)])))
        if relative(turned, acted(z[None], 1, 4)[0]) <= 1e-5:
            exact.append(size)
    assert exact == [5, 9, 13]


@pytest.mark.fast
def test_an_ordinary_convolution_does_not_turn():
    x, kernel = normal(0, 1, 6, 6, 2), normal(1, 3, 3, 2, 3)
    convolve = jax.jit(lambda x: conv(x, kernel))
    assert relative(convolve(acted(x, 1)), acted(np.asarray(convolve(x)), 1)) > 0.5


@pytest.mark.parametrize("group", [4, 8])
def test_pooling_over_the_group_leaves_an_image_that_turns(group):
    x, kernel = normal(0, 1, 6, 6, 2), normal(1, 3, 3, 2, 3)
    for reduction in ("max", "mean"):
        compiled = jax.jit(
            lambda x, reduction=reduction: group_pool(
                lifting_conv(x, kernel, group=group), reduction
            )
        )

        def pooled(x, compiled=compiled):
            return np.asarray(compiled(x))

        for element in range(1, group):
            assert relative(pooled(acted(x, element)), acted(pooled(x), element)) <= 1e-5
        if group == 4 and reduction == "max":  # the group of turns does not know mirrorings
            assert relative(pooled(acted(x, 4)), acted(pooled(x), 4)) > 0.1


@pytest.mark.fast
def test_group_pool_by_hand():
    x = jnp.arange(8.0).reshape(4, 2)
    np.testing.assert_array_equal(group_pool(x), [6, 7])
    np.testing.assert_array_equal(group_pool(x, "mean"), [3, 4])


@pytest.mark.fast
def test_derivatives_agree_with_finite_differences():
    y, kernel = np.float64(normal(2, 1, 3, 3, 4, 1)), np.float64(normal(3, 3, 3, 4, 1, 2))
    with jax.enable_x64(True):
        check_derivatives(lambda y, kernel: jnp.sin(group_conv(y, kernel)).sum(), y, kernel)


@pytest.mark.fast
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: lifting_conv(jnp.ones((1, 5, 5, 1)), jnp.ones((3, 3, 1, 1)), group=6), "got 6"),
        (lambda: lifting_conv(jnp.ones((1, 5, 5, 1)), jnp.ones((3, 2, 1, 1))), r"\(3, 2, 1, 1\)"),
        (
            lambda: lifting_conv(jnp.ones((1, 5, 5, 1)), jnp.ones((3, 3, 1, 1)), strides=(1, 2)),
            r"strides must be the same on both axes, got \(1, 2\)",
        ),
        (
            lambda: group_conv(jnp.ones((1, 5, 5, 8, 1)), jnp.ones((3, 3, 4, 1, 1))),
            r"height, width, 4, 1\], got shape \(1, 5, 5, 8, 1\)",
        ),
        (lambda: group_conv(jnp.ones((1, 5, 5, 1)), jnp.ones((3, 3, 1, 1))), "side, group, in"),
        (lambda: group_pool(jnp.ones((1, 5, 5, 3, 1))), "4 elements .* got 3"),
        (lambda: group_pool(jnp.ones((4, 1)), "min"), "'max' or 'mean', got 'min'"),
    ],
)
def test_wrong_input_is_one_sentence(call, message):
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert "\n" not in str(error.value)


@pytest.mark.fast
@pytest.mark.parametrize("order", [4, 8])
def test_an_empty_batch_gives_an_empty_batch(order):
    x, kernel = jnp.zeros((0, 6, 6, order, 2)), jnp.ones((3, 3, order, 2, 5))
    z, pull = jax.vjp(lambda x, kernel: group_conv(x, kernel, padding="VALID"), x, kernel)
    assert z.shape == (0, 4, 4, order, 5)
    dx, dkernel = pull(z)
    assert dx.shape == x.shape
    np.testing.assert_array_equal(dkernel, np.zeros_like(kernel))


@pytest.mark.fast
def test_the_copies_of_a_kernel_are_made_without_gathers():
    """A gather's gradient is a scatter, which takes twice the time of slices joined."""

    def gradient(kernel):
        return jax.grad(lambda kernel: group_conv(jnp.ones((1, 3, 3, 8, 1)), kernel).sum())(kernel)

    traced = jax.make_jaxpr(gradient)(jnp.zeros((3, 3, 8, 1, 2))).jaxpr
    used = {equation.primitive.name for equation in equations(traced)}
    assert "conv_general_dilated" in used
    assert not {name for name in used if "gather" in name or "scatter" in name}
