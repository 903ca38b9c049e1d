"""Does a network that sees its own labels label pixels better with every iteration?

A recurrent convolutional network labels each pixel of digits on textured ground: ground, or which
digit its ink belongs to. It estimates, looks at the image and at its estimate, and estimates again,
with the same weights. The control estimates once.

    python launch.py segmentation            2 seeds, 2 CPU cores: minutes
    python launch.py segmentation smoke      under a minute

Expected: intersection over union of the digits about 0.37, 0.54 and 0.60 after one, two and three
iterations; 0.39 of the control.

Source: Pinheiro, Collobert, Recurrent convolutional neural networks for scene labeling, 2014;
Goodfellow, Bengio, Courville, Deep Learning, 2016, figure 9.17.
"""

import dataclasses
from typing import Any

from cnnjax.run.config import require_distinct
from cnnjax.train.config import TrainConfig


@dataclasses.dataclass(frozen=True)
class Config:
    """Which networks, on how many images, for how long."""

    iterations: tuple[int, ...] = (1, 3)
    """Numbers of iterations, a network for each."""
    features: int = 24
    """Channels of the hidden layers."""
    digits: tuple[int, ...] = (0, 1, 4, 7)
    """Digits to tell apart."""
    train_images: int = 2000
    """Images to train on."""
    test_images: int = 200
    """Images to test on, of other digits."""
    shown_images: int = 4
    """Test images that are drawn."""
    seeds: tuple[int, ...] = (0, 1)
    """Each network is trained for each seed."""
    train: TrainConfig = TrainConfig(
        steps=500,
        batch_size=32,
        learning_rate=1e-2,
        warmup_steps=20,
        auxiliary_weight=1.0,
        log_every=100,
    )
    """How to train; every iteration's loss counts auxiliary_weight, the last one's 1."""

    def __post_init__(self):
        require_distinct(self, "iterations", "seeds", "digits")
        if not set(self.digits) <= set(range(10)):
            raise ValueError(f"digits must be from 0 to 9, got {self.digits}.")
        if min(self.iterations) < 1:
            raise ValueError(f"iterations must be at least 1, got {self.iterations}.")
        for name in ("features", "train_images", "test_images", "shown_images"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}.")


PRESETS = {
    "smoke": Config(
        iterations=(1, 2),
        features=4,
        train_images=64,
        test_images=16,
        shown_images=2,
        seeds=(0,),
        train=TrainConfig(
            steps=20, batch_size=16, learning_rate=3e-2, auxiliary_weight=1.0, log_every=5
        ),
    ),
}


def run(config: Config, record: Any) -> None:
    """Train and measure every network, and write results and report."""
    from cnnjax.study.segmentation import on_texture

    from cnnjax.inspect import parameter_count
    from cnnjax.models import RecurrentSegmentation
    from cnnjax.report.segmentation import write_report
    from cnnjax.run.statistics import summarize

    task = on_texture(
        config.train,
        train_images=config.train_images,
        test_images=config.test_images,
        digits=config.digits,
    )
    rows: list[dict[str, Any]] = []
    shown: list[Any] = []
    for iterations in config.iterations:
        model = RecurrentSegmentation(task.dataset.num_classes, iterations, config.features)
        training = task.compile(model)
        measured = [_measured(config, task, model, training, seed, record) for seed in config.seeds]
        rows.append(
            {
                "iterations": iterations,
                "params": parameter_count(task.initial(training, config.seeds[0]).params),
                "after": [
                    {
                        name: summarize([each["after"][number][name] for each in measured])
                        for name in ("accuracy", "mean_iou", "ground_iou", "digits_iou")
                    }
                    for number in range(iterations)
                ],
            }
        )
        shown = measured[0]["estimates"]
    test = task.dataset.test
    results = {
        "data": task.dataset.name,
        "class_names": task.dataset.class_names,
        "train_examples": len(task.dataset.train.images),
        "test_examples": len(test.images),
        "steps": config.train.steps,
        "batch_size": config.train.batch_size,
        "seeds": config.seeds,
        "rows": rows,
        "shown": {
            "images": test.images[: config.shown_images, ..., 0],
            "labels": test.labels[: config.shown_images],
            "estimates": shown,
        },
    }
    write_report(record.results(results), record)


def _measured(
    config: Config, task: Any, model: Any, training: Any, seed: int, record: Any
) -> dict[str, Any]:
    """Accuracy and overlap after every iteration, unless an interrupted run measured them."""
    import jax
    import numpy as np
    from cnnjax.study import train_network
    from cnnjax.study.segmentation import intersection_over_union

    name = f"{model.iterations} iterations seed {seed}"
    measured = record.part(name)
    if measured is not None:
        return measured
    print(f"\n{name}", flush=True)
    state = train_network(task, training, seed, name, record).state
    params = jax.device_get(state.params)

    @jax.jit
    def label(images):
        x = task.place(images)
        estimates = model.apply({"params": params}, x, method=model.estimates)
        return [estimate.argmax(-1) for estimate in estimates]

    test, classes = task.dataset.test, task.dataset.num_classes
    after = []
    estimates = [np.asarray(estimate) for estimate in label(test.images)]
    for estimate in estimates:
        overlap = intersection_over_union(estimate, test.labels, classes)
        after.append(
            {
                "accuracy": float((estimate == test.labels).mean()),
                "mean_iou": float(np.nanmean(overlap)),
                "ground_iou": float(overlap[0]),
                "digits_iou": float(np.nanmean(overlap[1:])),
            }
        )
    drawn = [estimate[: config.shown_images] for estimate in estimates]
    record.write_part(name, {"after": after, "estimates": drawn})
    return record.part(name)
