"""Which translations, quarter turns and flips does a network keep, layer by layer, and which layer, stride, padding or pooling breaks each?

Every submodule of any Flax network is observed while noise and its transformed copies pass; each is
also measured alone, on its own input transformed. Then the network is tried at a range of image
sizes: strides keep some symmetries at some sizes only.

    python launch.py audit --model ResNet20                   a model of cnnjax, untrained
    python launch.py audit --model ConvNet --conv tiled       with a convolution of your choice
    python launch.py audit --model my_module:MyNet            your own Flax module, or
    python launch.py audit --model my_module:my_net           one that is made already
    python launch.py audit --model RUN_DIR                    a trained network

Time: seconds to a minute on 2 CPU cores; a network of dozens of layers takes minutes.

Expected of the default, a network of standard convolutions with circular padding and strides 1, 2
and 1: every shift by 2 is kept at even sizes, and broken by conv2, which strides, are shifts by 1;
conv1 breaks turns and flips, which no size repairs.
"""

import dataclasses
from pathlib import Path
from typing import Any

from cnnjax.models.choice import Convolution

OVERWRITE = True


@dataclasses.dataclass(frozen=True)
class Config:
    """What to audit, on which images."""

    model: str = "ConvNet"
    """A model by name, by import path package.module:Class, or the directory of a run."""
    conv: Convolution = Convolution("standard")
    """Convolution of a model that must be told which."""
    size: int | None = None
    """Height and width of the images; without it those that a run was trained on, or 32."""
    channels: int | None = None
    """Channels of the images; without it those that a run was trained on, or 3."""
    classes: int | None = None
    """Number of classes, where a model takes one; without it its own, or 10."""
    sizes: tuple[int, int] | None = None
    """First and last of the image sizes to try; without it from 8 below `size` to 8 above."""
    trust: tuple[str, ...] = ()
    """Import paths that the files of a run name, package.module:Class, whose code may be run."""
    network: str | None = None
    """Of a run of several networks, the name of the one to audit."""
    images: int = 2
    """Images of noise; with one alone, an array that is no image may pass for one."""
    tolerance: float = 1e-5
    """Largest relative error that counts as none: rounding."""
    seed: int = 0
    """Of the noise, and of the weights of an untrained network."""

    def __post_init__(self):
        for name in ("size", "channels", "classes", "images"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}.")
        if not 0 < self.tolerance < 1:
            raise ValueError(f"tolerance must lie between 0 and 1, got {self.tolerance}.")
        if self.sizes is not None and not 1 <= self.sizes[0] <= self.sizes[1]:
            raise ValueError(f"sizes must be a first and a last size, got {self.sizes}.")


PRESETS = {"smoke": Config(size=8, channels=1, sizes=(7, 9))}


def run(config: Config, record: Any) -> None:
    """Audit the network of the configuration, and write results and report."""
    from cnnjax.report.audit import write_report
    from cnnjax.run.config import InputError
    from cnnjax.symmetry.audit import audit, noise, over_sizes

    try:
        height, width, channels = _shape(config)
        x = noise((config.images, height, width, channels), config.seed)
        model, variables, weights = _network(config, x)
    except (ValueError, TypeError) as error:
        raise InputError(str(error)) from error
    trained = weights != "untrained"
    try:
        found = audit(model, variables, x, tolerance=config.tolerance)
    except ValueError as error:
        raise InputError(f"{config.model}: {error}") from error
    first, last = config.sizes or (max(1, height - 8), height + 8)
    sizes = over_sizes(
        model,
        variables,
        range(first, last + 1),
        channels,
        trained=trained,
        images=config.images,
        seed=config.seed,
        tolerance=config.tolerance,
    )
    results = {
        "model": config.model,
        "module": type(model).__name__,
        "weights": weights,
        "size": height,
        "channels": channels,
        "tolerance": config.tolerance,
        "stages": [_stage(stage) for stage in found.stages],
        "breaks": [
            {"transformation": name, "kept": at is None, **(_plain(at) if at else {})}
            for name, at in found.breaks.items()
        ],
        "sizes": [
            {"size": size, "problem": answer}
            if isinstance(answer, str)
            else {"size": size, "problem": None, **_response(answer)}
            for size, answer in sizes.items()
        ],
    }
    write_report(record.results(results), record)


def _shape(config: Config) -> tuple[int, int, int]:
    """Height, width and channels of the images."""
    from cnnjax.study.trained import input_shape, is_run

    trained_on = (32, 32, 3)
    if is_run(config.model):
        trained_on = input_shape(Path(config.model), config.network)
        if config.channels not in (None, trained_on[2]):
            raise ValueError(
                f"channels is {config.channels}, but {config.model} was trained on images of "
                f"{trained_on[2]}: take away --channels."
            )
    height, width, channels = trained_on
    return config.size or height, config.size or width, config.channels or channels


def _network(config: Config, x: Any) -> tuple[Any, Any, str]:
    """The network, its variables, and in words where these come from."""
    from cnnjax.study.refused import taking_images
    from cnnjax.study.trained import is_run, load_trained, make_model

    from cnnjax.symmetry.audit import generic, initialise

    chosen = None if config.conv == Convolution("standard") else config.conv
    if is_run(config.model):
        if chosen is not None or config.classes is not None:
            raise ValueError(
                f"{config.model} is a run: its convolution and its number of classes are given, "
                "take away --conv and --classes."
            )
        return load_trained(Path(config.model), x, network=config.network, trust=config.trust)
    model = make_model(config.model, chosen, classes=config.classes)
    with taking_images(type(model).__name__, x.shape[1:]):
        variables = initialise(model, x, config.seed)
    return model, generic(variables, config.seed), "untrained"


def _stage(stage: Any) -> dict[str, Any]:
    return {
        "path": stage.path,
        "module": stage.module,
        "attributes": {name: str(value) for name, value in stage.attributes.items()},
        "innermost": stage.innermost,
        "input_shape": stage.input_shape,
        "output_shape": stage.output_shape,
        "from_image": stage.response and _response(stage.response),
        "alone": stage.alone and _response(stage.alone),
    }


def _response(response: Any) -> dict[str, Any]:
    return {
        "lattice": response.lattice,
        "errors": response.errors,
        "kept": [name for name in response.errors if response.keeps(name)],
        "reordered": sorted(response.reordered),
    }


def _plain(at: Any) -> dict[str, Any]:
    attributes = {name: str(value) for name, value in at.attributes.items()}
    return {**dataclasses.asdict(at), "attributes": attributes}
