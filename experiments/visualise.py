"""What has a network learned to see: its filters, feature maps, preferred inputs, and what its decisions rest on?

Filters of the first layer with the Gabor functions nearest to them; feature maps of one image layer
by layer; images that units of every layer answer most, found by gradient ascent, beside the patches
of real images that they answer most; saliency and occlusion of single decisions.

    python launch.py train --workdir runs/digits
    python launch.py visualise runs/digits                   under a minute
    python launch.py visualise PlainNet                      untrained, for comparison
    python launch.py visualise smoke                         seconds

Expected: filters, patches and preferred inputs of a trained network show strokes where an untrained
one shows noise; saliency and occlusion lie on the digit.
"""

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import tyro

OVERWRITE = True


@dataclasses.dataclass(frozen=True)
class Config:
    """Which network, on which images."""

    model: Annotated[str, tyro.conf.Positional] = "PlainNet"
    """The directory of a run, or a network of cnnjax.models, or package.module:Class."""
    network: str | None = None
    """Of a run of several networks, the name of the one to see."""
    trust: tuple[str, ...] = ()
    """Import paths that the files of a run name, package.module:Class, whose code may be run."""
    data: str = "digits"
    """TFDS name of the data set; of a run its own."""
    data_dir: str | None = None
    """Where prepared data sets are; without it TFDS_DATA_DIR, or else the folder of TFDS."""
    size: int | None = None
    """Side in pixels that images are resized to; of a run its own."""
    layers: int = 4
    """Layers with space whose units are shown, evenly spread over the network."""
    units: int = 6
    """Units of each layer."""
    images: int = 5
    """Test images whose decisions are explained."""
    searched_images: int = 1000
    """Test images among which patches are found."""
    steps: int = 128
    """Of gradient ascent."""
    seed: int = 0
    """Of gradient ascent, and of the weights of an untrained network."""

    def __post_init__(self):
        for name in ("layers", "units", "images", "searched_images", "steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}.")
        if self.size is not None and self.size < 1:
            raise ValueError(f"size must be at least 1, got {self.size}.")


PRESETS = {"smoke": Config(layers=2, units=2, images=2, searched_images=100, steps=8)}


def run(config: Config, record: Any) -> None:
    """Look into the network, and write results and report."""
    from cnnjax.study.seeing import see

    from cnnjax.report.visualise import write_report
    from cnnjax.run.config import InputError

    try:
        model, variables, weights, task = _network(config)
    except ValueError as error:
        raise InputError(str(error)) from error
    results = see(
        model,
        variables,
        task,
        layers=config.layers,
        units=config.units,
        images=config.images,
        searched_images=config.searched_images,
        steps=config.steps,
        seed=config.seed,
    )
    results = {
        "model": config.model,
        "module": type(model).__name__,
        "weights": weights,
        "data": task.dataset.name,
        **results,
    }
    write_report(record.results(results), record)


def _network(config: Config) -> tuple[Any, Any, str, Any]:
    """The network, its variables, in words where these come from, and its data."""
    import jax
    import numpy as np
    from cnnjax.study import as_images
    from cnnjax.study.of_run import data_of_run
    from cnnjax.study.trained import input_shape, is_run, load_trained, make_model

    from cnnjax.train.config import TrainConfig

    if is_run(config.model):
        directory = Path(config.model)
        side, _, _ = input_shape(directory, config.network)
        task = data_of_run(directory, config.data_dir, side)
        x = task.place(task.dataset.test.read(np.arange(2))[0])
        return *load_trained(directory, x, network=config.network, trust=config.trust), task
    task = as_images(config.data, config.data_dir, TrainConfig(), size=config.size)
    model = make_model(config.model, classes=task.dataset.num_classes)
    x = task.place(task.dataset.test.read(np.arange(2))[0])
    task.check(model)
    return model, model.init(jax.random.key(config.seed), x), "untrained", task
