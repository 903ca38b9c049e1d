"""Layer under test, and the inputs it is tested with."""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from cnnjax.layers import Conv, ConvTranspose
from cnnjax.symmetry.observation import LEAST

SPACES = {1: (8,), 2: (8, 4), 3: (4, 2, 4)}
"""Sizes of the spatial axes of test inputs, by number of axes."""

PADDINGS = ("CIRCULAR", "SAME", "VALID")


@dataclasses.dataclass(frozen=True)
class Subject:
    """Layer under test, with the arguments and inputs it is tested with."""

    constructor: Callable[..., Any]
    """Function from `features, kernel_size, strides, padding` to a Flax module."""
    features: int = 8
    """Channels of the output."""
    channels: int = 4
    """Channels of the input."""
    kernel_size: int = 3
    """Kernel size on each axis."""
    seed: int = 0
    """Seed of parameters and noise."""

    def __str__(self) -> str:
        made = self.constructor
        given = made.keywords if isinstance(made, functools.partial) else {}
        made = made.func if isinstance(made, functools.partial) else made
        arguments = ", ".join(f"{key}={value!r}" for key, value in given.items())
        return f"{getattr(made, '__name__', made)}({arguments})"

    def layer(
        self, axes: int, strides: int | Sequence[int] = 1, padding: str | None = None, **more: Any
    ) -> Any:
        """Layer for this number of spatial axes."""
        arguments = {
            "features": self.features,
            "kernel_size": (self.kernel_size,) * axes,
            "strides": (strides,) * axes if isinstance(strides, int) else strides,
            "padding": self.padding if padding is None else padding,
        }
        return self.constructor(**{**arguments, **more})

    def input(self, axes: int, batch: int = 2, space: tuple[int, ...] | None = None) -> jax.Array:
        """Gaussian noise `[batch, *space, channels]`, by default of the sizes in `SPACES`."""
        shape = (batch, *(SPACES[axes] if space is None else space), self.channels)
        noise = np.random.default_rng(self.seed + 1).normal(size=shape)
        return jnp.asarray(noise, jnp.float32)

    def case(
        self,
        batch: int = 3,
        axes: int | None = None,
        strides: int = 1,
        padding: str | None = None,
        space: tuple[int, ...] | None = None,
    ) -> tuple[Any, Any, jax.Array]:
        """Layer, its variables and its input; by default with the usual number of axes.

        The variables are those that the layer reads, not what it sows, with noise added: initial
        biases of zero hide mistakes. Cases whose parameters have equal shapes, and that have no
        other variables, share them.
        """
        axes = self.usual if axes is None else axes
        padding = self.padding if padding is None else padding
        layer, x = self.layer(axes, strides, padding), self.input(axes, batch, space)
        key = axes, strides, padding, space
        if key not in self._variables:
            self._variables[key] = self._drawn(layer, x)
        return layer, self._variables[key], x

    @functools.cached_property
    def compiled(self) -> Callable[..., jax.Array]:
        """Compiled function from variables and input to the output of the layer of `case()`."""
        return jax.jit(self.case()[0].apply)

    def _drawn(self, layer: Any, x: jax.Array) -> Any:
        """Variables of a layer, as `case` describes them."""
        draw, key = jax.jit(layer.init, compiler_options=LEAST), jax.random.key(self.seed)
        shapes = draw.eval_shape(key, x)
        leaves, tree = jax.tree.flatten(shapes)
        known = tree, tuple((leaf.shape, leaf.dtype) for leaf in leaves)
        if known in self._parameters:
            return self._parameters[known]
        noise = np.random.default_rng(self.seed + 2)
        drawn = jax.device_get(draw(key, x))
        variables = jax.tree.map(
            lambda leaf: jnp.asarray(leaf + 0.3 * noise.normal(size=leaf.shape), leaf.dtype),
            {name: each for name, each in drawn.items() if reads(layer, drawn, name, x)},
        )
        if set(shapes) == {"params"}:
            self._parameters[known] = variables
        return variables

    @functools.cached_property
    def _variables(self) -> dict[tuple, Any]:
        return {}

    @functools.cached_property
    def _parameters(self) -> dict[tuple, Any]:
        return {}

    @functools.cached_property
    def padding(self) -> str:
        """Padding of most checks: 'CIRCULAR' if the layer accepts it, else 'SAME'."""
        takes = [axes for axes in SPACES if self.refusal(axes, 1, "CIRCULAR") is None]
        return "CIRCULAR" if takes else "SAME"

    @functools.cached_property
    def dimensions(self) -> list[int]:
        """Numbers of spatial axes that the layer accepts.

        Raises:
          ValueError: there are none.
        """
        refusals = {axes: self.refusal(axes, 1, self.padding) for axes in SPACES}
        if all(refusals.values()):
            raise ValueError(
                f"the layer accepts no input with 1, 2 or 3 spatial axes; with 2: {refusals[2]}"
            )
        return [axes for axes, refusal in refusals.items() if refusal is None]

    @property
    def usual(self) -> int:
        """Number of spatial axes for checks that need only one."""
        return 2 if 2 in self.dimensions else self.dimensions[0]

    @functools.cached_property
    def sizes(self) -> tuple[str, list[str], list[str]]:
        """Sizes of the outputs, compared with those of the standard layers.

        The standard layers have the same input and kernel dilation.

        Returns:
          'convolution' or 'transposed convolution', whichever agrees in more cases; a message for
          each case that differs; the cases for which the layer raises ValueError.
        """
        outputs, refused = {}, []
        for case in self._cases():
            try:
                outputs[case] = self._output(case)
            except ValueError:
                refused.append(str(case))
        made = self.layer(self.usual)
        dilations = {
            name: getattr(made, name)
            for name in ("kernel_dilation", "input_dilation")
            if getattr(made, name, 1) not in (1, None)
        }
        kinds = {}
        for kind, module in {"convolution": Conv, "transposed convolution": ConvTranspose}.items():
            channels = self.features, self.channels
            expected = {
                case: _standard_output(module, tuple(dilations.items()), *channels, case)
                for case in outputs
            }
            kinds[kind] = [
                f"{case} gives shape {shape}, not {expected[case]}"
                for case, shape in outputs.items()
                if shape != expected[case]
            ]
        kind = min(kinds, key=lambda kind: len(kinds[kind]))
        return kind, kinds[kind], refused

    def _cases(self) -> list["Case"]:
        """Cases: even and odd sizes, kernel sizes and strides that differ between axes,
        dilation."""
        size = self.kernel_size
        cases = [
            Case(SPACES[axes], (size,) * axes, (strides,) * axes, padding)
            for axes, strides, padding in itertools.product(self.dimensions, (1, 2), PADDINGS)
            if not (axes == 3 and padding == "VALID")  # no kernel fits the small volume
        ]
        axes = self.usual
        space, window = (2 * size + 1, 2 * size - 1, 2 * size)[:axes], (size, size - 1 or 1, size)
        for strides, padding in itertools.product(((2, 1, 1), (1, 2, 2)), PADDINGS):
            cases.append(Case(space, window[:axes], strides[:axes], padding))
        if getattr(self.layer(axes), "kernel_dilation", None) == 1:
            space = (2 * size + 1,) * axes
            cases.append(Case(space, (size,) * axes, (1,) * axes, "VALID", dilation=2))
        return cases

    def refusal(self, axes: int, strides: int, padding: str) -> str | None:
        """Error message of the layer for these arguments, or None."""
        try:
            self._output(Case(SPACES[axes], (self.kernel_size,) * axes, (strides,) * axes, padding))
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return None

    def _output(self, case: "Case") -> tuple[int, ...]:
        """Shape of the output."""
        more = {} if case.dilation == 1 else {"kernel_dilation": case.dilation}
        layer = self.layer(
            len(case.space), case.strides, case.padding, kernel_size=case.kernel_size, **more
        )
        return output_shape(layer, (2, *case.space, self.channels))


