"""Group convolutions, whose features rotate with the image, after Cohen and Welling."""

from collections.abc import Sequence

import jax
from flax import linen as nn
from flax.linen.dtypes import promote_dtype

from cnnjax.layers.conv import ConvolutionLayer, add_bias
from cnnjax.ops.group_convolution import group_conv, group_pool, lifting_conv
from cnnjax.ops.window import per_axis


class GroupLayer(ConvolutionLayer):
    """What both kinds of group convolution share: two spatial axes, alike."""

    def axes(self, x: jax.Array) -> int:
        """Two spatial axes."""
        del x
        return 2

    def conv_options(self, x: jax.Array) -> dict:
        """The keyword arguments of the operators, checked for images `[..., height, width, in]`."""
        self.refuse("input_dilation", "feature_group_count")
        height, width = per_axis("kernel_size", self.kernel_size, 2)
        if height != width:
            raise ValueError(
                f"{type(self).__name__} rotates its kernel: kernel_size must be the same on both "
                f"axes, got {self.kernel_size!r}."
            )
        options = super().conv_options(x)
        del options["input_dilation"], options["feature_group_count"]
        return options

    def predicted_lattice(self, space: Sequence[int]) -> tuple[int, ...]:
        """Every shift by `strides`, under circular padding."""
        return self.lattice_of_tile(space, 1)


class LiftingConv(GroupLayer):
    """First layer of a group network: image to regular features, a copy of the kernel an element.

        z[p, g, o] = bias[o] + sum over a, c of x[p strides + a, c] kernel[g^-1 a, c, o]

    Parameters: kernel `[side, side, in, features]`, bias `[features]`, shared by the group.
    Symmetry: rotations of x by 90 degrees (and reflections) rotate the output and permute its group
    axis, exactly on axes where `cnnjax.ops.turns_exactly` holds: at stride 1 every size, for an odd
    window; 'SAME' at stride 2 odd sizes only. Circular shifts as for `Conv`.
    Batch normalisation: `nn.BatchNorm` as it is, one mean and standard deviation a channel over the
    group.
    Source: Cohen & Welling, Group equivariant convolutional networks, 2016, eq. 10.
    """

    group: int = 4
    """Elements of the group: 4, rotations by 90 degrees (p4); 8, reflections, too (p4m)."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `[*leading, height, width, in]` to `[*leading, *out, group, features]`."""
        arguments = self.conv_options(x)
        kernel = self.param("kernel", self.kernel_init, self.kernel_shape(x), self.param_dtype)
        x, kernel, bias = promote_dtype(x, kernel, self.bias(), dtype=self.dtype)
        return add_bias(lifting_conv(x, kernel, group=self.group, **arguments), bias)


class GroupConv(GroupLayer):
    """Convolution over positions and group, from regular features to regular features.

        z[p, g, o] = bias[o]
                     + sum over a, h, c of x[p strides + a, h, c] kernel[g^-1 a, g^-1 h, c, o]

    The group, rotations by 90 degrees (p4) or reflections, too (p4m), is that of the input.
    Parameters: kernel `[side, side, group, in, features]`, whose fan-in counts the group's
    elements, and bias `[features]`, shared by the group.
    Symmetry: rotated (and reflected) regular features give those of the output, exactly on axes
    where `cnnjax.ops.turns_exactly` holds, see `LiftingConv`. Circular shifts as for `Conv`.
    Source: Cohen & Welling, Group equivariant convolutional networks, 2016, eq. 11.
    """

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `[*leading, height, width, group, in]` to `[*leading, *out, group, features]`."""
        if x.ndim < 4:
            raise ValueError(
                f"GroupConv needs x [*leading, height, width, group, channels], got shape "
                f"{x.shape}; LiftingConv makes it from an image."
            )
        images = x[..., 0, :]  # for its shape
        arguments = self.conv_options(images)
        side, _, *channels = self.kernel_shape(images)
        shape = (side, side, x.shape[-2], *channels)
        kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        x, kernel, bias = promote_dtype(x, kernel, self.bias(), dtype=self.dtype)
        return add_bias(group_conv(x, kernel, **arguments), bias)


class GroupPool(nn.Module):
    """Pooling over the group: `[..., group, channels]` to `[..., channels]`.

    Symmetry: the output rotates as an image does; after pooling over all positions too, it is
    invariant.
    Source: Cohen & Welling, Group equivariant convolutional networks, 2016, section 6.3.
    """

    reduction: str = "max"
    """'max' or 'mean'."""

    def __call__(self, x: jax.Array) -> jax.Array:
        """Reduce the group axis, the last but one."""
        return group_pool(x, self.reduction)
