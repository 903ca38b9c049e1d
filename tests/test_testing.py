"""The checks of a variant: ours pass them, and each finds the layers that break it."""

import functools
import re
import subprocess
import sys
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.linen.dtypes import promote_dtype

from cnnjax import ops, testing
from cnnjax.layers import (
    VARIANTS,
    Conv,
    ConvolutionLayer,
    TiledConv,
    add_bias,
    one_by_one,
)
from cnnjax.testing import Finding, Verdict, check_variant, variant_checks


def finding(constructor, name):
    """What one check finds."""
    (check,) = [check for check in variant_checks(constructor) if check.name == name]
    return check.finding()


@pytest.mark.parametrize("name", VARIANTS)
def test_our_variants_pass(name):
    verdict = check_variant(VARIANTS[name])
    assert verdict.passed, verdict.text
    assert len(verdict.findings) == len(testing.PROPERTIES) == 11


@pytest.mark.parametrize("check", variant_checks(functools.partial(TiledConv, tile=4)), ids=str)
@pytest.mark.fast
def test_checks_are_parameters_of_a_test(check):
    check()


class DoubleVariance(Conv):
    kernel_init: nn.initializers.Initializer = nn.initializers.variance_scaling(
        2.0, "fan_in", "truncated_normal"
    )


class ClaimsTooMuch(TiledConv):
    def predicted_lattice(self, space: Sequence[int]) -> tuple[int, ...]:
        return (1,) * len(space)


class HasMoreThanItClaims(Conv):
    def predicted_lattice(self, space: Sequence[int]) -> tuple[int, ...]:
        return self.lattice_of_tile(space, 2)


def convolved(layer, x, change=lambda kernel: kernel):
    """The convolution of a layer, without its bias, with its kernel changed."""
    kernel = layer.param("kernel", layer.kernel_init, layer.one_kernel(x), layer.param_dtype)
    return ops.conv(x, change(kernel).astype(x.dtype), **layer.arguments(x))


class BiasOfPosition(Conv):
    """Its kernel is shared, its bias is not: exact while biases are zero, as at the start."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        z = convolved(self, x)
        return z + self.param("bias", self.bias_init, (1, *z.shape[1:]), self.param_dtype)


class StopsGradient(Conv):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return convolved(self, x, jax.lax.stop_gradient)


@jax.custom_jvp
def wrong_identity(z):
    return z


wrong_identity.defjvp(lambda primals, tangents: (primals[0], 1.01 * tangents[0]))


class WrongDerivative(Conv):
    """1 % off in both modes, which therefore agree with each other."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return wrong_identity(convolved(self, x))


@jax.custom_vjp
def reverse_only(z):
    return z


reverse_only.defvjp(lambda z: (z, None), lambda _, cotangent: (cotangent,))


class ReverseOnly(Conv):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return reverse_only(convolved(self, x))


class UnusedParameter(Conv):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        self.param("unused", nn.initializers.ones_init(), (3,), self.param_dtype)
        return convolved(self, x)


class AcceptsNonsense(ConvolutionLayer):
    """Repairs what it is given, silently."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        sizes = [max(1, int(size)) for size in np.ravel(self.kernel_size)]
        padding = self.padding if self.padding in ("SAME", "VALID", "CIRCULAR") else "SAME"
        return Conv(max(1, int(self.features)), sizes, self.strides, padding)(x)


class RaisesTypeError(Conv):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        if self.features < 1:
            raise TypeError("features")
        return convolved(self, x)


class SaysTooLittle(Conv):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        if self.features < 1:
            raise ValueError("bad features")
        return convolved(self, x)


class Rectified(Conv):
    """Not affine, and says nothing about it."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return nn.relu(convolved(self, x))


class RectifiedButClaimsLinear(Rectified):
    is_linear = True


class ClaimsNotToBeLinear(Conv):
    is_linear = False


class WrongShape(Conv):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return convolved(self, x)[..., :-1, :]


class AlwaysFloat32(Conv):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return convolved(self, x.astype(jnp.float32)).astype(jnp.float32)


class CompilesAgain(Conv):
    """Jits a new function at every call."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return jax.jit(lambda z: z + 1)(convolved(self, x))


class Random(Conv):
    """Draws its parameters from a generator of its own."""

    kernel_init: nn.initializers.Initializer = lambda key, shape, dtype: jnp.asarray(
        np.random.default_rng().normal(size=shape),
        dtype,
    )


class Constant(Conv):
    """Starts the same whatever the key."""

    kernel_init: nn.initializers.Initializer = nn.initializers.ones_init()


class SeesItsBatch(Conv):
    """Divided by the size of the whole batch."""

    def __call__(self, x: jax.Array) -> jax.Array:
        z = super().__call__(x)
        return z / jnp.sqrt(jnp.mean(z**2))


@jax.custom_jvp
def not_a_number(z):
    return z


not_a_number.defjvp(lambda primals, tangents: (primals[0], jnp.nan * tangents[0]))


class NanGradient(Conv):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return not_a_number(convolved(self, x))


@jax.custom_jvp
def doubled_slope(z):
    return z


doubled_slope.defjvp(lambda primals, tangents: (primals[0], 2 * tangents[0]))


class WrongInFloat32(Conv):
    """In both modes, and right in float64, where finite differences are taken."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        z = convolved(self, x)
        return doubled_slope(z) if z.dtype == jnp.float32 else z


