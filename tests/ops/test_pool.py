"""Pooling against NumPy loops over windows, and what it promises about gradients."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import ops
from cnnjax.layers import AveragePool, MaxPool, StochasticPool
from tests.ops.jaxprs import equations
from tests.ops.oracle import Axis, reads


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def compiled(operator, /, *positional, **options):
    """A pool with its options, as a function of x that is one program."""
    return jax.jit(lambda x: operator(x, *positional, **options))


def windows_read(x, taps, stride, padding):
    """For each output position of x [*space, channels]: the entries its window reads."""
    table = [reads(Axis(size, taps, stride, padding)) for size in x.shape[:-1]]
    for p in itertools.product(*(range(len(rows)) for rows in table)):
        indices = itertools.product(*(rows[i] for rows, i in zip(table, p, strict=True)))
        yield p, [x[index] for index in indices if None not in index]


def pooled(summary, x, taps, stride, padding):
    found = {p: summary(entries) for p, entries in windows_read(x, taps, stride, padding)}
    out_space = tuple(max(p[axis] for p in found) + 1 for axis in range(x.ndim - 1))
    z = np.zeros((*out_space, x.shape[-1]))
    for p, value in found.items():
        z[p] = value
    return z


CASES = [
    ((7,), 3, 2, "VALID"),
    ((7, 6), 3, 2, "SAME"),
    ((6, 8), 3, 2, "CIRCULAR"),
    ((6, 5), 3, 1, "REFLECT"),
    ((5, 4, 6), 2, 2, "SAME"),
]


@pytest.mark.parametrize(("space", "taps", "stride", "padding"), CASES, ids=str)
@pytest.mark.parametrize(
    ("pool", "summary"),
    [(ops.max_pool, lambda e: np.max(e, 0)), (ops.average_pool, lambda e: np.mean(e, 0))],
    ids=["max", "average"],
)
def test_pooling_is_a_loop_over_windows(pool, summary, space, taps, stride, padding):
    x = np.random.default_rng(0).normal(size=(*space, 2)).astype(np.float32) - 3
    argument = [padding] * len(space) if isinstance(padding, tuple) else padding
    z = jax.jit(lambda x: pool(x, taps, strides=stride, padding=argument))(x[None])
    expected = pooled(summary, x.astype(np.float64), taps, stride, padding)
    np.testing.assert_allclose(z[0], expected, rtol=1e-6)


@pytest.mark.fast
@pytest.mark.parametrize(("size", "expected"), [(6, 3), (7, 3), (5, 2), (3, 1)])
def test_ceil_mode_keeps_the_last_window_that_is_not_full(size, expected):
    x = np.arange(1, size + 1, dtype=np.float32).reshape(1, size, 1)
    z, mean = (
        np.asarray(compiled(pool, 3, strides=2, ceil_mode=True)(x))
        for pool in (ops.max_pool, ops.average_pool)
    )
    assert z.shape == (1, expected, 1)
    assert z[0, -1, 0] == size
    last = range(2 * expected - 1, size + 1)
    assert mean[0, -1, 0] == np.mean(last)
    if size == 6:
        assert compiled(ops.max_pool, 3, strides=2)(x).shape == (1, 2, 1)


def test_ceil_mode_leaves_out_a_window_that_begins_in_the_padding():
    """As in torch: size 4, window 2, stride 3, padding 1 begins windows at -1, 2 and, not kept, 5;
    size 3 at -1 and 2 only if 2 is on the input."""
    x = np.arange(4, dtype=np.float32).reshape(1, 4, 1)
    pool = compiled(ops.max_pool, (2,), strides=3, padding=1, ceil_mode=True)
    np.testing.assert_array_equal(np.ravel(pool(x)), [0, 3])
    np.testing.assert_array_equal(np.ravel(pool(x[:, :2])), [0])


@pytest.mark.fast
def test_overlapping_3_2_pooling_of_alexnet():
    shape = jax.eval_shape(lambda x: ops.max_pool(x, 3, strides=2), jnp.zeros((2, 55, 55, 96)))
    assert shape.shape == (2, 27, 27, 96)


@pytest.mark.fast
@pytest.mark.parametrize("padding", ["VALID", "SAME", "CIRCULAR"])
def test_argmax_is_the_flat_index_of_the_maximum(padding):
    x = np.random.default_rng(1).permutation(2 * 5 * 6 * 3).reshape(2, 5, 6, 3)
    options = {"strides": 2, "padding": padding}
    z, index = jax.device_get(compiled(ops.max_pool_with_argmax, 2, **options)(x))
    np.testing.assert_array_equal(x.reshape(-1)[index], z)
    np.testing.assert_array_equal(z, compiled(ops.max_pool, 2, **options)(x))
    if padding == "VALID":
        b, i, j, c = 1, 1, 2, 2
        window = x[b, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2, c]
        row, column = np.unravel_index(window.argmax(), window.shape)
        height, width, channels = 5, 6, 3
        y, across = 2 * i + row, 2 * j + column
        assert index[b, i, j, c] == ((b * height + y) * width + across) * channels + c


@pytest.mark.fast
def test_of_equal_maxima_the_first_in_reading_order_is_found_and_gets_the_gradient():
    x = np.float32([[0, 1, 1], [1, 1, 0], [1, 0, 1]])[None, ..., None]
    _, index = compiled(ops.max_pool_with_argmax, 3)(x)
    np.testing.assert_array_equal(index, [[[[1]]]])
    gradient = jax.jit(jax.grad(lambda x: ops.max_pool(x, 3).sum()))(x)
    np.testing.assert_array_equal(np.ravel(gradient), [0, 1, 0, 0, 0, 0, 0, 0, 0])


@pytest.mark.fast
def test_of_equal_maxima_in_windows_side_by_side_the_first_gets_the_gradient():
    """Two windows of 2 by 2, and a row and a column left over; a NaN is the maximum."""
    x = np.float32([[0, 3, 1, 1, 9], [3, 3, 1, 1, 9], [9, 9, 9, 9, 9]])
    weights = np.float32([2, 5]).reshape(1, 1, 2, 1)
    gradient = jax.jit(
        jax.grad(lambda x: (ops.max_pool(x[None, ..., None], 2, strides=2) * weights).sum())
    )
    expected = np.zeros((3, 5))
    expected[0, 1], expected[0, 2] = 2, 5
    np.testing.assert_array_equal(gradient(x), expected)
    expected[0, 2], expected[1, 2] = 0, 5
    x[1, 2:4] = np.nan
    np.testing.assert_array_equal(gradient(x), expected)


@pytest.mark.fast
def test_the_entries_of_a_window_share_the_gradient_of_their_average():
    x, weights = np.zeros((1, 5, 4, 1), np.float32), np.float32([[8, 12], [16, 20]])
    gradient = jax.grad(
        lambda x: (ops.average_pool(x, 2, strides=2) * weights[None, ..., None]).sum()
    )
    gradient = np.asarray(jax.jit(gradient)(x))
    np.testing.assert_array_equal(gradient[0, :4, :, 0], np.kron(weights, np.full((2, 2), 0.25)))
    np.testing.assert_array_equal(gradient[0, 4], 0)  # left over: in no window


@pytest.mark.fast
@pytest.mark.parametrize("pool", [ops.max_pool, ops.average_pool])
def test_the_gradient_of_windows_side_by_side_adds_no_padded_arrays(pool):
    """Padding of g to the size of x, once an offset, took most of a step's time."""

    def step(x, g):
        return jax.vjp(lambda x: pool(x, 2, strides=2), x)[1](g)

    traced = jax.make_jaxpr(step)(jnp.zeros((1, 4, 4, 1)), jnp.zeros((1, 2, 2, 1)))
    pads = [e for e in equations(traced.jaxpr) if e.primitive.name == "pad"]
    assert not [pad for pad in pads if pad.invars[0].aval.size < pad.outvars[0].aval.size]


