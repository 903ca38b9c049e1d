"""A network that is a chain of layers, so that what each layer contributes can be measured."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args

import jax
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

    Everything is circular, so that a circular shift loses nothing at the border: what it changes
    was lost by the halving.
    Symmetry of the logits, if the convolution shares its kernel: all circular shifts by
    2 ** len(features), exactly; with 'adaptive' and, in evaluation, 'learnable' all circular
    shifts; with 'polynomial', 'ideal' and 'mean' every translation of a band-limited image, by
    fractions of a pixel too (Michaeli, Michaeli, Soudry, Alias-free convnets, 2023).
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
        known = {"activation": Activation, "downsampling": Downsampling, "readout": Readout}
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
            convolution = self.conv(
                features=features,
                kernel_size=(self.kernel_size,) * 2,
                strides=(strides, strides),
                padding="CIRCULAR",
                name=name,
            )
            stages.append(Stage(name, "convolution", convolution))
            name = f"{self.activation}{number}"
            stages.append(Stage(name, "nonlinearity", self._activation(name)))
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
    def _activation(self, name: str) -> Callable[..., Any]:
        if self.activation == "polynomial":
            return PolynomialActivation(name=name)
        return nn.relu if self.activation == "relu" else nn.gelu

    @nn.nowrap
    def _halving(self, name: str) -> Callable[..., Any]:
        match self.downsampling:
            case "max":
                return MaxPool(2, 2, padding="CIRCULAR")
            case "average":
                return AveragePool(2, 2, padding="CIRCULAR")
            case "blur":
                return MaxBlurPool(padding="CIRCULAR")
            case "ideal":
                return IdealDownsample()
            case "learnable":
                return _MaxThenLearnable(name=name)
        densest, chosen = MaxPool(2, padding="CIRCULAR"), AdaptivePolyphase()
        return lambda x: chosen(densest(x))


class _MaxThenLearnable(LearnablePolyphase):
    """`LearnablePolyphase` after the maximum of 2 x 2 at stride 1."""

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        return super().__call__(max_pool(x, 2, padding="CIRCULAR"), train=train)
