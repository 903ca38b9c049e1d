"""Local convolution of large batches, in parts; what its gradients compute and hold."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import ops
from cnnjax.ops import unshared
from tests.ops import oracle
from tests.ops.jaxprs import equations
from tests.ops.strategies import integers

AXES = [oracle.Axis(7, 3, 2, "SAME")]
X, KERNEL, Z = (5, 7, 4), (4, 3, 2, 6), (5, 4, 6)
local_conv = partial(ops.local_conv, strides=2, feature_group_count=2)


def gradients(x, kernel, g):
    z, pull = jax.vjp(local_conv, x, kernel)
    return z, *pull(g)


@pytest.mark.parametrize("images", [1, 2, 5])
def test_a_batch_in_parts_is_the_batch(monkeypatch, images):
    """Five images, of which parts of two leave one: output, gradients, and the latters' tangents.

    Exact on integers; the gradients are linear in each operand.
    """
    entries_of_an_image = 4 * 3 * 4
    monkeypatch.setattr(unshared, "ENTRIES_AT_A_TIME", images * entries_of_an_image)
    monkeypatch.setattr(unshared, "FEW_CHANNELS", 0 if images == 2 else 16)  # both ways to read
    x, kernel, g, dx = (
        jnp.asarray(integers(seed, 9, *shape), jnp.float32)
        for seed, shape in enumerate([X, KERNEL, Z, X])
    )
    # A new function each time: jax remembers what it has traced.
    traced = jax.make_jaxpr(lambda *operands: local_conv(*operands))(x, kernel)
    scans = [e for e in traced.eqns if e.primitive.name == "scan"]
    assert [scan.params["length"] for scan in scans] == {1: [5], 2: [3], 5: []}[images]
    found, moved = jax.jit(
        lambda x, dx, kernel, g: jax.jvp(lambda x: gradients(x, kernel, g), (x,), (dx,))
    )(x, dx, kernel, g)
    z = oracle.convolve(x, kernel, AXES, 2, oracle.local)
    np.testing.assert_array_equal(found[0], z)
    np.testing.assert_array_equal(moved[0], oracle.convolve(dx, kernel, AXES, 2, oracle.local))
    dz_dx = oracle.input_gradient(g, kernel, X, AXES, 2, oracle.local)
    np.testing.assert_array_equal(found[1], dz_dx)
    for x_or_tangent, gradient in ((x, found[2]), (dx, moved[2])):
        dz_dkernel = oracle.bank_gradient(g, x_or_tangent, KERNEL, AXES, 2, oracle.local)
        np.testing.assert_array_equal(gradient, dz_dkernel)


def test_memory_stops_growing_with_the_batch(monkeypatch):
    monkeypatch.setattr(unshared, "ENTRIES_AT_A_TIME", 16 * 12 * 9 * 4)

    def temporaries(batch):
        """Bytes, of output and gradients together."""
        shapes = [(batch, 12, 4), (12, 9, 4, 4), (batch, 12, 4)]
        structs = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]

        def call(x, kernel, g):
            z, pull = jax.vjp(ops.local_conv, x, kernel)
            return z, *pull(g)

        return jax.jit(call).lower(*structs).compile().memory_analysis().temp_size_in_bytes

    x_and_z = 2 * 4 * 12 * 4
    few, many = temporaries(32), temporaries(128)
    assert many - few <= 3 * 96 * x_and_z < 96 * 9 * 12 * 4 * 4


@pytest.mark.fast
def test_an_operand_without_gradient_costs_no_product():
    """The images of a first layer have none, nor has a kernel that is held."""

    def products(differentiated):
        def loss(*operands):
            return local_conv(*operands).sum()

        gradient = jax.grad(loss, differentiated)
        traced = jax.make_jaxpr(gradient)(jnp.zeros(X), jnp.zeros(KERNEL)).jaxpr
        return sum(equation.primitive.name == "dot_general" for equation in equations(traced))

    both = products((0, 1))
    assert products(0) == products(1) == both - 1
