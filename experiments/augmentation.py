"""What does augmentation buy, and what does a network read from the new pixels when their fill is wrong?

First the cue: grounds without any direction are turned by one of eight angles, and a network is
asked which. It can only know from what fills the corners. Then digits, few of them, on grey ground:
accuracy with each kind of augmentation, on test digits as they are and moved a little.

    python launch.py augmentation            2 seeds, 2 CPU cores: 6 minutes
    python launch.py augmentation smoke      under a minute

Expected: with zeros around a grey ground every angle is told, chance being 12.5 %; on a flat ground
whatever continues it leaves chance; on noise a constant of the same mean still gives away 32 %, an
image that goes on in a circle 14 %. Of test digits that are moved, 66 % are read without
augmentation, 88 % with elastic distortion, 90 % with all moves together, 3 % fewer if the new
pixels are zeros.
"""

import dataclasses
from typing import Any, Literal, get_args

from cnnjax.data.augmentation_config import Augmentation
from cnnjax.run.config import require_distinct
from cnnjax.train.config import TrainConfig

Kind = Literal[
    "none",
    "rotation",
    "translation",
    "rescale",
    "shear",
    "elastic",
    "noise",
    "cutout",
    "light",
    "moves",
]
Ground = Literal["flat", "noise"]

GROUND = 0.5
"""Grey level of the ground; ink is white."""


@dataclasses.dataclass(frozen=True)
class Config:
    """Which augmentations to compare, on how many images."""

    kinds: tuple[Kind, ...] = get_args(Kind)
    """Kinds of augmentation of digits; moves are rotation to elastic together."""
    grounds: tuple[Ground, ...] = get_args(Ground)
    """Grounds that are turned: flat grey, and noise."""
    train_digits: int = 200
    """Digits to train on: few, so that augmentation matters."""
    cue_images: int = 1500
    """Turned grounds to train on, for each ground and fill."""
    seeds: tuple[int, ...] = (0, 1)
    """Each network is trained for each seed."""
    train: TrainConfig = TrainConfig(
        steps=200, batch_size=64, learning_rate=1e-2, warmup_steps=20, log_every=100
    )
    """How to train, the same for all."""

    def __post_init__(self):
        require_distinct(self, "kinds", "grounds", "seeds")
        for kind in self.kinds:
            if kind not in get_args(Kind):
                raise ValueError(f"kinds are {', '.join(get_args(Kind))}, got {kind!r}.")
        for ground in self.grounds:
            if ground not in get_args(Ground):
                raise ValueError(f"grounds are {', '.join(get_args(Ground))}, got {ground!r}.")
        for name in ("train_digits", "cue_images"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}.")


PRESETS = {
    "smoke": Config(
        kinds=("none", "rotation"),
        grounds=("flat",),
        cue_images=128,
        seeds=(0,),
        train=TrainConfig(steps=10, batch_size=32, learning_rate=3e-3, log_every=5),
    ),
}


def augmentation_of(kind: Kind, fill: float = GROUND) -> Augmentation:
    """The augmentation of this kind, with this grey level around the image."""
    amounts: dict[str, dict[str, Any]] = {
        "none": {},
        "rotation": {"rotation": 20.0},
        "translation": {"translation": 0.1},
        "rescale": {"rescale": 1.2, "zoom": 1.1},
        "shear": {"shear": 15.0},
        "elastic": {"elastic": 1.0},
        "noise": {"noise": 0.1},
        "cutout": {"cutout": 6},
        "light": {"brightness": 0.2, "contrast": 1.5, "spot": 0.2},
    }
    moves = ("rotation", "translation", "rescale", "shear", "elastic")
    together = {key: value for move in moves for key, value in amounts[move].items()}
    return Augmentation(**(together if kind == "moves" else amounts[kind]), fill=fill)


