"""Which layers of a network lose its symmetry under small translations, rotations, scalings and shears, before and after training?

The Lie derivative of the logits, exactly, by forward-mode differentiation, and its terms: what each
layer adds. Networks differ in how they halve the image, in their activation and in how their
convolutions share; after Gruver et al., who found that aliasing in nonlinearities and downsampling
dominates.

    python launch.py lie_derivative                          3 seeds: about 8 minutes, 2 CPU cores
    python launch.py lie_derivative smoke                    under a minute
    python launch.py lie_derivative --networks max blur alias_free

Expected, after training, under translation: with shared kernels all of the squared terms lie in
nonlinearities and downsampling (max pooling: 16 and 84 %), none in convolutions unless they stride;
tiled convolutions hold 62 %, local ones 70 %; a move to the right by a hundredth of the image
changes the logits by 6.8 % of their size with max pooling, 1.2 % with blur pooling, less than
1e-5 % with alias-free layers.

Source: Gruver, Finzi, Goldblum, Wilson, The Lie derivative for measuring learned equivariance,
2022.
"""

import dataclasses
from typing import Any, Literal, get_args

from cnnjax.run.config import require_distinct
from cnnjax.train.config import TrainConfig

Network = Literal[
    "max", "average", "strided", "blur", "adaptive", "alias_free", "gelu", "tiled", "local"
]

Action = Literal["down", "right", "rotation", "scaling", "shearing"]


