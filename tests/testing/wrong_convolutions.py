"""Convolutions that are wrong, each in one way, for the checks of a variant to find."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.linen.dtypes import promote_dtype

from cnnjax import ops
from cnnjax.layers import Conv, ConvolutionLayer, TiledConv, add_bias, per_kernel


def with_slope(factor):
    """The identity, whose derivative is said to be this, in both modes."""

    @jax.custom_jvp
    def identity(z):
        return z

    identity.defjvp(lambda primals, tangents: (primals[0], factor * tangents[0]))
    return identity


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
    kernel = layer.param("kernel", layer.kernel_init, layer.kernel_shape(x), layer.param_dtype)
    return ops.conv(x, change(kernel).astype(x.dtype), **layer.conv_options(x))


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


wrong_identity = with_slope(1.01)


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


class RoundsToFloat32(Conv):
    """Preserves the type of its input, but computes in float32."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return convolved(self, x.astype(jnp.float32)).astype(x.dtype)


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


not_a_number = with_slope(jnp.nan)


class NanGradient(Conv):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return not_a_number(convolved(self, x))


doubled_slope = with_slope(2)


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
        swapped = {**self.conv_options(x), "strides": tuple(np.ravel(self.strides))[::-1]}
        kernel = self.param("kernel", self.kernel_init, self.kernel_shape(x), self.param_dtype)
        return ops.conv(x, kernel.astype(x.dtype), **swapped)


class SwapsItsWindow(Conv):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        *window, channels, features = self.kernel_shape(x)
        shape = (*window[::-1], channels, features)
        kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        return ops.conv(x, kernel.astype(x.dtype), **self.conv_options(x))


class IgnoresDilation(Conv):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        undilated = {**self.conv_options(x), "kernel_dilation": 1}
        kernel = self.param("kernel", self.kernel_init, self.kernel_shape(x), self.param_dtype)
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
        one = per_kernel(self.kernel_init, (2,))
        kernels = self.param("kernel", one, (2, *self.kernel_shape(x)), self.param_dtype)
        x, kernels, bias = promote_dtype(x, kernels, self.bias(), dtype=self.dtype)
        axes = x.ndim - 2
        parity = np.indices((2,) * axes).sum(0) % 2
        return add_bias(ops.tiled_conv(x, kernels[parity], **self.conv_options(x)), bias)

    def predicted_lattice(self, space: Sequence[int]) -> tuple[int, ...]:
        return self.lattice_of_tile(space, 2)


class Isotropic(Conv):
    """Right: every rotated and reflected copy of its kernel is the kernel itself."""

    predicted_group = 8

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        def symmetric(kernel):
            if kernel.ndim != 4:
                return kernel
            pair = kernel + kernel[:, ::-1]
            return sum(jnp.rot90(pair, number) for number in range(4)) / 8

        return convolved(self, x, symmetric)


class RotatedCopies(Conv):
    """Right: four rotated copies of a kernel, the copies along the slowest or the fastest axis."""

    slowest: bool = True
    predicted_group = 4

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        def copies(kernel):
            if kernel.ndim != 4:
                return kernel
            rotated = [jnp.rot90(kernel[..., ::4], number) for number in range(4)]
            stacked = jnp.stack(rotated, axis=-2 if self.slowest else -1)
            return stacked.reshape(kernel.shape)

        return convolved(self, x, copies)
