"""Forward mode, second derivatives, vmap and jit: the operators are linear in each operand."""

from functools import partial

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

from cnnjax import ops
from tests.ops import oracle
from tests.ops.strategies import geometries, integers

# name: (operator, operand shapes). Strided, dilated, grouped, on an axis the tile does not divide.
OPTIONS = {"strides": 2, "padding": "CIRCULAR", "kernel_dilation": 2, "feature_group_count": 2}
AXES = [oracle.Axis(9, 3, 2, "CIRCULAR", 2)]
X = (2, 9, 4)
CASES = {
    "conv": [(3, 2, 2)],
    "tiled_conv": [(2, 3, 2, 2)],
    "local_conv": [(5, 3, 2, 2)],
    "low_rank_local_conv": [(2, 3, 2, 2), (5, 2)],
}
RULES = {"conv": oracle.shared, "tiled_conv": oracle.tiled((2,)), "local_conv": oracle.local}


def case(name, seed=0, bound=9):
    """The operator with its options, and integer operands."""
    operands = [
        integers(seed + i, bound, *shape).astype(np.float32)
        for i, shape in enumerate([X, *CASES[name]])
    ]
    return partial(getattr(ops, name), **OPTIONS), operands


def sum_of(name, *operands):
    operands = [np.asarray(operand, np.float64) for operand in operands]
    if name == "low_rank_local_conv":
        return oracle.low_rank(*operands, AXES, 2)
    return oracle.convolve(*operands, AXES, 2, RULES[name])


@pytest.mark.parametrize("name", CASES)
def test_jvp_is_the_sum_over_operands_of_the_operator_on_one_tangent(name):
    """Product rule, exact on integers: d f(x, K) = f(dx, K) + f(x, dK)."""
    operator, primals = case(name)
    _, tangents = case(name, seed=10)
    z, dz = jax.jit(lambda p, t: jax.jvp(operator, p, t))(tuple(primals), tuple(tangents))
    expected = sum(
        sum_of(name, *primals[:i], tangents[i], *primals[i + 1 :]) for i in range(len(primals))
    )
    np.testing.assert_array_equal(z, sum_of(name, *primals))
    np.testing.assert_array_equal(dz, expected)


@pytest.mark.parametrize("name", RULES)
def test_forward_over_reverse_is_exact(name):
    """dK is linear in x: its derivative along dx is the sum g with dx in the place of x."""
    operator, (x, bank) = case(name)
    _, (dx, dbank) = case(name, seed=10)
    cotangent = integers(20, 9, 2, 5, 2).astype(np.float32)

    def gradients(x, bank):
        return jax.vjp(operator, x, bank)[1](cotangent)

    _, (by_x, by_bank) = jax.jit(lambda p, t: jax.jvp(gradients, p, t))((x, bank), (dx, dbank))
    g, rest = cotangent.astype(np.float64), (AXES, 2, RULES[name])
    np.testing.assert_array_equal(by_x, oracle.input_gradient(g, dbank, X, *rest))
    np.testing.assert_array_equal(by_bank, oracle.bank_gradient(g, dx, bank.shape, *rest))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("outer", ["forward", "reverse"])
def test_hessian_vector_product_of_a_square(name, outer):
    """L(x) = |f(x)|^2 / 2 with f linear: H v = f^T f v, checked as <u, H v> = <f u, f v>."""
    operator, (x, *banks) = case(name)
    _, (v, *_) = case(name, seed=10)
    _, (u, *_) = case(name, seed=30)

    def loss(x):
        return jnp.sum(operator(x, *banks) ** 2) / 2

    if outer == "forward":
        product = jax.jit(lambda x, v: jax.jvp(jax.grad(loss), (x,), (v,))[1])(x, v)
    else:
        product = jax.jit(jax.grad(lambda x, v: jnp.sum(jax.grad(loss)(x) * v)))(x, v)
    expected = np.sum(sum_of(name, u, *banks) * sum_of(name, v, *banks))
    actual = np.sum(np.asarray(u, np.float64) * np.asarray(product, np.float64))
    # Sums of products of integers, but some pass 2**24: float32's rounding of their size.
    scale = np.sum(np.abs(u) * np.abs(np.asarray(product)))
    assert abs(actual - expected) <= 1e-6 * scale
    assert abs(expected) > 1e-3 * scale


