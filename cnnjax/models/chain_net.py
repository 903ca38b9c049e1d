"""A network that is a chain of layers, so that what each layer contributes can be measured."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
from flax import linen as nn

from cnnjax.layers.alias_free import IdealDownsample, PolynomialActivation
from cnnjax.layers.blur_pool import MaxBlurPool
from cnnjax.layers.conv import Conv
from cnnjax.layers.polyphase import AdaptivePolyphase, LearnablePolyphase
from cnnjax.layers.pool import AveragePool, GlobalAveragePool, MaxPool
from cnnjax.ops.pool import global_max_pool, max_pool

Activation = Literal["relu", "gelu", "polynomial"]
Downsampling = Literal["max", "average", "strided", "blur", "adaptive", "learnable", "ideal"]
Readout = Literal["mean", "max"]
Border = Literal["circular", "zero"]


class Stage(NamedTuple):
    """A layer of a chain."""

    name: str
    """Unique in the network, under which its parameters are."""
    kind: str
    """convolution, nonlinearity, downsampling or readout."""
    layer: Callable[..., Any]
    """From `[batch, *space, channels]` to the next layer's input."""


class ChainNet(nn.Module):
    """Convolution, activation and halving of the image, several times; then the mean or the maximum
    over all positions and a classifier.

    With the circular border a circular shift loses nothing there: what it changes was lost by the
    halving.
    Symmetry of the logits with the circular border, if the convolution shares its kernel: all
    circular shifts by 2 ** len(features), exactly; with 'adaptive' and, in evaluation, 'learnable'
    all circular shifts; with 'polynomial', 'ideal' and 'mean' every translation of a band-limited
    image, by fractions of a pixel too (Michaeli, Michaeli, Soudry, Alias-free convnets, 2023).
    """

    classes: int
    """Number of classes."""
    activation: Activation = "relu"
    """relu, gelu, or polynomial: `PolynomialActivation`, which does not alias."""
    downsampling: Downsampling = "max"
    """How to halve: the maximum or the mean of 2 x 2; strided: the convolution visits every second
    position; blur: `MaxBlurPool`; adaptive, learnable: `AdaptivePolyphase`, `LearnablePolyphase`
    after the maximum of 2 x 2 at stride 1; ideal: `IdealDownsample`."""
    features: Sequence[int] = (16, 32, 32)
    """Channels of each convolution."""
    readout: Readout = "mean"
    """What the classifier sees of each channel: its mean or its maximum over all positions."""
    kernel_size: int = 3
    """Height and width of every kernel."""
    border: Border = "circular"
    """What lies beyond the border: the opposite edge, or zeros. The layers of 'ideal' and the score
    of 'learnable' are circular in any case."""
    residual: bool = False
    """Whether a second convolution follows every activation, to whose output a projection (1 x 1)
    of the first one's input is added, with an activation of the sum: a residual block."""
    conv: Callable[..., nn.Module] = Conv
    """Constructor of a convolution, called with `features, kernel_size, strides, padding, name`."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Map images `[batch, height, width, channels]` to logits `[batch, classes]`.

        Raises:
          ValueError: another activation, downsampling or readout, or sizes that 2 ** len(features)
            does not divide.
        """
        step = 2 ** len(self.features)
        if any(size % step for size in x.shape[1:-1]):
            raise ValueError(
                f"Height and width must be multiples of {step} for {len(self.features)} halvings, "
                f"got {x.shape[1:-1]}."
            )
        for stage in self.stages():
            learnable = isinstance(stage.layer, LearnablePolyphase)
            x = stage.layer(x, train=train) if learnable else stage.layer(x)
        return x

    @nn.nowrap
    def stages(self) -> list[Stage]:
        """The layers, in order.

        Raises:
          ValueError: another activation, downsampling or readout.
        """
        known = {
            "activation": Activation,
            "downsampling": Downsampling,
            "readout": Readout,
            "border": Border,
        }
        for name, choices in known.items():
            value = getattr(self, name)
            if value not in get_args(choices):
                raise ValueError(
                    f"`{name}` must be one of {', '.join(get_args(choices))}, got {value!r}."
                )
        stages = []
        strides = 2 if self.downsampling == "strided" else 1
        for number, features in enumerate(self.features, start=1):
            name = f"conv{number}"
            convolution = self._convolution(features, strides)
            if self.residual:
                fork = _Fork(convolution, features, strides, name=name)
                stages.append(Stage(name, "convolution", fork))
                name = f"{self.activation}{number}_inner"
                stages.append(Stage(name, "nonlinearity", _FirstHalf(self.activation, name=name)))
                name = f"conv{number}_sum"
                joined = _Sum(self._convolution(features, 1), name=name)
                stages.append(Stage(name, "convolution", joined))
            else:
                stages.append(Stage(name, "convolution", convolution(name=name)))
            name = f"{self.activation}{number}"
            stages.append(Stage(name, "nonlinearity", _activation(self.activation, name)))
            if self.downsampling != "strided":
                learnable = self.downsampling == "learnable"
                name = f"{'polyphase' if learnable else self.downsampling}{number}"
                stages.append(Stage(name, "downsampling", self._halving(name)))
        pool = GlobalAveragePool(name="mean") if self.readout == "mean" else global_max_pool
        classifier = nn.Dense(self.classes, name="classifier")
        return [
            *stages,
            Stage(self.readout, "readout", pool),
            Stage("classifier", "readout", classifier),
        ]

    @nn.nowrap
    def chain(self, params: Mapping[str, Any]) -> list[Stage]:
        """The layers as functions of their input alone, with these parameters."""

        def bound(stage: Stage) -> Stage:
            if not isinstance(stage.layer, nn.Module):
                return stage
            variables = {"params": params.get(stage.name, {})}
            module = stage.layer.clone(name=None)
            return stage._replace(layer=lambda x: module.apply(variables, x))

        return [bound(stage) for stage in self.stages()]

    @nn.nowrap
    def _convolution(self, features: int, strides: int) -> Callable[..., nn.Module]:
        """Constructor of a convolution, all but its name."""
        beyond = (self.kernel_size - 1) // 2, self.kernel_size // 2
        return functools.partial(
            self.conv,
            features=features,
            kernel_size=(self.kernel_size,) * 2,
            strides=(strides, strides),
            padding="CIRCULAR" if self.border == "circular" else (beyond, beyond),
        )

    @nn.nowrap
    def _halving(self, name: str) -> Callable[..., Any]:
        padding = "CIRCULAR" if self.border == "circular" else "SAME"
        match self.downsampling:
            case "max":
                return MaxPool(2, 2, padding="CIRCULAR")
            case "average":
                return AveragePool(2, 2, padding="CIRCULAR")
            case "blur":
                return MaxBlurPool(padding=padding)
            case "ideal":
                return IdealDownsample()
            case "learnable":
                return _MaxThenLearnable(padding=padding, name=name)
        densest, chosen = MaxPool(2, padding=padding), AdaptivePolyphase()
        return lambda x: chosen(densest(x))