class Case(NamedTuple):
    """Sizes of an input, and arguments of a convolution of it."""

    space: tuple[int, ...]
    kernel_size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: str
    dilation: int = 1

    def __str__(self) -> str:
        dilation = "" if self.dilation == 1 else f", dilation {self.dilation}"
        return (
            f"{self.padding} window {extent(self.kernel_size)} strides {extent(self.strides)}"
            f"{dilation} on {extent(self.space)}"
        )


@functools.lru_cache(maxsize=1024)
def _standard_output(
    module: Any, dilations: tuple[tuple[str, Any], ...], features: int, channels: int, case: Case
) -> tuple[int, ...]:
    """Shape of the output of a standard layer: the same for every layer under test."""
    constructor = functools.partial(module, **dict(dilations))
    return Subject(constructor, features, channels)._output(case)


def extent(sizes: Sequence[int]) -> str:
    """Sizes or steps of the axes as text, '8 x 4'."""
    return " x ".join(map(str, sizes))


def drawn_once(draw: Callable[..., Any]) -> Callable[..., Any]:
    """Compiled function of a random key, as NumPy arrays.

    XLA takes many times longer to compile random numbers well than to draw these few.
    """
    cheaply = jax.jit(draw, compiler_options=LEAST)
    return lambda *arguments: jax.device_get(cheaply(*arguments))


def reads(layer: Any, variables: Any, name: str, x: jax.Array) -> bool:
    """Whether a layer reads a collection of its variables, rather than sows into it."""
    others = {other: values for other, values in variables.items() if other != name}
    try:
        jax.eval_shape(layer.apply, others, x)
    except Exception:  # of flax, or of the layer, whichever looks for it first
        return True
    return False


def output_shape(layer: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of the output of a layer for an input of this shape; nothing is computed."""
    x = jax.ShapeDtypeStruct(shape, jnp.float32)
    output, _ = jax.eval_shape(layer.init_with_output, jax.random.key(0), x)
    return output.shape
