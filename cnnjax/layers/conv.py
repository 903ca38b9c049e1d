"""Convolutions with one kernel for all positions, and what every convolution of cnnjax shares."""

import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.linen.dtypes import promote_dtype
from jax import lax

from cnnjax import ops
from cnnjax.ops import geometry
from cnnjax.ops.window import Window, make_window, per_axis

Sizes = int | Sequence[int]


Initializer = Callable[[jax.Array, Sequence[int], jnp.dtype], jax.Array]


class ConvolutionLayer(nn.Module):
    """The arguments of every convolution, named as in `flax.linen.Conv`.

    A variant of your own can begin here: write `__call__`, and `predicted_lattice` if it has a
    symmetry. Any other Flax module whose constructor takes `features`, `kernel_size`, `strides` and
    `padding` does as well.
    """

    features: int
    """Number of output channels."""
    kernel_size: Sizes
    """Size of the kernel: one int for all spatial axes of x `[batch, *space, in]`, or one an axis;
    then x may have any number of leading axes."""
    strides: Sizes = 1
    """Input positions from one output position to the next."""
    padding: geometry.Padding = "SAME"
    """'SAME', 'VALID', 'FULL', 'CIRCULAR', 'REFLECT', an int, or one int or pair an axis."""
    input_dilation: Sizes = 1
    """Distance of the entries of x, after zeros were put between them."""
    kernel_dilation: Sizes = 1
    """Input positions from one kernel entry to the next."""
    feature_group_count: int = 1
    """Groups of channels that are convolved apart."""
    use_bias: bool = True
    """Whether to add a bias, banked like the kernel."""
    dtype: jnp.dtype | None = None
    """Type of the computation; None: what input and parameters promote to."""
    param_dtype: jnp.dtype = jnp.float32
    """Type of the parameters."""
    precision: lax.PrecisionLike = None
    """Precision of the products, as in `jax.lax`."""
    kernel_init: Initializer = nn.initializers.lecun_normal()
    """Initialiser of one kernel `[*window, in/groups, out]`; its fan-in is in/groups * window."""
    bias_init: Initializer = nn.initializers.zeros_init()
    """Initialiser of the bias."""

    def axes(self, x: jax.Array) -> int:
        """Number of spatial axes: as many as `kernel_size` has, or all but batch and channels."""
        return len(self.kernel_size) if isinstance(self.kernel_size, Sequence) else x.ndim - 2

    def window(self, x: jax.Array) -> Window:
        """The window of this layer over x, checked.

        Raises:
          ValueError: arguments that do not fit x or each other, with their values.
        """
        geometry.positive("features", self.features)
        axes = self.axes(x)
        if axes < 1 or x.ndim < axes + 1:
            raise ValueError(
                f"{type(self).__name__} with kernel_size {self.kernel_size!r} needs x "
                f"[batch, *space, channels], got shape {x.shape}."
            )
        geometry.check_groups(x.shape[-1], self.features, self.groups(x))
        return make_window(
            x.shape[-axes - 1 : -1],
            self.kernel_size,
            strides=self.strides,
            padding=self.padding,
            kernel_dilation=self.kernel_dilation,
            input_dilation=self.input_dilation,
            feature_group_count=self.groups(x),
        )

    def groups(self, x: jax.Array) -> int:
        """Groups of channels for this input."""
        del x
        return self.feature_group_count

    def refuse(self, *names: str) -> None:
        """Raise ValueError if any of these arguments, which this layer does not take, is not 1."""
        for name in names:
            if getattr(self, name) != 1:
                raise ValueError(
                    f"{type(self).__name__} takes no {name}, got {getattr(self, name)!r}."
                )

    def kernel_shape(self, x: jax.Array) -> tuple[int, ...]:
        """Shape of one kernel, `[*window, in/groups, out]`."""
        window = self.window(x)
        return (*window.kernel_size, x.shape[-1] // window.feature_group_count, self.features)

    def conv_options(self, x: jax.Array) -> dict:
        """The keyword arguments of the operators in `cnnjax.ops`."""
        return {
            "strides": self.strides,
            "padding": self.padding,
            "kernel_dilation": self.kernel_dilation,
            "input_dilation": self.input_dilation,
            "feature_group_count": self.groups(x),
            "precision": self.precision,
        }

    def bias(self, *bank: int) -> jax.Array | None:
        """The bias `[*bank, features]`, or None."""
        if not self.use_bias:
            return None
        return self.param("bias", self.bias_init, (*bank, self.features), self.param_dtype)

    def predicted_lattice(self, space: Sequence[int]) -> tuple[int, ...] | None:
        """The translations this layer commutes with exactly, predicted from its arguments.

        Args:
          space: sizes of the input's spatial axes, which shifts wrap around.

        Returns:
          The smallest step an axis, in input positions; the axis' size where only the zero shift is
          left; None where the layer makes no claim.
        """
        del space
        return None

    def lattice_of_tile(self, space: Sequence[int], tile: Sizes) -> tuple[int, ...]:
        """The lattice of a layer whose kernels repeat every `tile` output positions."""
        axes = len(space)
        window = per_axis("kernel_size", self.kernel_size, axes)
        dilations = per_axis("input_dilation", self.input_dilation, axes)
        # Also the zeros between dilated positions, of which there are none behind the last.
        pointwise = math.prod(window) == math.prod(dilations) == 1
        reads_border = not pointwise or self.padding not in ("SAME", "VALID", "FULL", 0)
        if reads_border and self.padding != "CIRCULAR":
            return tuple(space)
        strides = per_axis("strides", self.strides, axes)
        tiles = per_axis("tile", tile, axes)
        each = zip(space, strides, tiles, dilations, strict=True)
        return tuple(geometry.predicted_step(*axis) for axis in each)


class EveryShift(nn.Module):
    """A layer that commutes with every circular shift."""

    def predicted_lattice(self, space: Sequence[int]) -> tuple[int, ...]:
        """Every shift."""
        return (1,) * len(space)


def add_bias(z: jax.Array, bias: jax.Array | None) -> jax.Array:
    """Add a bias `[..., features]` to the last axes of z."""
    if bias is None:
        return z
    return z + jnp.expand_dims(bias, range(z.ndim - bias.ndim))


class Conv(ConvolutionLayer):
    """Standard convolution: one kernel for all positions; also strided, dilated and grouped.

        z[p, o] = bias[o]
                  + sum over a, c of x[p strides + a kernel_dilation - low, c] kernel[a, c, o]

    Parameters: kernel `[*window, in/groups, features]`, bias `[features]`.
    Symmetry under circular padding: every shift by `strides`.
    Source: Goodfellow, Bengio, Courville, Deep Learning, 2016, eq. 9.8.
    """

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `[*leading, *space, in]` to `[*leading, *out_space, features]`."""
        kernel = self.param("kernel", self.kernel_init, self.kernel_shape(x), self.param_dtype)
        x, kernel, bias = promote_dtype(x, kernel, self.bias(), dtype=self.dtype)
        return add_bias(ops.conv(x, kernel, **self.conv_options(x)), bias)

    def predicted_lattice(self, space: Sequence[int]) -> tuple[int, ...]:
        """Every shift by `strides`, under circular padding."""
        return self.lattice_of_tile(space, 1)


class DilatedConv(Conv):
    """`Conv` with 2 input positions between kernel entries: a larger receptive field for the same
    weights.

    Symmetry under circular padding: every shift by `strides`.
    Source: Yu & Koltun, Multi-scale context aggregation by dilated convolutions, 2016, eq. 2.
    """

    kernel_dilation: Sizes = 2


class DepthwiseConv(Conv):
    """`Conv` that keeps the channels apart: each makes features/in channels of its own.

    Parameters: kernel `[*window, 1, features]`, bias `[features]`; `features` must be a multiple of
    the input's channels.
    Symmetry under circular padding: every shift by `strides`.
    Source: Chollet, Xception: deep learning with depthwise separable convolutions, 2017.
    """

    def groups(self, x: jax.Array) -> int:
        """As many groups as channels."""
        return x.shape[-1]


class ConvTranspose(ConvolutionLayer):
    """Transposed convolution: `strides - 1` zeros between the entries of x, then a convolution.

    Parameters: kernel `[*window, in, features]`, or `[*window, features, in]` with
    `transpose_kernel`, and bias `[features]`. Values are those of `flax.linen.ConvTranspose`; with
    'CIRCULAR' and `transpose_kernel` they are exactly the transpose of `Conv`.
    Symmetry under circular padding: a shift of x by 1 shifts the output by `strides`.
    Source: Dumoulin & Visin, A guide to convolution arithmetic for deep learning, 2016, section 4.
    """

    transpose_kernel: bool = False
    """Flip the kernel and exchange its channels, as the transpose of a convolution does."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `[*leading, *space, in]` to `[*leading, *out_space, features]`."""
        geometry.positive("features", self.features)
        self.refuse("input_dilation", "feature_group_count")
        window = per_axis("kernel_size", self.kernel_size, self.axes(x))
        channels = (x.shape[-1], self.features)
        shape = (*window, *(reversed(channels) if self.transpose_kernel else channels))
        kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        x, kernel, bias = promote_dtype(x, kernel, self.bias(), dtype=self.dtype)
        options = self.conv_options(x)
        del options["input_dilation"], options["feature_group_count"]
        z = ops.conv_transpose(x, kernel, transpose_kernel=self.transpose_kernel, **options)
        return add_bias(z, bias)

    def predicted_lattice(self, space: Sequence[int]) -> tuple[int, ...]:
        """Every shift, under circular padding."""
        circular = self.padding == "CIRCULAR"
        return (1,) * len(space) if circular else tuple(space)


def per_kernel(initializer: Initializer, bank: Sequence[int]) -> Initializer:
    """Draw every kernel of a bank on its own, so that its fan-in is that of one window.

    `variance_scaling` takes all axes but the last two for the window: handed a whole bank of P
    kernels it starts each of them sqrt(P) too small.
    Returns an initialiser of `[*bank, *window, in, out]`.

    Args:
      initializer: of one kernel, `(key, [*window, in, out], dtype) -> array`; any.
      bank: shape of the bank, the leading axes of what is drawn.
    """
    count = math.prod(bank)

    def initialize(key: jax.Array, shape: Sequence[int], dtype=jnp.float32) -> jax.Array:
        keys = jax.random.split(key, count)
        one = tuple(shape[len(bank) :])
        kernels = jax.vmap(lambda each: initializer(each, one, dtype))(keys)
        return kernels.reshape(shape)

    return initialize


def as_matrix(initializer: Initializer, in_axes: int) -> Initializer:
    """Draw `[*in, *out]`, with `in_axes` axes in, as the matrix from all inputs to all outputs."""

    def initialize(key: jax.Array, shape: Sequence[int], dtype=jnp.float32) -> jax.Array:
        matrix = math.prod(shape[:in_axes]), math.prod(shape[in_axes:])
        return initializer(key, matrix, dtype).reshape(shape)

    return initialize