def run(config: Config, record: Any) -> None:
    """Train and measure every network, and write results and report."""
    from cnnjax.study.cue import ANGLES, Beyond

    from cnnjax.report.augmentation import write_report

    fills = {
        "zeros": Beyond("constant", 0.0),
        "grey": Beyond("constant", GROUND),
        "edge": Beyond("edge", 0.0),
        "reflect": Beyond("reflect", 0.0),
        "circular": Beyond("circular", 0.0),
    }
    cues = [
        {"ground": ground, "fill": name, "accuracy": _cue(config, ground, name, fill, record)}
        for ground in config.grounds
        for name, fill in fills.items()
    ]
    digits = [
        {"kind": kind, "fill": name, **_digits(config, kind, name, level, record)}
        for kind in config.kinds
        for name, level in (("grey", GROUND), ("zeros", 0.0))
        # Where nothing moves nothing is filled, but by cutting out.
        if name == "grey" or kind not in ("none", "noise", "light")
    ]
    results = {
        "chance": 1 / ANGLES,
        "train_digits": config.train_digits,
        "cue_images": config.cue_images,
        "steps": config.train.steps,
        "batch_size": config.train.batch_size,
        "seeds": config.seeds,
        "cues": cues,
        "digits": digits,
        "samples": _samples(config),
    }
    write_report(record.results(results), record)


def _cue(config: Config, ground: Any, name: str, beyond: Any, record: Any) -> Any:
    """How often a network tells the angle of turned grounds, over seeds."""
    from cnnjax.study.cue import turned_grounds

    from cnnjax.models import PlainNet
    from cnnjax.run.statistics import summarize

    task = turned_grounds(
        ground, beyond, config.train, train_images=config.cue_images, test_images=500
    )
    model = PlainNet(task.dataset.num_classes, features=(16, 32))
    return summarize(_trained(task, model, f"cue {ground} {name}", config, record, {"accuracy": 0}))


def _digits(config: Config, kind: Kind, name: str, fill: float, record: Any) -> dict[str, Any]:
    """Accuracy on digits as they are, and moved, over seeds."""
    import numpy as np
    from cnnjax.study.grounded import on_ground

    from cnnjax.models import PlainNet
    from cnnjax.run.statistics import summarize

    task = on_ground(config.train, augmentation_of(kind, fill), config.train_digits, GROUND)
    model = PlainNet(task.dataset.num_classes, features=(16, 32, 64))
    measures = {"accuracy": 0, "accuracy_moved": 1}
    values = np.reshape(
        _trained(task, model, f"digits {kind} {name}", config, record, measures),
        (len(config.seeds), len(measures)),
    )
    return {measure: summarize(values[:, column]) for column, measure in enumerate(measures)}


def _trained(
    task: Any, model: Any, name: str, config: Config, record: Any, measures: dict[str, int]
) -> list[float]:
    """Accuracies of a network for each seed, for each value of the source's 'moved'."""
    from cnnjax.study import train_network

    training = task.compile(model)
    found = []
    for seed in config.seeds:
        part = f"{name} seed {seed}"
        measured = record.part(part)
        if measured is None:
            print(f"\n{part}", flush=True)
            state = train_network(task, training, seed, part, record).state
            measured = {
                measure: task.evaluate(training, state, moved=moved)["accuracy"]
                for measure, moved in measures.items()
            }
            record.write_part(part, measured)
        found += measured.values()
    return found


def _samples(config: Config) -> list[dict[str, Any]]:
    """One digit, four times augmented by each kind, with both fills."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    from cnnjax.study.grounded import on_ground

    from cnnjax.data.augmentation import augment

    task = on_ground(config.train, Augmentation(), config.train_digits, GROUND)
    images = jnp.repeat(task.place(task.dataset.train.images[:1]), 4, 0)
    keys = jax.random.split(jax.random.key(0), 4)
    rows = []
    for kind in config.kinds:
        for name, fill in (("grey", GROUND), ("zeros", 0.0)):
            changed = augment(images, keys, augmentation_of(kind, fill))
            rows.append(
                {"kind": kind, "fill": name, "images": np.asarray(changed)[..., 0].round(3)}
            )
    return rows
