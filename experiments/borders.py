"""Can a convolutional network tell where an object is, by the border of the image alone, and which padding hides it?

Two classes: a red square to the left of a green one, always in the upper half of the image, and a
green one to the left, always in the lower half. A network of shared kernels with a maximum over all
positions at the end should see only the order; but the border lets it see the half. Test images are
`similar` (the same halves) or `dissimilar` (the halves swapped, everything else alike): what is
lost between the two was read from the border.

    python launch.py borders          3 seeds: a quarter of an hour, 2 CPU cores
    python launch.py borders smoke    half a minute

Source: Kayhan, van Gemert, On translation invariance in CNNs, 2020, section 4.1 and table 1. Its
code draws training, validation and test images with one seed; here each has its own, and nothing is
selected on the validation images.

Expected: valid at least 99 % / at most 1 % (similar / dissimilar), same at least 99 / at most 15;
circular and full exactly the same on both, because the swap is a shift by 16 rows, which the
strides divide. Seen, mean of 3 seeds: valid 100.0 / 0.03, same 99.5 / 11.1, full 85.6 / 85.6,
circular 64.3 / 64.3. Published: valid 100.0 / 0.2, same 99.8 / 8.4, circular 73.7 / 73.7, full 89.7 /
89.7.
"""

import dataclasses
import math
from typing import Any, Literal, get_args

from cnnjax.run.config import require_distinct
from cnnjax.train.config import TrainConfig

Border = Literal["valid", "same", "full", "circular", "reflect"]
PADDINGS = {
    "valid": "VALID",
    "same": 1,  # on both sides, where 'SAME' of a strided layer pads one side alone
    "full": "FULL",
    "circular": "CIRCULAR",
    "reflect": "REFLECT",
}


@dataclasses.dataclass(frozen=True)
class Config:
    """Which borders to compare, on how many images, for how long."""

    borders: tuple[Border, ...] = ("valid", "same", "full", "circular")
    """What stands around the image: nothing (valid), zeros that keep its size (same), zeros
    wherever a window touches the image (full), the opposite edge (circular)."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """One network is trained for each seed and border, on images of that seed."""
    train_images: int = 2000
    """Images to train on."""
    test_images: int = 1000
    """Images to validate on, and to test on in either place."""
    features: tuple[int, ...] = (32, 32, 64, 64)
    """Channels of each layer."""
    strides: tuple[int, ...] = (1, 2, 2, 2)
    """Strides of each layer; their product must divide 16, the rows between the two halves."""
    train: TrainConfig = TrainConfig(
        steps=400, batch_size=128, learning_rate=1e-3, warmup_steps=20, log_every=100
    )
    """How to train, the same for all."""

    def __post_init__(self):
        require_distinct(self, "borders", "seeds")
        for border in self.borders:
            if border not in get_args(Border):
                raise ValueError(f"borders are {', '.join(get_args(Border))}, got {border!r}.")
        for name in ("train_images", "test_images"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}.")
        layers = len(self.features)
        if not layers or layers != len(self.strides) or min(*self.features, *self.strides) < 1:
            raise ValueError(
                f"features {self.features} and strides {self.strides} must name the same layers, "
                f"by numbers of at least 1."
            )
        if 16 % math.prod(self.strides):
            raise ValueError(
                f"strides {self.strides} have the product {math.prod(self.strides)}, which must "
                "divide 16: else swapping the halves is no symmetry of circular layers either."
            )


PRESETS = {
    "smoke": Config(
        borders=("valid", "circular"),
        seeds=(0,),
        train_images=500,
        test_images=200,
        features=(8, 8, 16, 16),
        train=TrainConfig(steps=40, batch_size=48, learning_rate=3e-3, log_every=20),
    ),
}


def run(config: Config, record: Any) -> None:
    """Train and test a network for every border and seed, and write results and report."""
    from cnnjax.report.borders import write_report
    from cnnjax.run.statistics import summarize

    rows = []
    for border in config.borders:
        training = None
        measured = []
        for seed in config.seeds:
            task, splits = _task(config, seed)
            training = training or task.compile(_model(config, border))
            measured.append(_network(task, training, splits, border, seed, record))
        accuracies = {name: [each[name] for each in measured] for name in measured[0]}
        rows.append(
            {
                "border": border,
                "seeds": config.seeds,
                **{f"accuracy_{name}": summarize(values) for name, values in accuracies.items()},
                **{f"accuracy_{name}_by_seed": values for name, values in accuracies.items()},
                "equal": accuracies["similar"] == accuracies["dissimilar"],
            }
        )
    results = {
        "train_images": config.train_images,
        "test_images": config.test_images,
        "steps": config.train.steps,
        "batch_size": config.train.batch_size,
        "seeds": config.seeds,
        "rows": rows,
    }
    write_report(record.results(results), record)


def _model(config: Config, border: Border) -> Any:
    import functools

    from cnnjax.layers import Conv
    from cnnjax.models import ConvNet

    return ConvNet(
        classes=2,
        # Without a bias what is far from the squares is zero, as it is beyond a full border.
        conv=functools.partial(Conv, use_bias=False),
        features=config.features,
        strides=config.strides,
        kernel_size=3,
        padding=PADDINGS[border],
    )


def _task(config: Config, seed: int) -> tuple[Any, dict[str, Any]]:
    """The training images of a seed, and the images to evaluate on."""
    import jax.numpy as jnp
    from cnnjax.study import Classification

    from cnnjax.data.datasets import Dataset
    from cnnjax.data.red_green import red_green

    # Three streams a seed, which no other seed shares.
    train, validation, test = (3 * seed + stream for stream in range(3))
    splits = {
        "validation": red_green(validation, config.test_images),
        "similar": red_green(test, config.test_images),
        "dissimilar": red_green(test, config.test_images, swapped=True),
    }
    dataset = Dataset(
        name="red_green",
        version="1.0.0",
        train=red_green(train, config.train_images),
        test=splits["validation"],
        num_classes=2,
        class_names=("red left of green", "green left of red"),
        citation="Kayhan, van Gemert, On translation invariance in CNNs, 2020",
    )

    def place(images):
        return jnp.asarray(images, jnp.float32) / 255

    def augment(images, keys, source):
        del keys, source
        return place(images)

    return Classification(dataset, config.train, augment, augment, place), splits


def _network(
    task: Any, training: Any, splits: dict[str, Any], border: Border, seed: int, record: Any
) -> dict[str, float]:
    """Accuracies of one network, unless an interrupted run measured them already."""
    from cnnjax.study import train_network

    name = f"{border} seed {seed}"
    accuracies = record.part(name)
    if accuracies is None:
        print(f"\n{name}", flush=True)
        state = train_network(task, training, seed, name, record).state
        accuracies = {
            kind: task.evaluate(training, state, split=split)["accuracy"]
            for kind, split in splits.items()
        }
        record.write_part(name, accuracies)
    return accuracies
