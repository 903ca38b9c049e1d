"""Do filters that are learned apart and pooled together learn to ignore rotation, as figure 9.9 of the book has it?

Every class is scored by the largest of k filters as large as the image, learned separately (cross-
channel max pooling, maxout). A digit is turned through 360 degrees: which detector fires? k = 1 is
the flat control. Beside them: the same filters in four turned copies (p4, built in), convolutions
that only see turned images (augmentation alone), and the maximum over all positions (space alone);
each trained once on upright digits and once on digits turned by any angle.

    python launch.py learned_invariance                       3 seeds: 3 minutes, 2 CPU cores
    python launch.py learned_invariance --data mnist --data-dir DIR
    python launch.py learned_invariance smoke                 seconds

Expected, trained on turned digits, accuracy at any angle: 59 % with one filter, 72, 79 and 82 % with
2, 4 and 8, of which 1.5, 2.0 and 2.3 take turns, each about one axis; 87 % with one filter in four
turned copies; 92 % by augmentation alone, with convolutions; 29 % trained on upright digits
whatever is learned apart, 59 % with turned copies.

Source: Goodfellow, Bengio, Courville, Deep Learning, 2016, figure 9.9; Goodfellow, Warde-Farley,
Mirza, Courville, Bengio, Maxout networks, 2013; Goodfellow, Le, Saxe, Lee, Ng, Measuring
invariances in deep networks, 2009 (firing).
"""

import dataclasses
from typing import Any

from cnnjax.train.config import TrainConfig


