"""What does building quarter turns into the layers save, on digits turned by any angle?

Three networks of nearly equal size on rotated MNIST (12,000 images to train, 50,000 to test), after
Cohen and Welling 2016 and without augmentation: Z2CNN, of ordinary convolutions; P4CNN with
rotation pooling, whose every layer takes the maximum over four turned copies of its kernels; P4CNN,
of group convolutions, whose features keep the turn.

    python launch.py prepare rotated_mnist --data-dir DIR     once, from MNIST
    python launch.py rotation --data-dir DIR                  3 seeds: half an hour, 2 CPU cores
    python launch.py rotation full --data-dir DIR             5 seeds, for an accelerator
    python launch.py rotation smoke                           digits, under a minute

Expected: errors in the order Z2CNN, P4CNN with rotation pooling, P4CNN; published 5.03, 3.21 and
2.28 % (full); a quarter turn changes the logits of the P4 networks by 1e-4 at most. Seen with the
default's 750 steps, mean of 3 seeds: 8.0, 5.1 and 3.0 %, Z2CNN 2.7 times as many as P4CNN; a
quarter turn changes the logits of the P4 networks by 5e-6, those of Z2CNN by 7.
"""

import dataclasses
from typing import Any, Literal, get_args

from cnnjax.run.config import require_distinct
from cnnjax.train.config import TrainConfig

Group = Literal["none", "p4_pooled", "p4"]
NETWORKS = {"none": "Z2CNN", "p4_pooled": "P4CNN, rotation pooling", "p4": "P4CNN"}


@dataclasses.dataclass(frozen=True)
class Config:
    """Which networks to compare, on what, for how long."""

    groups: tuple[Group, ...] = get_args(Group)
    """Networks: none (Z2CNN), p4_pooled (P4CNN with rotation pooling), p4 (P4CNN)."""
    data: str = "rotated_mnist"
    """TFDS name of the data set."""
    data_dir: str | None = None
    """Where prepared data sets are; without it TFDS_DATA_DIR, or else the folder of TFDS."""
    turned: bool = False
    """Turn every training image by a random angle, for data that is not turned already."""
    test_images: int = 10_000
    """Test images that count; the accelerator's preset takes all 50,000."""
    dropout_rate: float = 0.1
    """Share of the activations that is dropped in training."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """One network is trained for each seed and group."""
    train: TrainConfig = TrainConfig(
        steps=750, batch_size=128, learning_rate=1e-2, warmup_steps=50, log_every=100
    )
    """How to train, the same for all."""

    def __post_init__(self):
        require_distinct(self, "groups", "seeds")
        for group in self.groups:
            if group not in get_args(Group):
                raise ValueError(f"groups are {', '.join(get_args(Group))}, got {group!r}.")
        if self.test_images < 1:
            raise ValueError(f"test_images must be at least 1, got {self.test_images}.")
        if not 0 <= self.dropout_rate < 1:
            raise ValueError(
                f"dropout_rate must be at least 0 and below 1, got {self.dropout_rate}."
            )


PRESETS = {
    "smoke": Config(
        groups=("none", "p4"),
        data="digits",
        turned=True,
        test_images=64,
        seeds=(0,),
        train=TrainConfig(steps=20, batch_size=32, learning_rate=1e-2, log_every=10),
    ),
    "full": Config(
        test_images=50_000,
        dropout_rate=0.3,
        seeds=(0, 1, 2, 3, 4),
        train=TrainConfig(
            steps=10_000,
            batch_size=128,
            learning_rate=1e-2,
            warmup_steps=200,
            log_every=500,
            checkpoint_every=2000,
        ),
    ),
}


def run(config: Config, record: Any) -> None:
    """Train and measure every network, and write results and report."""
    import math

    from cnnjax.study import on_turntable

    from cnnjax.data.datasets import Split
    from cnnjax.inspect import parameter_count
    from cnnjax.models.rotation_net import RotationNet
    from cnnjax.report.rotation import write_report
    from cnnjax.run.statistics import summarize

    task = on_turntable(config.data, config.data_dir, config.train, canvas=28)
    test = task.dataset.test
    test = Split(test.images[: config.test_images], test.labels[: config.test_images])
    task = dataclasses.replace(task, dataset=dataclasses.replace(task.dataset, test=test))
    turn = 2 * math.pi if config.turned else 0.0
    rows: list[dict[str, Any]] = []
    for group in config.groups:
        model = RotationNet(task.dataset.num_classes, group, dropout_rate=config.dropout_rate)
        training = task.compile(model)
        measured = [
            _measured(task, model, training, group, seed, turn, record) for seed in config.seeds
        ]
        errors = [1 - each["accuracy"] for each in measured]
        rows.append(
            {
                "group": group,
                "network": NETWORKS[group],
                "seeds": config.seeds,
                "params": parameter_count(task.initial(training, config.seeds[0]).params),
                "error": summarize(errors),
                "error_by_seed": errors,
                "quarter_turn_difference": max(each["difference"] for each in measured),
            }
        )
    by_group = {row["group"]: row["error"].mean for row in rows}
    results = {
        "data": config.data,
        "train_examples": len(task.dataset.train.images),
        "test_examples": len(test.images),
        "steps": config.train.steps,
        "batch_size": config.train.batch_size,
        "seeds": config.seeds,
        "ratio": _ratio(by_group.get("none"), by_group.get("p4")),
        "rows": rows,
    }
    write_report(record.results(results), record)


def _ratio(error: float | None, smaller: float | None) -> float | None:
    """Without a number where a network was not trained, or makes no errors at all."""
    return error / smaller if error is not None and smaller else None


def _measured(
    task: Any, model: Any, training: Any, group: str, seed: int, turn: float, record: Any
) -> dict[str, float]:
    """Accuracy, and what a quarter turn does to the logits, unless measured before."""
    import jax
    import jax.numpy as jnp
    from cnnjax.study import train_network

    from cnnjax.symmetry import rotate_quarter

    name = f"{group} seed {seed}"
    measured = record.part(name)
    if measured is None:
        print(f"\n{NETWORKS[group]} seed {seed}", flush=True)
        state = train_network(task, training, seed, name, record, turn=turn).state
        logits = jax.jit(lambda images: model.apply(state.variables, images))
        images = task.place(task.dataset.test.images[:64])
        measured = {
            "accuracy": task.evaluate(training, state)["accuracy"],
            "difference": float(jnp.abs(logits(rotate_quarter(images)) - logits(images)).max()),
        }
        record.write_part(name, measured)
    return measured
