"""Which way of halving an image keeps a network's answer when the image moves, before and after training?

A layer that visits every second position sees another image when that moves by one. The same small
network, all circular, halves the image three times by max pooling, average pooling, strides, blur
pooling (Zhang 2019), adaptive (Chaman and Dokmanic 2021) or learnable polyphase sampling
(Rojas-Gomez et al. 2022). Before and after training on centred images, every test image is moved by
every circular shift of 0 to 7 pixels on both axes; further ones give nothing new, because all
networks are exactly invariant to shifts by 8.

    python launch.py shift_invariance          digits, 3 seeds: a few minutes, 2 CPU cores
    python launch.py shift_invariance smoke    half a minute
    python launch.py shift_invariance full --data-dir DIR    MNIST, 5 seeds, for an accelerator

Expected: adaptive and learnable sampling consistent on exactly 100.00 % of all pairs of shifts,
before training and after; blur pooling some points above max pooling; strides lowest.
"""

import dataclasses
from typing import Any, Literal, get_args

from cnnjax.run.config import require_distinct
from cnnjax.train.config import TrainConfig

Downsampling = Literal["max", "average", "strided", "blur", "adaptive", "learnable"]


@dataclasses.dataclass(frozen=True)
class Config:
    """Which ways of downsampling to compare, on what, for how long."""

    downsampling: tuple[Downsampling, ...] = get_args(Downsampling)
    """Ways of halving the image to compare."""
    data: str = "digits"
    """TFDS name of the data set."""
    data_dir: str | None = None
    """Where prepared data sets are; without it TFDS_DATA_DIR, or else the folder of TFDS."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """One network is trained for each seed and way of downsampling."""
    features: tuple[int, ...] = (16, 32, 32)
    """Channels of each layer, after each of which the image is halved."""
    shifted_images: int = 200
    """Test images that are moved by every shift."""
    train: TrainConfig = TrainConfig(
        steps=300, batch_size=64, learning_rate=3e-3, warmup_steps=20, log_every=100
    )
    """How to train, the same for all."""

    def __post_init__(self):
        require_distinct(self, "downsampling", "seeds")
        for name in self.downsampling:
            if name not in get_args(Downsampling):
                known = ", ".join(get_args(Downsampling))
                raise ValueError(f"downsampling must be one of {known}, got {name!r}.")
        if not self.features or min(self.features) < 1 or len(self.features) > 3:
            raise ValueError(
                f"features must name 1 to 3 layers, each at least 1, got {self.features}."
            )
        if self.shifted_images < 1:
            raise ValueError(f"shifted_images must be at least 1, got {self.shifted_images}.")


PRESETS = {
    "smoke": Config(
        downsampling=("max", "adaptive"),
        seeds=(0,),
        features=(4, 8),
        shifted_images=20,
        train=TrainConfig(steps=40, batch_size=64, learning_rate=1e-2, log_every=20),
    ),
    "full": Config(
        data="mnist",
        seeds=(0, 1, 2, 3, 4),
        shifted_images=1000,
        train=TrainConfig(
            steps=3000, batch_size=256, learning_rate=2e-3, warmup_steps=100, log_every=200
        ),
    ),
}


def run(config: Config, record: Any) -> None:
    """Train and measure every network, and write results and report."""
    from cnnjax.study import on_canvas

    from cnnjax.report.shift_invariance import write_report
    from cnnjax.run.statistics import summarize

    task = on_canvas(config.data, config.data_dir, config.train)
    rows = []
    for downsampling in config.downsampling:
        network = _compiled(config, task, downsampling)
        measured = [_measured(task, *network, downsampling, seed, record) for seed in config.seeds]
        rows.append(
            {
                "downsampling": downsampling,
                "seeds": config.seeds,
                "accuracy": summarize([each["accuracy"] for each in measured]),
                **{
                    f"{name}_{stage}": summarize([each[stage][name] for each in measured])
                    for stage in ("before", "after")
                    for name in measured[0][stage]
                },
            }
        )
    results = {
        "data": config.data,
        "canvas": task.shape[0],
        "shifts": 2 ** len(config.features),
        "shifted_images": min(config.shifted_images, len(task.dataset.test)),
        "train_examples": len(task.dataset.train.images),
        "test_examples": len(task.dataset.test.images),
        "steps": config.train.steps,
        "batch_size": config.train.batch_size,
        "seeds": config.seeds,
        "rows": rows,
        "pooling": _figure_of_the_book(),
    }
    write_report(record.results(results), record)


def _compiled(config: Config, task: Any, downsampling: Downsampling) -> tuple[Any, Any]:
    """The compiled training of a network, and from parameters to its classes at every shift."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from cnnjax.models.downsampling_net import DownsamplingNet
    from cnnjax.symmetry import shift

    model = DownsamplingNet(task.dataset.num_classes, downsampling, config.features)
    images = task.place(task.dataset.test.images[: config.shifted_images])
    shifts = jnp.asarray(list(np.ndindex(*(2 ** len(config.features),) * 2)))

    @jax.jit
    def classes_of_shift(params, each):
        logits: Any = model.apply({"params": params}, shift(images, each))
        return logits.argmax(-1)

    def classes(params):
        """Predicted classes `[shifts, shifts, images]`."""
        side = 2 ** len(config.features)
        found = [classes_of_shift(params, each) for each in shifts]
        return np.stack([np.asarray(one) for one in found]).reshape(side, side, -1)

    return task.compile(model), classes


def _measured(
    task: Any, training: Any, classes: Any, downsampling: str, seed: int, record: Any
) -> dict[str, Any]:
    """Accuracy and consistency of one network, unless an interrupted run measured them already."""
    from cnnjax.study import train_network

    name = f"{downsampling} seed {seed}"
    measured = record.part(name)
    if measured is None:
        print(f"\n{name}", flush=True)
        before = classes(task.initial(training, seed).params)
        state = train_network(task, training, seed, name, record).state
        measured = {
            "accuracy": task.evaluate(training, state)["accuracy"],
            "before": _answers(task, before),
            "after": _answers(task, classes(state.variables["params"])),
        }
        record.write_part(name, measured)
    return measured


def _answers(task: Any, classes: Any) -> dict[str, float]:
    """How far the predicted classes `[rows, columns, images]` depend on the shift.

    consistency: two random shifts of an image are given the same class (Zhang 2019). flips: a step
    of one pixel changes the class. worst_case: right at every shift.
    """
    import numpy as np

    labels = task.dataset.test.labels[: classes.shape[-1]]
    share = np.stack([(classes == label).mean((0, 1)) for label in range(task.dataset.num_classes)])
    steps = [np.roll(classes, -1, axis) != classes for axis in (0, 1)]
    return {
        "consistency": (share**2).sum(0).mean(),
        "flips": np.mean(steps),
        "worst_case": (classes == labels).all((0, 1)).mean(),
    }


def _figure_of_the_book() -> dict[str, Any]:
    """Figure 9.8 of Goodfellow et al. 2016: detectors and their maxima, before and after a shift."""
    import jax.numpy as jnp

    from cnnjax import ops

    def pooled(detectors):
        return ops.max_pool(jnp.asarray(detectors)[None, :, None], 3, padding="SAME")[0, :, 0]

    signal = [0.3, 0.1, 1.0, 0.2, 0.1]
    stages = {}
    for name, detectors in (("before", signal[1:]), ("after", signal[:-1])):
        stages[name] = {"detectors": detectors, "pooled": pooled(detectors)}
    return stages
