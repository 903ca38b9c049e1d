"""How accurately does a network classify a data set, and which errors does it make?

Any network of cnnjax, or your own Flax module, is trained on any data set by its TFDS name, once
for each seed. During training it is evaluated on validation images, which are held out of the
training images; test images are read once, at the end.

    python launch.py train                                            PlainNet on digits, a minute
    python launch.py train --model ResNet20 --data cifar10 --size 32
    python launch.py train --model my_module:MyNet --data mnist --data-dir DIR
    python launch.py train --model LeNet5 --size 32 --augmentation.rotation 10
    python launch.py train --model ResNet50 --data imagenet2012 --from-disk --size 224 ...
    python launch.py train --model ResNet50 --weights FILE --data imagenet2012 ...   fine-tuned
    python launch.py train smoke                                      seconds

`launch.py visualise RUN_DIR` and `launch.py audit --model RUN_DIR` look into what it leaves.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated

from cnnjax.data.augmentation_config import Augmentation
from cnnjax.models.choice import Convolution
from cnnjax.run.config import Distinct, Positive, Requirement, Seed, StudyConfig
from cnnjax.run.lazy import lazy_imports
from cnnjax.run.observations import Observations
from cnnjax.run.record import Record
from cnnjax.train.config import TrainConfig

with lazy_imports():
    from cnnjax import report, tasks


@dataclasses.dataclass(frozen=True)
class Config(StudyConfig):
    """Which network, on which images, how trained."""

    model: str = "PlainNet"
    """Network of cnnjax.models, or package.module:Class."""
    conv: Annotated[
        tuple[Convolution, ...], Requirement(lambda some: len(some) < 2, "at most one convolution")
    ] = ()
    """Convolution in the place of the network's own, by name or import path."""
    weights: str | None = None
    """File of weights with torchvision's names, .safetensors or .npz, from which training starts;
    images are then standardised as for ImageNet."""
    size: Positive | None = None
    """Height and width in pixels that images are resized to; by default they stay as they are."""
    from_disk: bool = False
    """Examples are read as they are needed, as for ImageNet; by default the whole data set is in
    memory. Images are scaled to cover squares of --size, and cropped to their middle."""
    channels: Positive | None = None
    """Number of channels; 3 repeats those of grey images, for networks that take colour."""
    augmentation: Augmentation = Augmentation()
    """Random changes of training images."""
    validation_images: Positive | None = None
    """Training images that are held out, each class in proportion, the same for every seed; by
    default a sixth, at most 5,000."""
    seeds: Distinct[Seed] = (0,)
    """Seeds; for each a network is trained."""
    train: TrainConfig = TrainConfig(
        steps=300,
        batch_size=64,
        learning_rate=3e-3,
        warmup_steps=20,
        log_every=20,
        eval_every=100,
    )
    """How to train."""


PRESETS = {
    "smoke": Config(
        train=TrainConfig(steps=20, batch_size=32, learning_rate=3e-3, log_every=5, eval_every=10),
    ),
}


def run(config: Config, record: Record) -> None:
    """Train and evaluate the network for each seed."""
    task = tasks.resized(
        config.data,
        config.data_dir,
        size=config.size,
        channels=config.channels,
        augmentation=None if config.augmentation == Augmentation() else config.augmentation,
        from_disk=config.from_disk,
        statistics="imagenet" if config.weights else "data",
        validation_images=config.validation_images,
    )
    conv = config.conv[0] if config.conv else None
    model = tasks.make_model(config.model, conv, classes=task.classes)
    start = None
    if config.weights:
        start = tasks.load_pretrained(model, config.weights, task.shape).variables
    tasks.train_classifiers(task, model, config.train, config.seeds, record, start=start)
    page(record.observations(), record)


def page(found: Observations, record: Record) -> None:
    """Write results.json and the page."""
    convolutions = [f"{Convolution(**conv)} convolutions" for conv in record.config["conv"]]
    model = " with ".join([record.config["model"], *convolutions])
    record.results({"model": model, **report.classifier_results(found, record)})
    report.write_page(record, __doc__, report.classifier_blocks(found, record, model))