class WrongWhereItStrides(Conv):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        z = convolved(self, x)
        return doubled_slope(z) if set(np.ravel(self.strides)) != {1} else z


class WrongUnderZeros(Conv):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        z = convolved(self, x)
        return doubled_slope(z) if self.padding == "SAME" else z


class DropsTheLast(Conv):
    """size // strides positions, where the last window reaches over the border."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        z = convolved(self, x)
        if self.padding == "VALID":
            return z
        strides = np.broadcast_to(self.strides, x.ndim - 2)
        kept = [slice(size // step) for size, step in zip(x.shape[1:-1], strides, strict=True)]
        return z[(slice(None), *kept)]


class SwapsStrides(Conv):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        swapped = {**self.arguments(x), "strides": tuple(np.ravel(self.strides))[::-1]}
        kernel = self.param("kernel", self.kernel_init, self.one_kernel(x), self.param_dtype)
        return ops.conv(x, kernel.astype(x.dtype), **swapped)


class SwapsItsWindow(Conv):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        *window, channels, features = self.one_kernel(x)
        shape = (*window[::-1], channels, features)
        kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        return ops.conv(x, kernel.astype(x.dtype), **self.arguments(x))


class IgnoresDilation(Conv):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        undilated = {**self.arguments(x), "kernel_dilation": 1}
        kernel = self.param("kernel", self.kernel_init, self.one_kernel(x), self.param_dtype)
        return ops.conv(x, kernel.astype(x.dtype), **undilated)


class LoudWhereItStrides(Conv):
    def __call__(self, x: jax.Array) -> jax.Array:
        return super().__call__(x) * (10 if set(np.ravel(self.strides)) != {1} else 1)


class ClaimsAllWithoutPadding(Conv):
    def predicted_lattice(self, space: Sequence[int]) -> tuple[int, ...]:
        if self.padding == "VALID":
            return (1,) * len(space)
        return super().predicted_lattice(space)


class ClaimsStridesUnderZeros(Conv):
    def predicted_lattice(self, space: Sequence[int]) -> tuple[int, ...]:
        if self.padding == "SAME" and set(np.ravel(self.strides)) == {2}:
            return (2,) * len(space)
        return super().predicted_lattice(space)


class KeepsItsBias(Conv):
    """Has a bias whatever `use_bias` says."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        bias = self.param("bias", self.bias_init, (self.features,), self.param_dtype)
        return add_bias(convolved(self, x), bias.astype(x.dtype))


class NotFinite(Conv):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return convolved(self, x) * jnp.nan


class Checkerboard(ConvolutionLayer):
    """rule(p) = the parity of row + column, which no steps along the axes describe."""

    is_linear = True

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        one = one_by_one(self.kernel_init, (2,))
        kernels = self.param("kernel", one, (2, *self.one_kernel(x)), self.param_dtype)
        x, kernels, bias = promote_dtype(x, kernels, self.bias(), dtype=self.dtype)
        axes = x.ndim - 2
        parity = np.indices((2,) * axes).sum(0) % 2
        return add_bias(ops.tiled_conv(x, kernels[parity], **self.arguments(x)), bias)

    def predicted_lattice(self, space: Sequence[int]) -> tuple[int, ...]:
        return self.lattice_of_tile(space, 2)


def test_a_symmetry_that_cannot_be_claimed_is_told_and_is_no_failure():
    measured = finding(Checkerboard, "symmetry")
    assert measured.passed, measured.found
    assert "2 x 2, and (1, 1), which no steps along the axes make" in measured.found


def test_only_the_broken_property_is_found():
    for broken, name in ((SeesItsBatch, "examples"), (LoudWhereItStrides, "initial variance")):
        verdict = check_variant(broken)
        failed = {each.name for each in verdict.findings if not each.passed}
        # Divided by the batch it is not affine, which it does not claim.
        assert failed == {name}, verdict.text


