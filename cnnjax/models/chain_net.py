"""A network that is a chain of layers, so that each layer's part in what it does can be told."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args

import jax
from flax import linen as nn

from cnnjax.layers.alias_free import IdealDownsample, PolynomialActivation
from cnnjax.layers.blur_pool import MaxBlurPool
from cnnjax.layers.conv import Conv
from cnnjax.layers.polyphase import AdaptivePolyphase
from cnnjax.layers.pool import AveragePool, GlobalAveragePool, MaxPool

Activation = Literal["relu", "gelu", "polynomial"]
Downsampling = Literal["max", "average", "strided", "blur", "adaptive", "ideal"]


class Stage(NamedTuple):
    """A layer of a chain."""

    name: str
    """Unique in the network, under which its parameters are."""
    kind: str
    """convolution, nonlinearity, downsampling or readout."""
    layer: Callable[..., Any]
    """From `[batch, *space, channels]` to the next layer's input."""


class ChainNet(nn.Module):
    """Convolution, activation and halving of the image, several times; then the mean over all
    positions and a classifier.

    Everything is circular. Symmetry of the logits: all circular shifts by 2 ** len(features); with
    'polynomial' and 'ideal' every translation of a band-limited image, by fractions of a pixel too
    (Michaeli, Michaeli, Soudry, Alias-free convnets, 2023), if the convolution shares its kernel.
    """

    classes: int
    """Number of classes."""
    activation: Activation = "relu"
    """relu, gelu, or polynomial: `PolynomialActivation`, which does not alias."""
    downsampling: Downsampling = "max"
    """How to halve: the largest or the mean of 2 x 2; strided: the convolution visits every second
    position; blur: `MaxBlurPool`; adaptive: `AdaptivePolyphase` after the largest of 2 x 2; ideal:
    `IdealDownsample`."""
    features: Sequence[int] = (16, 32, 32)
    """Channels of each convolution."""
    conv: Callable[..., nn.Module] = Conv
    """Constructor of a convolution, called with `features, kernel_size, strides, padding, name`."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Map images `[batch, height, width, channels]` to logits `[batch, classes]`."""
        del train
        for stage in self.stages():
            x = stage.layer(x)
        return x

    @nn.nowrap
    def stages(self) -> list[Stage]:
        """The layers, in order.

        Raises:
          ValueError: another activation or downsampling.
        """
        for name, known in (("activation", Activation), ("downsampling", Downsampling)):
            value = getattr(self, name)
            if value not in get_args(known):
                raise ValueError(
                    f"{name} must be one of {', '.join(get_args(known))}, got {value!r}."
                )
        stages = []
        strides = 2 if self.downsampling == "strided" else 1
        for number, features in enumerate(self.features, start=1):
            name = f"conv{number}"
            convolution = self.conv(
                features=features,
                kernel_size=(3, 3),
                strides=(strides, strides),
                padding="CIRCULAR",
                name=name,
            )
            stages.append(Stage(name, "convolution", convolution))
            name = f"{self.activation}{number}"
            stages.append(Stage(name, "nonlinearity", self._activation(name)))
            if self.downsampling != "strided":
                halve = self._halving()
                stages.append(Stage(f"{self.downsampling}{number}", "downsampling", halve))
        stages.append(Stage("mean", "readout", GlobalAveragePool(name="mean")))
        classifier = nn.Dense(self.classes, name="classifier")
        return [*stages, Stage("classifier", "readout", classifier)]

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
    def _halving(self) -> Callable[..., Any]:
        match self.downsampling:
            case "max":
                return MaxPool(2, 2, padding="CIRCULAR")
            case "average":
                return AveragePool(2, 2, padding="CIRCULAR")
            case "blur":
                return MaxBlurPool(padding="CIRCULAR")
            case "ideal":
                return IdealDownsample()
        densest, chosen = MaxPool(2, padding="CIRCULAR"), AdaptivePolyphase()
        return lambda x: chosen(densest(x))
