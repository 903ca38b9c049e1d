"""Numbers worked by hand in lectures and textbooks: they come out exactly."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import ops
from cnnjax.ops import geometry

pytestmark = pytest.mark.fast


def one_channel(rows):
    """[height, width] -> [height, width, 1]."""
    return np.float32(rows)[..., None]


def one_filter(rows):
    """[height, width] -> [height, width, 1, 1]."""
    return np.float32(rows)[..., None, None]


def channels_last(*channels):
    return np.stack([np.float32(rows) for rows in channels], axis=-1)


def called(operator, *arrays, **options):
    """The operator with its options as one program."""
    return np.asarray(jax.jit(lambda *arrays: operator(*arrays, **options))(*arrays))


def shape_of(operator, x_shape, kernel_shape, **options):
    def call(x, kernel):
        return operator(x, kernel, **options)

    shapes = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in (x_shape, kernel_shape))
    return jax.eval_shape(call, *shapes).shape


LAPLACIAN = [[0, 1, 0], [1, -4, 1], [0, 1, 0]]
LAPLACIAN_INPUT = [
    [0, 10, 9, 3, 4],
    [4, 3, 2, 1, 5],
    [10, 2, 10, 3, 0],
    [3, -1, -3, -3, -4],
    [-4, -10, -8, -1, -2],
]


def test_laplacian():
    z = called(ops.conv, one_channel(LAPLACIAN_INPUT), one_filter(LAPLACIAN), padding="VALID")
    np.testing.assert_array_equal(z[..., 0], [[6, 15, 9], [14, -36, -4], [-4, 10, 7]])


def test_cross_correlation_of_an_asymmetric_kernel():
    x = [
        [3, 3, 2, 1, 0, 0],
        [0, 1, 3, 1, 3, 1],
        [2, 2, 3, 2, 0, 0],
        [2, 2, 2, 0, 0, 0],
        [1, 0, 1, 3, 2, 2],
        [3, 2, 0, 3, 0, 1],
    ]
    kernel = one_filter([[2, 2, 2], [0, 1, 0], [2, 0, 1]])
    expected = [[24, 21, 13, 9], [16, 17, 20, 10], [19, 19, 14, 12], [18, 16, 7, 9]]
    z = called(ops.conv, one_channel(x), kernel, padding="VALID")
    np.testing.assert_array_equal(z[..., 0], expected)
    flipped = called(ops.conv, one_channel(x), kernel, padding="VALID", flip_kernel=True)
    assert not np.array_equal(flipped[..., 0], expected)


VOLUME = (
    [[0, 0, 1, 0, 2], [1, 0, 2, 0, 1], [1, 0, 2, 2, 0], [2, 0, 0, 2, 0], [2, 1, 2, 2, 0]],
    [[2, 1, 2, 1, 1], [2, 1, 2, 0, 1], [0, 2, 1, 0, 1], [1, 2, 2, 2, 2], [0, 1, 2, 0, 1]],
    [[2, 1, 1, 2, 0], [1, 0, 0, 1, 0], [0, 1, 0, 0, 0], [1, 0, 2, 1, 0], [2, 2, 1, 1, 1]],
)
FILTERS = (
    (
        [[-1, 0, 1], [0, 0, 1], [1, -1, 1]],
        [[-1, 0, 1], [1, -1, 1], [0, 1, 0]],
        [[-1, 1, 1], [1, 1, 0], [0, -1, 0]],
    ),
    (
        [[0, 1, -1], [0, -1, 0], [0, -1, 1]],
        [[-1, 0, 0], [1, -1, 0], [1, -1, 0]],
        [[-1, 1, -1], [0, -1, -1], [1, 0, 0]],
    ),
)
VOLUME_OUTPUT = ([[2, 3, 3], [3, 7, 3], [8, 10, -3]], [[-8, -8, -3], [-3, 1, 0], [-3, -8, -5]])


@pytest.mark.parametrize("padding", [1, (1, 1), ((1, 1), (1, 1))], ids=str)
def test_strided_volume_with_two_filters(padding):
    """CS231n: 5x5x3, zero padding 1, stride 2, two 3x3x3 filters with biases 1 and 0."""
    x = channels_last(*VOLUME)[None]
    kernel = np.stack([channels_last(*channels) for channels in FILTERS], axis=-1)
    z = called(ops.conv, x, kernel, strides=2, padding=padding) + np.float32([1, 0])
    np.testing.assert_array_equal(z[0], channels_last(*VOLUME_OUTPUT))


def test_max_pooling():
    x = [[3, 3, 2, 1, 0], [0, 0, 1, 3, 1], [3, 1, 2, 2, 3], [2, 0, 0, 2, 2], [2, 0, 0, 0, 1]]
    z = called(ops.max_pool, one_channel(x), window_shape=(3, 3), strides=2, padding=1)
    np.testing.assert_array_equal(z[..., 0], [[3, 3, 3], [3, 3, 3], [2, 2, 2]])
    z = called(ops.max_pool, one_channel(x), window_shape=(3, 3))
    np.testing.assert_array_equal(z[..., 0], [[3, 3, 3], [3, 3, 3], [3, 2, 3]])
    x = [[0, 10, 9, 3], [4, 3, 2, 1], [10, 2, 10, 3], [3, -1, -3, -3]]
    z = called(ops.max_pool, one_channel(x), window_shape=(2, 2), strides=2)
    np.testing.assert_array_equal(z[..., 0], [[10, 9], [10, 10]])


def test_max_pooling_with_argmax():
    """The flat index ((b*height + y)*width + x)*channels + c, here of two images and channels."""
    rows = np.array([[0, 10, 9, 3], [4, 3, 2, 1], [10, 2, 10, 3], [3, -1, -3, -3]])
    images = np.stack([rows, -rows], axis=-1)[None].repeat(2, axis=0)
    pool = jax.jit(lambda x: ops.max_pool_with_argmax(x, (2, 2), strides=2))
    z, index = jax.device_get(pool(images))
    height, width, channels = 4, 4, 2
    np.testing.assert_array_equal(z[0, ..., 0], [[10, 9], [10, 10]])
    places = {(0, 0): (0, 1), (0, 1): (0, 2), (1, 0): (2, 0), (1, 1): (2, 2)}
    for (i, j), (y, x) in places.items():
        for b in (0, 1):
            assert index[b, i, j, 0] == ((b * height + y) * width + x) * channels + 0
    np.testing.assert_array_equal(z[1, ..., 1], [[0, -1], [1, 3]])
    assert index[1, 1, 1, 1] == ((1 * height + 3) * width + 2) * channels + 1


def test_pooling_with_downsampling_keeps_the_smaller_last_region():
    """Six detectors, width 3, stride 2: three regions, the last of two detectors."""
    x = np.float32([0.1, 1.0, 0.2, 0.1, 0.0, 0.1]).reshape(1, 6, 1)
    z = called(ops.max_pool, x, window_shape=3, strides=2, ceil_mode=True)
    np.testing.assert_array_equal(z[0, :, 0], np.float32([1.0, 0.2, 0.1]))
    assert called(ops.max_pool, x, window_shape=3, strides=2).shape == (1, 2, 1)


def test_shapes_and_weights():
    assert shape_of(ops.conv, (443, 592, 3), (5, 5, 3, 6), padding="VALID") == (439, 588, 6)
    assert geometry.weight_count((5, 5), 3, 6) == 450

    units = shape_of(ops.conv, (2000, 2000, 3), (5, 5, 3, 16), padding="SAME")
    assert np.prod(units) == 64_000_000
    assert geometry.weight_count((5, 5), 3, 16) == 1200

    strided = shape_of(ops.conv, (16, 16, 1), (3, 3, 1, 1), padding="VALID", strides=2)
    assert strided == (7, 7, 1)
    assert geometry.output_size(16, 3, stride=2, padding="VALID") == 7

    convolved = shape_of(ops.conv, (32, 32, 3), (5, 5, 3, 16), padding="SAME")
    assert convolved == (32, 32, 16)
    pooled = jax.eval_shape(lambda x: ops.max_pool(x, (2, 2), strides=2), jnp.empty(convolved))
    assert pooled.shape == (16, 16, 16)


def test_transposed_shape():
    shape = shape_of(
        ops.conv_transpose, (4, 10, 8, 128), (3, 3, 128, 32), strides=2, padding="VALID"
    )
    assert shape == (4, 21, 17, 32)


@pytest.mark.parametrize(("width", "window", "zeros", "stride"), [(227, 11, 0, 4), (7, 3, 1, 2)])
def test_size_is_width_less_window_plus_padding_over_stride_plus_one(width, window, zeros, stride):
    expected = (width - window + 2 * zeros) // stride + 1
    assert geometry.output_size(width, window, stride, zeros) == expected
    shape = shape_of(ops.conv, (width, 1), (window, 1, 1), strides=stride, padding=zeros)
    assert shape == (expected, 1)


@pytest.mark.parametrize(("width", "window", "stride"), [(55, 3, 2), (32, 2, 2)])
def test_pooled_size_is_width_less_window_over_stride_plus_one(width, window, stride):
    pooled = jax.eval_shape(
        lambda x: ops.max_pool(x, (window,), strides=stride), jnp.empty((width, 1))
    )
    assert pooled.shape == ((width - window) // stride + 1, 1)


def test_edge_detection_costs():
    """320x280: three operations an output by convolution, two a weight by a dense matrix."""
    out_space = (319, 280)
    x = np.arange(320 * 280, dtype=np.float32).reshape(320, 280, 1) ** 2
    edges = called(ops.conv, x, one_filter([[-1], [1]]), padding="VALID")
    assert edges.shape == (*out_space, 1)
    np.testing.assert_array_equal(edges, np.diff(x, axis=0))

    multiplications = geometry.multiply_adds(out_space, (2, 1), 1, 1)
    additions = multiplications - 319 * 280
    assert multiplications + additions == 267_960
    assert 2 * geometry.multiply_adds(out_space, (320, 280), 1, 1) == 16_006_144_000


def test_two_stacked_3x3_see_what_one_5x5_sees():
    assert geometry.receptive_field([(3, 1, 1), (3, 1, 1)]) == (5, 1)
    assert geometry.receptive_field([(5, 1, 1)]) == (5, 1)
    stacked, single = 2 * geometry.weight_count((3, 3), 8, 8), geometry.weight_count((5, 5), 8, 8)
    assert stacked * 25 == single * 18

    image = np.zeros((11, 11, 1), np.float32)
    image[5, 5] = 1
    small, large = (np.ones((size, size, 1, 1), np.float32) for size in (3, 5))
    twice = called(ops.conv, called(ops.conv, image, small), small)
    once = called(ops.conv, image, large)
    np.testing.assert_array_equal(twice != 0, once != 0)
    assert np.count_nonzero(once) == 25


def test_strided_gradients_are_the_two_sums():
    """dK[i,j,k,l] = sum_{m,n} G[i,m,n] V[j, m*s+k, n*s+l], and the sum for dV, written out.

    i: output channel, j: input channel, V is [j, rows, columns] and K is [i, j, rows, columns].
    """
    s, (height, width) = 2, (7, 5)
    random = np.random.default_rng(0)
    v = random.integers(-9, 10, (3, height, width))
    k = random.integers(-9, 10, (2, 3, 3, 2))
    g = random.integers(-9, 10, (2, 3, 2))
    dk, dv = np.zeros(k.shape), np.zeros(v.shape)
    for i, j, a, b in np.ndindex(dk.shape):
        dk[i, j, a, b] = sum(
            g[i, m, n] * v[j, m * s + a, n * s + b] for m in range(3) for n in range(2)
        )
    for i, j, a in np.ndindex(dv.shape):
        dv[i, j, a] = sum(
            k[q, i, m, p] * g[q, row, n]
            for row, m in np.ndindex(3, 3)
            for n, p in np.ndindex(2, 2)
            for q in range(2)
            if row * s + m == j and n * s + p == a
        )

    def objective(v, k):
        x, kernel = jnp.moveaxis(v, 0, -1), k.transpose(2, 3, 1, 0)
        z = ops.conv(x, kernel, strides=s, padding="VALID")
        return jnp.sum(z * jnp.moveaxis(jnp.asarray(g, jnp.float32), 0, -1))

    ours = jax.jit(jax.grad(objective, argnums=(0, 1)))(np.float32(v), np.float32(k))
    np.testing.assert_array_equal(ours[0], dv)
    np.testing.assert_array_equal(ours[1], dk)

    x, kernel, gradient = np.moveaxis(v, 0, -1), k.transpose(2, 3, 1, 0), np.moveaxis(g, 0, -1)
    options = {"strides": s, "padding": "VALID"}
    by_kernel = called(ops.conv_kernel_gradient, x, gradient, kernel_size=(3, 2), **options)
    by_input = called(ops.conv_input_gradient, gradient, kernel, space=(height, width), **options)
    np.testing.assert_array_equal(by_kernel.transpose(3, 2, 0, 1), dk)
    np.testing.assert_array_equal(np.moveaxis(by_input, -1, 0), dv)


def test_local_response_normalization():
    """x / (bias + alpha * sum over neighbours of x^2)^beta, worked with radius 1."""
    x = np.float32([1, 2, 3, 4])[None]
    options = {"radius": 1, "bias": 2.0, "alpha": 0.5}
    z = called(ops.local_response_normalization, x, beta=1.0, **options)
    sums = np.array([1 + 4, 1 + 4 + 9, 4 + 9 + 16, 9 + 16])
    np.testing.assert_allclose(z[0], [1, 2, 3, 4] / (2 + 0.5 * sums), rtol=1e-6)
    z = called(ops.local_response_normalization, x, beta=0.75, **options)
    np.testing.assert_allclose(z[0], [1, 2, 3, 4] / (2 + 0.5 * sums) ** 0.75, rtol=1e-6)


def test_gabor():
    """w(x, y) = alpha exp(-bx x'^2 - by y'^2) cos(f x' + phi), turned by tau around (x0, y0)."""
    alpha, bx, by, f, phi, x0, y0, tau = 2.0, 0.1, 0.3, 0.9, 0.4, 1.0, -1.0, 0.5
    kernel = ops.gabor_kernel(
        7, alpha=alpha, beta_x=bx, beta_y=by, frequency=f, phase=phi, x0=x0, y0=y0, tau=tau
    )
    for row, column in np.ndindex(7, 7):
        x, y = column - 3, row - 3
        along = (x - x0) * np.cos(tau) + (y - y0) * np.sin(tau)
        across = -(x - x0) * np.sin(tau) + (y - y0) * np.cos(tau)
        w = alpha * np.exp(-bx * along**2 - by * across**2) * np.cos(f * along + phi)
        np.testing.assert_allclose(kernel[row, column], w, rtol=1e-5, atol=1e-7)


def test_box_gaussian_and_sobel():
    np.testing.assert_allclose(ops.box_kernel(3), np.full((3, 3), 1 / 9), rtol=1e-7)
    for size in (5, 11):
        np.testing.assert_allclose(ops.box_kernel(size).sum(), 1, rtol=1e-6)
    sigma = 1.4
    gaussian = ops.gaussian_kernel(5, sigma)
    for i, j in [(0, 0), (1, 0), (2, -2)]:
        expected = np.exp(-(i**2 + j**2) / (2 * sigma**2)) / (2 * np.pi * sigma**2)
        np.testing.assert_allclose(gaussian[i + 2, j + 2], expected, rtol=1e-6)
    sobel = [[1, 2, 1], [0, 0, 0], [-1, -2, -1]]
    np.testing.assert_array_equal(ops.sobel_kernel(0), sobel)
    np.testing.assert_array_equal(ops.sobel_kernel(1), np.transpose(sobel))
    np.testing.assert_array_equal(ops.laplacian_kernel(), LAPLACIAN)