def test_max_pooling_agrees_with_xla_and_passes_gradients_to_the_maximum():
    x, tangent, weights = normal(0, 2, 9, 8, 3), normal(1, 2, 9, 8, 3), normal(2, 2, 4, 3, 3)

    def theirs(x):
        shape = (1, 3, 3, 1), (1, 2, 2, 1)
        return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, *shape, "VALID")

    def ours(x):
        return ops.max_pool(x, 3, strides=2)

    @jax.jit
    def measured(x, tangent):
        back, moved = jax.vjp(ours, x)[1](weights)[0], jax.jvp(ours, (x,), (tangent,))[1]
        return ours(x), theirs(x), back, jax.vjp(theirs, x)[1](weights)[0], moved

    z, expected, back, expected_back, moved = jax.device_get(measured(x, tangent))
    np.testing.assert_array_equal(z, expected)
    np.testing.assert_allclose(back, expected_back, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose((moved * weights).sum(), (tangent * back).sum(), rtol=1e-4)


def test_second_derivatives():
    """d2/dx2 of sum(max^4)/12 is max^2 at the maxima and zero elsewhere."""
    x = np.float32([1, 3, 2, -2])[None, :, None]
    hessian = jax.hessian(lambda x: (ops.max_pool(x, 2, strides=2) ** 4).sum() / 12)
    hessian = np.reshape(jax.jit(hessian)(x), (4, 4))
    np.testing.assert_allclose(hessian, np.diag([0.0, 9.0, 4.0, 0.0]), rtol=1e-6)


@pytest.mark.fast
def test_padding_is_never_the_maximum_but_nan_is():
    x = -np.ones((1, 3, 3, 1), np.float32)
    padded = compiled(ops.max_pool, 3, padding="SAME")
    assert (np.asarray(padded(x)) == -1).all()
    assert (np.asarray(padded(x.astype(np.int32))) == -1).all()
    broken = np.repeat(x, 9, axis=0)
    broken.reshape(9, 9)[np.arange(9), np.arange(9)] = np.nan
    assert np.isnan(compiled(ops.max_pool, 3)(broken)).all()


def test_leading_axes_and_types():
    x = normal(0, 2, 3, 4, 6, 5).astype(jnp.bfloat16)
    for pool in (ops.max_pool, ops.average_pool, ops.stochastic_pool):
        halved = jax.jit(lambda x, pool=pool: pool(x, (2, 2), strides=2))
        z = np.asarray(halved(x))
        assert (z.shape, z.dtype) == ((2, 3, 2, 3, 5), jnp.bfloat16)
        np.testing.assert_array_equal(z[1, 2], halved(x[1, 2]))


@pytest.mark.fast
def test_average_may_count_the_padding():
    x = jnp.ones((1, 3, 1))
    with_zeros = ops.average_pool(x, 3, padding="SAME", count_include_pad=True)
    np.testing.assert_allclose(with_zeros[0, :, 0], [2 / 3, 1, 2 / 3], rtol=1e-6)
    np.testing.assert_array_equal(ops.average_pool(x, 3, padding="SAME"), x)


@pytest.mark.fast
def test_stochastic_pooling_weights_in_evaluation():
    """Zeiler & Fergus, figure 1: activations 1.6 and 2.4 in a region of zeros: p = 0.4 and 0.6."""
    x = np.float32([[0, 0, 0], [0, 0, 1.6], [0, 0, 2.4]])[None, ..., None]
    pool = jax.jit(jax.value_and_grad(lambda x: ops.stochastic_pool(x, 3).sum()))
    np.testing.assert_allclose(pool(x)[0], 0.4 * 1.6 + 0.6 * 2.4, rtol=1e-6)
    z, gradient = pool(x * 0)
    assert np.isfinite(gradient).all()
    assert z == 0


def test_stochastic_pooling_draws_in_proportion():
    region = np.float32([0, 1, 3, 4])
    count = 8000
    x = np.tile(region, count)[None, :, None]

    @jax.jit
    def draw(x, key):
        z, back = jax.vjp(lambda x: ops.stochastic_pool(x, 4, key=key, strides=4), x)
        return z, *back(jnp.ones_like(z))

    z, gradient = jax.device_get(draw(x, jax.random.key(0)))
    drawn = [(z == value).mean() for value in region]
    # Three standard deviations of a proportion over 8,000 draws are 0.017.
    np.testing.assert_allclose(drawn, [0, 1 / 8, 3 / 8, 1 / 2], atol=0.017)
    assert drawn[0] == 0
    assert not np.array_equal(z, draw(x, jax.random.key(1))[0])
    np.testing.assert_array_equal(gradient.reshape(-1, 4).sum(1), np.ones(count))
    np.testing.assert_array_equal((gradient * x).reshape(-1, 4).sum(1), z.reshape(-1))


@pytest.mark.fast
def test_global_and_cross_channel():
    x = normal(0, 2, 3, 4, 6)
    mean = jax.jit(ops.global_average_pool)(x)
    np.testing.assert_allclose(mean, np.mean(x, (1, 2)), rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(jax.jit(ops.global_max_pool)(x), np.max(x, (1, 2)))
    z = np.asarray(compiled(ops.cross_channel_max_pool, 3)(x))
    assert z.shape == (2, 3, 4, 2)
    np.testing.assert_array_equal(z[..., 1], np.max(x[..., 3:6], -1))
    with pytest.raises(ValueError, match=r"pieces 4 .* got 6"):
        ops.cross_channel_max_pool(x, 4)


def test_a_stride_is_a_pool_by_a_window_of_one():
    x, kernel = normal(0, 2, 8, 6, 3), normal(1, 3, 3, 3, 4)
    options = {"strides": 2, "padding": "CIRCULAR"}
    strided, by_one, pooled = (
        np.asarray(compiled(ops.pool_or_stride, kernel, **kind, **options)(x))
        for kind in ({"pool": None}, {"window_shape": 1}, {"window_shape": 3})
    )
    np.testing.assert_allclose(strided, by_one, rtol=1e-5, atol=1e-5)
    assert pooled.shape == strided.shape == (2, 4, 3, 4)
    assert (pooled >= strided - 1e-5).all()
    assert (pooled > strided + 1e-2).any()


@pytest.mark.fast
def test_wrong_input_is_named():
    x = jnp.zeros((1, 4, 4, 1))
    with pytest.raises(ValueError, match=r"window of size 5"):
        ops.max_pool(x, 5)
    with pytest.raises(ValueError, match=r"padding \(2, 2\) must be less than the window of 2"):
        ops.max_pool(x, 2, padding=2)
    with pytest.raises(ValueError, match=r"needs x .* got \(4, 1\)"):
        ops.max_pool(x[0, 0], (2, 2))
    with pytest.raises(ValueError, match="'VALID'"):
        ops.pool_or_stride(x, jnp.zeros((3, 3, 1, 1)), strides=2, padding="VALID")


@pytest.mark.fast
def test_the_modules_are_the_operators():
    x = np.random.default_rng(0).uniform(size=(2, 6, 6, 3)).astype(np.float32)
    for module, pool in ((MaxPool, ops.max_pool), (AveragePool, ops.average_pool)):
        layer = module(3, strides=2, padding="SAME")
        assert jax.eval_shape(layer.init, jax.random.key(1), x) == {}
        expected = compiled(pool, 3, strides=2, padding="SAME")(x)
        z = jax.jit(lambda x, layer=layer: layer.apply({}, x))(x)
        np.testing.assert_array_equal(z, expected)
    layer = StochasticPool(2, strides=2)
    expected = compiled(ops.stochastic_pool, 2, strides=2)(x)
    np.testing.assert_array_equal(jax.jit(lambda x: layer.apply({}, x))(x), expected)
    draw = jax.jit(lambda x, key: layer.apply({}, x, train=True, rngs={"dropout": key}))
    drawn, other = (np.asarray(draw(x, jax.random.key(seed))) for seed in (1, 2))
    assert not np.array_equal(drawn, other)
    assert np.isin(drawn, x).all()