@dataclasses.dataclass(frozen=True)
class Config:
    """Which networks to train, on what, and which digit to turn."""

    detectors: tuple[int, ...] = (1, 2, 4, 8)
    """Numbers of separately learned filters a class, k."""
    turned_copies: tuple[int, ...] = (1, 2)
    """The same for the p4 networks, each filter in four copies."""
    convolutions: bool = True
    """Train the convolutional networks as well: maximum over positions, and none."""
    data: str = "digits"
    """TFDS name of the data set."""
    data_dir: str | None = None
    """Where prepared data sets are; without it TFDS_DATA_DIR, or else the folder of TFDS."""
    test_images: int = 500
    """Test images that are turned."""
    angles: int = 24
    """Angles that they are turned by, evenly over 360 degrees."""
    firing_rate: float = 0.05
    """Share of all responses of a unit that counts as firing."""
    shown_class: int = 5
    """The class whose detectors are drawn."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """One network is trained for each seed."""
    train: TrainConfig = TrainConfig(
        steps=600, batch_size=64, learning_rate=3e-3, warmup_steps=50, log_every=200
    )
    """How to train, the same for all."""

    def __post_init__(self):
        for name in ("detectors", "turned_copies", "seeds"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise ValueError(f"{name} must hold each value once, got {values}.")
        if not self.seeds or not self.detectors:
            raise ValueError(
                f"seeds and detectors must name at least one, got {self.seeds}, {self.detectors}."
            )
        if min(*self.detectors, *self.turned_copies, 1) < 1:
            raise ValueError(
                f"detectors and turned_copies must be at least 1, got {self.detectors} and "
                f"{self.turned_copies}."
            )
        if self.angles < 4 or self.angles % 4:
            raise ValueError(f"angles must be a multiple of 4, got {self.angles}.")
        if not 0 < self.firing_rate < 1:
            raise ValueError(f"firing_rate must lie between 0 and 1, got {self.firing_rate}.")
        if self.test_images < 1:
            raise ValueError(f"test_images must be at least 1, got {self.test_images}.")


PRESETS = {
    "smoke": Config(
        detectors=(1, 2),
        turned_copies=(1,),
        convolutions=False,
        test_images=64,
        angles=8,
        seeds=(0,),
        train=TrainConfig(steps=20, batch_size=32, learning_rate=3e-3, log_every=10),
    ),
}

TRAINED_ON = {"upright": 0.0, "turned": 1.0}
"""Training data, and the largest angle that its images are turned by, in full turns."""


def run(config: Config, record: Any) -> None:
    """Train and turn every network, and write results and report."""
    import numpy as np
    from cnnjax.study import on_turntable

    from cnnjax.inspect import parameter_count
    from cnnjax.models.detector_net import DetectorNet
    from cnnjax.report.learned_invariance import write_report
    from cnnjax.run.config import InputError
    from cnnjax.run.statistics import summarize

    task = on_turntable(config.data, config.data_dir, config.train)
    if not 0 <= config.shown_class < task.dataset.num_classes:
        raise InputError(
            f"shown_class is {config.shown_class}, but {config.data} has the classes 0 to "
            f"{task.dataset.num_classes - 1}."
        )
    if config.shown_class not in _test_images(config, task)[1]:
        raise InputError(
            f"shown_class is {config.shown_class}, of which the first {config.test_images} test "
            "images hold none: give more --test-images."
        )
    networks: list[tuple[Any, int]] = [("detectors", k) for k in config.detectors]
    networks += [("turns", k) for k in config.turned_copies]
    networks += [("none", 1), ("space", 1)] if config.convolutions else []
    rows: list[dict[str, Any]] = []
    shown: list[dict[str, Any]] = []
    for pooling, k in networks:
        model = DetectorNet(task.dataset.num_classes, pooling, k)
        training, observe = task.compile(model), _observer(config, task, model)
        params = parameter_count(task.initial(training, config.seeds[0]).params)
        for data in TRAINED_ON:
            name = f"{pooling} {k} {data}"
            measured = [
                _measured(config, task, training, observe, name, data, seed, record)
                for seed in config.seeds
            ]
            rows.append(
                {
                    "pooling": pooling,
                    "detectors": k,
                    "train_data": data,
                    "seeds": config.seeds,
                    "params": params,
                    "accuracy_by_angle": np.mean([m["accuracy_by_angle"] for m in measured], 0),
                    **{
                        key: summarize([each[key] for each in measured])
                        for key, value in measured[0].items()
                        if isinstance(value, float)
                    },
                }
            )
            if "shown" in measured[0]:
                shown.append(
                    {"pooling": pooling, "detectors": k, "train_data": data, **measured[0]["shown"]}
                )
    results = {
        "data": config.data,
        "classes": task.dataset.num_classes,
        "canvas": task.shape[0],
        "train_examples": len(task.dataset.train.images),
        "turned_images": len(_test_images(config, task)[1]),
        "angles": np.arange(config.angles) * 360 / config.angles,
        "firing_rate": config.firing_rate,
        "shown_class": config.shown_class,
        "steps": config.train.steps,
        "batch_size": config.train.batch_size,
        "seeds": config.seeds,
        "rows": rows,
        "shown": shown,
    }
    write_report(record.results(results), record)


def _test_images(config: Config, task: Any) -> tuple[Any, Any]:
    test = task.dataset.test
    return test.images[: config.test_images], test.labels[: config.test_images]


def _observer(config: Config, task: Any, model: Any) -> Any:
    """From parameters to logits and detectors of the test images, `[angles, images, ...]`."""
    import math

    import jax
    import numpy as np

    images, _ = _test_images(config, task)

    @jax.jit
    def at(params, angle):
        x = task.augment_test(images, None, {"angle": angle})
        logits, sown = model.apply({"params": params}, x, mutable="intermediates")
        return {"logits": logits, **sown.get("intermediates", {})}

    def observe(params):
        turns = 2 * math.pi * np.arange(config.angles, dtype=np.float32) / config.angles
        seen = [jax.device_get(at(params, angle)) for angle in turns]
        found = {"logits": np.stack([one["logits"] for one in seen])}
        if "detectors" in seen[0]:
            found["detectors"] = np.stack([one["detectors"][0] for one in seen])
        return found

    return observe


def _measured(
    config: Config,
    task: Any,
    training: Any,
    observe: Any,
    network: str,
    data: str,
    seed: int,
    record: Any,
) -> dict[str, Any]:
    """Accuracy and firing as the digits turn, unless an interrupted run measured them already."""
    import math

    from cnnjax.study import train_network

    from cnnjax.symmetry import firing_invariance, winning_shares

    name = f"{network} seed {seed}"
    measured = record.part(name)
    if measured is not None:
        return measured
    print(f"\n{name}", flush=True)
    turn = 2 * math.pi * TRAINED_ON[data]
    state = train_network(task, training, seed, name, record, turn=turn).state
    params = state.variables["params"]
    seen = observe(params)
    _, labels = _test_images(config, task)
    correct = (seen["logits"].argmax(-1) == labels).mean(1)
    measured = {
        "accuracy_by_angle": correct,
        "accuracy_upright": float(correct[0]),
        "accuracy_turned": float(correct.mean()),
        "logits_firing": float(firing_invariance(seen["logits"], config.firing_rate)),
    }
    if "detectors" in seen:
        detectors = seen["detectors"]
        measured["detectors_firing"] = float(
            firing_invariance(detectors.reshape(*detectors.shape[:2], -1), config.firing_rate)
        )
        own = {label: winning_shares(detectors[:, labels == label, label]) for label in set(labels)}
        measured |= _specialisation(list(own.values()))
        measured["shown"] = {
            "shares": own[config.shown_class],
            "filters": _filters(params, config.shown_class, detectors.shape[2], network),
        }
    record.write_part(name, measured)
    return record.part(name)


def _specialisation(shares: Any) -> dict[str, float]:
    """Of each class' own detectors as its images turn, the mean over classes."""
    import numpy as np

    from cnnjax.symmetry import effective_winners, vector_strength

    turns = 2 * np.pi * np.arange(len(shares[0])) / len(shares[0])

    def strength(harmonic):
        each = [(one.mean(0) * vector_strength(one, harmonic * turns)).sum() for one in shares]
        return round(float(np.mean(each)), 6)

    return {
        "winners": float(np.mean([effective_winners(each) for each in shares])),
        "direction": strength(1),
        "axis": strength(2),
    }


def _filters(params: Any, label: int, classes: int, network: str) -> Any:
    """The filters of a class as images `[pieces, size, size]`, with their turned copies."""
    import numpy as np

    kernel = np.asarray(params["filters"]["kernel"]).mean(2)
    learned = np.moveaxis(kernel.reshape(*kernel.shape[:2], classes, -1)[:, :, label], -1, 0)
    if not network.startswith("turns"):
        return learned
    return np.concatenate([[np.rot90(each, turns) for turns in range(4)] for each in learned])