@pytest.mark.parametrize("name", CASES)
@hypothesis.settings(max_examples=8)
@hypothesis.given(geometry=geometries(), seed=st.integers(0, 2**16))
def test_forward_mode_on_any_geometry(name, geometry, seed):
    """Along each operand alone, f is linear: its derivative there is f of the tangent, exactly."""
    bank_axes = {"conv": (), "tiled_conv": (2,) * len(geometry.axes), "low_rank_local_conv": (2,)}
    bank = (*bank_axes.get(name, geometry.out_space), *geometry.kernel_shape)
    weights = [(*geometry.out_space, 2)] if name == "low_rank_local_conv" else []
    shapes = [geometry.x_shape, bank, *weights]
    operands, tangents = (
        tuple(integers(seed + i, 9, *s).astype(np.float32) for i, s in enumerate(shapes, first))
        for first in (0, 9)
    )
    operator = partial(getattr(ops, name), **geometry.options)

    @jax.jit
    def call(operands, tangents):
        dz = jax.jvp(operator, operands, tangents)[1]
        alone = [
            operator(*operands[:i], tangent, *operands[i + 1 :])
            for i, tangent in enumerate(tangents)
        ]
        return dz, sum(alone)

    dz, expected = call(operands, tangents)
    np.testing.assert_array_equal(dz, expected)


@pytest.mark.parametrize("name", [*CASES, "conv_transpose"])
def test_finite_differences_agree_in_float64(name):
    """Of a loss that is not linear: its slope, and the slope of its gradient."""
    options = {"padding": "REFLECT", "strides": 2}
    shapes = [(1, 9, 2), *[(*shape[:-2], 2, 2) for shape in CASES.get(name, [(3, 2, 2)])[:1]]]
    shapes += CASES.get(name, [])[1:]
    if name == "conv_transpose":
        options["padding"] = "SAME"
    operator, random, step = partial(getattr(ops, name), **options), np.random.default_rng(0), 1e-5

    def loss(operands):
        return jnp.sum(jnp.sin(operator(*operands)))

    def slopes(operands, tangents):
        gradient, product = jax.jvp(jax.grad(loss), (operands,), (tangents,))
        return loss(operands), gradient, product

    def along(tangents, gradient):
        return sum(np.sum(t * g) for t, g in zip(tangents, gradient, strict=True))

    with jax.enable_x64(True):
        operands = [random.normal(size=shape) for shape in shapes]
        tangents = [random.normal(size=shape) for shape in shapes]
        ahead, behind = (
            [o + sign * step * t for o, t in zip(operands, tangents, strict=True)]
            for sign in (1, -1)
        )
        compiled = jax.jit(slopes)
        _, gradient, hessian_product = jax.device_get(compiled(operands, tangents))
        high_loss, after, _ = jax.device_get(compiled(ahead, tangents))
        low_loss, before, _ = jax.device_get(compiled(behind, tangents))
        difference = (high_loss - low_loss) / (2 * step)
        np.testing.assert_allclose(along(tangents, gradient), difference, rtol=1e-6)
        for product, high, low in zip(hessian_product, after, before, strict=True):
            np.testing.assert_allclose(product, (high - low) / (2 * step), rtol=1e-5, atol=1e-6)
            assert product.dtype == np.float64


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("mapped", ["x", "banks", "both"])
def test_vmap_is_a_loop(name, mapped):
    operator, operands = case(name)
    _, others = case(name, seed=10)
    stacked = [np.stack(pair) for pair in zip(operands, others, strict=True)]
    flags = [mapped != "banks"] + [mapped != "x"] * (len(operands) - 1)
    arguments = [s if flag else o for s, o, flag in zip(stacked, operands, flags, strict=True)]
    in_axes = tuple(0 if flag else None for flag in flags)
    z = np.asarray(jax.jit(jax.vmap(operator, in_axes))(*arguments))
    for i in range(2):
        row = [a[i] if flag else a for a, flag in zip(arguments, flags, strict=True)]
        np.testing.assert_array_equal(z[i], sum_of(name, *row))
    assert not np.array_equal(z[0], z[1])


@pytest.mark.parametrize("name", CASES)
def test_vmap_of_gradients_is_a_loop(name):
    """Seeds trained side by side: every operand mapped, per-example gradients."""
    operator, operands = case(name)
    _, others = case(name, seed=10)
    stacked = [np.stack(pair) for pair in zip(operands, others, strict=True)]
    gradient = jax.grad(
        lambda *operands: jnp.sum(operator(*operands)), argnums=tuple(range(len(operands)))
    )
    batched = jax.device_get(jax.jit(jax.vmap(gradient))(*stacked))
    compiled = jax.jit(gradient)
    for i, alone in enumerate((operands, others)):
        for actual, expected in zip(batched, compiled(*alone), strict=True):
            np.testing.assert_array_equal(actual[i], expected)


@pytest.mark.fast
@pytest.mark.parametrize("name", CASES)
def test_jit_is_eager_and_traces_once(name):
    operator, operands = case(name)
    traces = []

    @jax.jit
    def compiled(*operands):
        traces.append(name)
        return operator(*operands)

    for seed in (0, 10):
        _, operands = case(name, seed)
        np.testing.assert_array_equal(compiled(*operands), operator(*operands))
    assert len(traces) == 1
