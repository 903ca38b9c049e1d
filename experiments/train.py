"""How well does a network read a data set: accuracy, confusions, and the worst mistakes?

Any network of cnnjax, or your own Flax module, on any data set by its TFDS name.

    python launch.py train                                            PlainNet on digits, a minute
    python launch.py train --model ResNet20 --data cifar10 --size 32
    python launch.py train --model my_module:MyNet --data mnist --data-dir DIR
    python launch.py train --model LeNet5 --size 32 --augmentation.rotation 10
    python launch.py train --model ResNet50 --data imagenet2012 --from-disk --size 224 --data-dir DIR
    python launch.py train smoke                                      seconds

`launch.py visualise RUN_DIR` and `launch.py audit --model RUN_DIR` look into what it leaves.
"""

import dataclasses
from typing import Any

from cnnjax.data.augmentation_config import Augmentation
from cnnjax.models.choice import Convolution
from cnnjax.run.config import require_distinct
from cnnjax.train.config import TrainConfig


@dataclasses.dataclass(frozen=True)
class Config:
    """Which network, on what, and how."""

    model: str = "PlainNet"
    """A network of cnnjax.models, or package.module:Class."""
    conv: tuple[Convolution, ...] = ()
    """One convolution in the place of the network's own, by name or import path."""
    data: str = "digits"
    """TFDS name of the data set."""
    data_dir: str | None = None
    """Where prepared data sets are; without it TFDS_DATA_DIR, or else the folder of TFDS."""
    size: int | None = None
    """Side in pixels that images are resized to; without it they stay as they are."""
    from_disk: bool = False
    """Read examples when they are needed, as for ImageNet, not the whole data set into memory;
    images of any sizes are scaled to cover squares of --size, and their middle is taken."""
    channels: int | None = None
    """3 repeats grey images, for networks that want colour; without it they stay as they are."""
    augmentation: Augmentation = Augmentation()
    """Random changes of training images."""
    seeds: tuple[int, ...] = (0,)
    """One network is trained for each seed."""
    train: TrainConfig = TrainConfig(
        steps=300,
        batch_size=64,
        learning_rate=3e-3,
        warmup_steps=20,
        log_every=20,
        eval_every=100,
    )
    """How to train."""

    def __post_init__(self):
        if len(self.conv) > 1:
            raise ValueError(f"A network has one convolution, got {[str(c) for c in self.conv]}.")
        for name in ("size", "channels"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}.")
        require_distinct(self, "seeds")


PRESETS = {
    "smoke": Config(
        train=TrainConfig(steps=20, batch_size=32, learning_rate=3e-3, log_every=5, eval_every=10),
    ),
}


def run(config: Config, record: Any) -> None:
    """Train the network for each seed, and write results and report."""
    from cnnjax.study import as_images, train_and_judge
    from cnnjax.study.trained import make_model

    from cnnjax.report.train import write_report
    from cnnjax.run.config import InputError

    augmentation = None if config.augmentation == Augmentation() else config.augmentation
    try:
        task = as_images(
            config.data,
            config.data_dir,
            config.train,
            size=config.size,
            channels=config.channels,
            augmentation=augmentation,
            from_disk=config.from_disk,
        )
        convolution = config.conv[0] if config.conv else None
        model = make_model(config.model, convolution, classes=task.dataset.num_classes)
    except ValueError as error:
        raise InputError(str(error)) from error
    results = train_and_judge(task, model, config.seeds, record)
    write_report(
        record.results({**results, "conv": [str(each) for each in config.conv]}),
        record,
        "How well does a network read a data set?",
    )