@pytest.mark.parametrize(
    ("broken", "name", "found"),
    [
        (SeesItsBatch, "examples", r"among others 4\.\de-01"),
        (NanGradient, "transforms", "forward against reverse nan"),
        (WrongInFloat32, "transforms", r"float32 against float64 1\.0e\+00"),
        (WrongWhereItStrides, "gradients", "with CIRCULAR strides 2"),
        (WrongUnderZeros, "gradients", "with SAME strides 1"),
        (DropsTheLast, "shapes", r"strides 2 x 1 on 7 x 5 gives shape \(2, 3, 5, 8\), not"),
        (SwapsStrides, "shapes", "strides 2 x 1 on 7 x 5 gives shape"),
        (SwapsItsWindow, "shapes", "VALID window 3 x 2 .* gives shape"),
        (IgnoresDilation, "shapes", "dilation 2 on 7 x 7 gives shape"),
        (LoudWhereItStrides, "initial variance", r"100.* \(strides 2\)"),
        (ClaimsAllWithoutPadding, "symmetry", "VALID strides 1 .* claims shifts by 1 x 1, but is"),
        (ClaimsStridesUnderZeros, "symmetry", "SAME strides 2 .* claims shifts by 2 x 2, but is"),
        (KeepsItsBias, "linear map", "use_bias=False takes no bias away"),
        (NotFinite, "examples", "not finite"),
        (NotFinite, "linear map", "not finite"),
        (nn.ConvLocal, "initial variance", r"^0\.0[23]"),
        (DoubleVariance, "initial variance", "^(1.9|2.0|2.1)"),
        (ClaimsTooMuch, "symmetry", "claims shifts by 1 x 1, but is off by"),
        (HasMoreThanItClaims, "symmetry", r"claims only shifts by 2 x 2, but has \(0, 1\) as well"),
        (BiasOfPosition, "symmetry", "claims shifts by 1, but is off by"),
        (StopsGradient, "gradients", r"off by at most 1.0e\+00 .*kernel"),
        (WrongDerivative, "gradients", r"off by at most 1\.0e-02"),
        (ReverseOnly, "transforms", "raised TypeError"),
        (UnusedParameter, "transforms", "no gradient at all for .*unused"),
        (AcceptsNonsense, "bad input", "features=0 is accepted"),
        (RaisesTypeError, "bad input", "features=0 raises TypeError"),
        (SaysTooLittle, "bad input", "features=0 raises ValueError without a sentence"),
        (RectifiedButClaimsLinear, "linear map", "not affine.* claims to be affine"),
        (ClaimsNotToBeLinear, "linear map", "^affine.* claims not to be"),
        (WrongShape, "shapes", r"CIRCULAR window 3 strides 1 on 8 gives shape \(2, 7, 8\), not"),
        (AlwaysFloat32, "dtypes", "gives float32"),
        (CompilesAgain, "compilation", "0 jitted, [1-9]"),
        (Random, "determinism", "one key gives two sets"),
        (Constant, "determinism", "two keys give the same"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_is_broken_is_found(broken, name, found):
    measured = finding(broken, name)
    assert not measured.passed
    assert re.search(found, measured.found), measured.found


def test_what_is_not_claimed_is_reported():
    assert finding(Rectified, "linear map").passed
    assert "not affine" in finding(Rectified, "linear map").found
    unclaimed = finding(nn.Conv, "symmetry")
    assert unclaimed.passed
    assert "CIRCULAR strides 2 on 8 x 4: measured 2 x 2, no claim" in unclaimed.found


@pytest.mark.parametrize("name", ["shapes", "dtypes", "initial variance", "linear map"])
def test_any_flax_module_of_these_arguments_can_be_checked(name):
    assert finding(nn.Conv, name).passed


def test_a_layer_of_two_dimensions_alone_is_checked_in_these():
    class Flat(Conv):
        @nn.compact
        def __call__(self, x: jax.Array) -> jax.Array:
            if x.ndim != 4:
                raise ValueError(f"Flat takes x of 4 axes, got shape {x.shape}.")
            return convolved(self, x)

    measured = finding(Flat, "shapes")
    assert measured.passed
    assert measured.found == "those of a convolution in 2-D"


def test_a_layer_that_takes_nothing_fails_everywhere_it_should():
    class Nothing(Conv):
        @nn.compact
        def __call__(self, x: jax.Array) -> jax.Array:
            raise RuntimeError("out of order")

    verdict = check_variant(Nothing)
    assert not verdict.passed
    assert len(verdict.findings) == 1
    assert "takes no input in 1, 2 or 3 dimensions; in 2: RuntimeError: out of order" in (
        verdict.findings[0].found
    )


@pytest.mark.fast
def test_the_verdict_is_readable():
    verdict = Verdict(
        "Mine()", (Finding("shapes", True, "right"), Finding("linear map", False, "word " * 30))
    )
    lines = verdict.text.splitlines()
    assert not verdict.passed
    assert lines[0] == "Mine(): FAILED, 1 of 2 properties hold"
    assert lines[1] == "  ok      shapes      right"
    assert lines[2].startswith("  FAILED  linear map  word word")
    assert lines[3].startswith(" " * 22 + "word")
    assert max(map(len, lines)) <= 100
    assert Verdict("Mine()", verdict.findings[:1]).passed


@pytest.mark.fast
def test_a_failed_check_names_layer_property_and_what_was_found():
    made = functools.partial(HasMoreThanItClaims, use_bias=False)
    (check,) = [check for check in variant_checks(made) if str(check) == "bad_input"]
    check()
    (check,) = [
        check for check in variant_checks(ClaimsNotToBeLinear) if check.name == "linear map"
    ]
    with pytest.raises(AssertionError, match=r"^ClaimsNotToBeLinear\(\): linear map: affine"):
        check()


@pytest.mark.fast
def test_importing_it_imports_no_pytest():
    code = "import cnnjax.testing, sys; assert 'pytest' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