@dataclasses.dataclass(frozen=True)
class Config:
    """Which networks to measure, on what, trained for how long."""

    networks: tuple[Network, ...] = get_args(Network)
    """Standard convolutions with ReLU and a way of halving (max, average, strided, blur, adaptive);
    polynomials and ideal halving (alias_free); GELU and max (gelu); tiled by 2 or local convolutions
    with ReLU and max (tiled, local)."""
    data: str = "digits"
    """TFDS name of the data set."""
    data_dir: str | None = None
    """Where prepared data sets are; without it TFDS_DATA_DIR, or else the folder of TFDS."""
    actions: tuple[Action, ...] = get_args(Action)
    """Translations by the image's size (down, right), rotation by a radian, growth by a factor of e
    (scaling), shear by 1 (shearing)."""
    measured_images: int = 64
    """Test images on which derivatives are measured."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """One network is trained for each seed."""
    train: TrainConfig = TrainConfig(
        steps=200, batch_size=64, learning_rate=3e-3, warmup_steps=20, log_every=100
    )
    """How to train, the same for all."""

    def __post_init__(self):
        require_distinct(self, "networks", "actions", "seeds")
        for network in self.networks:
            if network not in get_args(Network):
                raise ValueError(f"networks are {', '.join(get_args(Network))}, got {network!r}.")
        for action in self.actions:
            if action not in get_args(Action):
                raise ValueError(f"actions are {', '.join(get_args(Action))}, got {action!r}.")
        if self.measured_images < 1:
            raise ValueError(f"measured_images must be at least 1, got {self.measured_images}.")


PRESETS = {
    "smoke": Config(
        networks=("max", "alias_free"),
        actions=("right", "rotation"),
        measured_images=8,
        seeds=(0,),
        train=TrainConfig(steps=10, batch_size=32, learning_rate=3e-3, log_every=5),
    ),
}


def run(config: Config, record: Any) -> None:
    """Train every network, measure its layers before and after, and write results and report."""
    from cnnjax.study import on_canvas

    from cnnjax.inspect import parameter_count
    from cnnjax.report.lie_derivative import write_report
    from cnnjax.run.statistics import summarize

    task = on_canvas(config.data, config.data_dir, config.train)
    rows: list[dict[str, Any]] = []
    for network in config.networks:
        model = _model(network, task.dataset.num_classes)
        training, measure = task.compile(model), _measure(config, task, model)
        measured = [
            _measured(task, training, measure, network, seed, record) for seed in config.seeds
        ]
        rows.append(
            {
                "network": network,
                "seeds": config.seeds,
                "params": parameter_count(task.initial(training, config.seeds[0]).params),
                "layers": [{"name": stage.name, "kind": stage.kind} for stage in model.stages()],
                "accuracy": summarize([each["accuracy"] for each in measured]),
                **{
                    stage: {
                        action: {
                            "whole": summarize([m[stage][action]["whole"] for m in measured]),
                            "terms": [
                                summarize(list(terms))
                                for terms in zip(*(m[stage][action]["terms"] for m in measured))
                            ],
                            "remainder": max(m[stage][action]["remainder"] for m in measured),
                        }
                        for action in config.actions
                    }
                    for stage in ("before", "after")
                },
            }
        )
    results = {
        "data": config.data,
        "canvas": task.shape[0],
        "train_examples": len(task.dataset.train.images),
        "measured_images": min(config.measured_images, len(task.dataset.test)),
        "actions": config.actions,
        "steps": config.train.steps,
        "batch_size": config.train.batch_size,
        "seeds": config.seeds,
        "rows": rows,
    }
    write_report(record.results(results), record)


def _model(network: Network, classes: int) -> Any:
    import functools

    from cnnjax.layers import LocalConv, TiledConv
    from cnnjax.models import ChainNet

    convolutions = {"tiled": functools.partial(TiledConv, tile=2), "local": LocalConv}
    match network:
        case "alias_free":
            return ChainNet(classes, "polynomial", "ideal")
        case "gelu":
            return ChainNet(classes, "gelu", "max")
        case "tiled" | "local":
            return ChainNet(classes, "relu", "max", conv=convolutions[network])
    return ChainNet(classes, "relu", network)


def _measure(config: Config, task: Any, model: Any) -> Any:
    """From parameters to the derivative of the logits and its terms, of every action.

    Sizes are root mean squares over images, relative to that of the logits.
    """
    import jax
    import jax.numpy as jnp

    from cnnjax import symmetry

    motions = {
        "down": symmetry.translation(0),
        "right": symmetry.translation(1),
        "rotation": symmetry.rotation,
        "scaling": symmetry.scaling,
        "shearing": symmetry.shearing,
    }
    x = task.place(task.dataset.test.images[: config.measured_images])
    names = [stage.name for stage in model.stages()]
    # What leaves a mean over positions has no space to be moved.
    spatial = names.index("mean")

    @jax.jit
    def measure(params):
        layers = [stage.layer for stage in model.chain(params)]

        def whole(x):
            for layer in layers:
                x = layer(x)
            return x

        size = jnp.linalg.norm(whole(x))
        found = {}
        for name in config.actions:
            motion = motions[name]
            still = [symmetry.unchanged] * (len(layers) - spatial)
            terms = symmetry.layer_terms(layers, x, [motion] * (spatial + 1) + still)
            derivative = symmetry.lie_derivative(whole, x, motion)
            length = jnp.linalg.norm(derivative)
            found[name] = {
                "whole": length / size,
                "terms": jnp.stack([jnp.linalg.norm(term) for term in terms]) / size,
                # Relative to rounding where there is nothing else.
                "remainder": jnp.linalg.norm(sum(terms) - derivative)
                / jnp.maximum(length, 1e-3 * size),
            }
        return found

    return measure


def _measured(
    task: Any, training: Any, measure: Any, network: str, seed: int, record: Any
) -> dict[str, Any]:
    """Derivatives before and after training, unless an interrupted run measured them already."""
    import jax
    from cnnjax.study import train_network

    name = f"{network} seed {seed}"
    measured = record.part(name)
    if measured is None:
        print(f"\n{name}", flush=True)
        before = jax.device_get(measure(task.initial(training, seed).params))
        state = train_network(task, training, seed, name, record).state
        measured = {
            "accuracy": task.evaluate(training, state)["accuracy"],
            "before": before,
            "after": jax.device_get(measure(state.variables["params"])),
        }
        record.write_part(name, measured)
        measured = record.part(name)
    return measured
