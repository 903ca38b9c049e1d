"""What are the volumes, parameters, multiply-adds and receptive field of every layer of a network?

Nothing is computed: the network is traced, so that the largest takes seconds on any machine.

    python launch.py architecture VGG16
    python launch.py architecture ResNet50 --conv tiled --conv.tile 2
    python launch.py architecture my_package.my_module:Network --image-shape 64 64 1
    python launch.py architecture smoke                                     LeNet-5, a few seconds

Expected: VGG16 has 138,357,544 parameters and 15.5 thousand million multiply-adds an image, nine
tenths of the former in three fully connected layers, nearly all of the latter in the convolutions;
its last pooling sees 212 pixels.
"""

import dataclasses
from typing import Annotated, Any

import tyro

from cnnjax.models.choice import Convolution

OVERWRITE = True


@dataclasses.dataclass(frozen=True)
class Config:
    """Which network, built of what, for which images."""

    model: Annotated[str, tyro.conf.Positional] = "VGG16"
    """A network of cnnjax.models, or package.module:Class."""
    conv: tuple[Convolution, ...] = ()
    """One convolution in the place of the network's own, by name or import path."""
    image_shape: tuple[int, ...] = ()
    """Height, width and channels; without it those the network was published for, or 224 224 3."""

    def __post_init__(self):
        if len(self.conv) > 1:
            raise ValueError(f"A network has one convolution, got {[str(c) for c in self.conv]}.")
        if self.image_shape and (len(self.image_shape) < 2 or min(self.image_shape) < 1):
            raise ValueError(
                f"image_shape must be sizes of space and channels, each at least 1, got "
                f"{self.image_shape}."
            )


PRESETS = {"smoke": Config(model="LeNet5")}


def run(config: Config, record: Any) -> None:
    """Trace the network, and print and draw its layers."""
    from cnnjax.study.architecture import cost_of, layers_of
    from cnnjax.study.refused import taking_images
    from cnnjax.study.trained import make_model

    from cnnjax.report.architecture import text, write_report
    from cnnjax.run.config import InputError

    try:
        model = make_model(config.model, config.conv[0] if config.conv else None)
    except ValueError as error:
        raise InputError(str(error)) from error
    shape = config.image_shape or getattr(model, "image_shape", (224, 224, 3))
    with taking_images(config.model, shape):
        layers = [dataclasses.asdict(layer) for layer in layers_of(model, shape)]
        parameters, multiply_adds = cost_of(model, shape)
    results = record.results(
        {
            "model": config.model,
            "conv": [str(convolution) for convolution in config.conv],
            "image_shape": shape,
            "parameters": parameters,
            "multiply_adds": multiply_adds,
            "layers": layers,
        }
    )
    print(text(results), flush=True)
    write_report(results, record)