def _activation(kind: Activation, name: str) -> Callable[..., Any]:
    if kind == "polynomial":
        return PolynomialActivation(name=name)
    return nn.relu if kind == "relu" else nn.gelu


class _MaxThenLearnable(LearnablePolyphase):
    """`LearnablePolyphase` after the maximum of 2 x 2 at stride 1."""

    padding: str = "CIRCULAR"
    """Padding of the maximum."""

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        return super().__call__(max_pool(x, 2, padding=self.padding), train=train)


class _Fork(nn.Module):
    """A convolution and, in the channels after its own, the projection of its input."""

    convolution: Callable[..., nn.Module]
    """Constructor of the convolution, all but its name."""
    features: int
    strides: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        project = Conv(self.features, 1, strides=self.strides, use_bias=False, name="projection")
        return jnp.concatenate([self.convolution(name="conv")(x), project(x)], -1)


class _FirstHalf(nn.Module):
    """An activation of the first half of the channels."""

    activation: Activation

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        first, second = jnp.split(x, 2, -1)
        return jnp.concatenate([_activation(self.activation, "activation")(first), second], -1)


class _Sum(nn.Module):
    """A convolution of the first half of the channels, plus the second half."""

    convolution: Callable[..., nn.Module]
    """Constructor of the convolution, all but its name."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        first, second = jnp.split(x, 2, -1)
        return self.convolution(name="conv")(first) + second
