"""Which translations does each convolution commute with, what does training on translated data teach those that do not, and what does it cost?

The same network, three layers deep with circular padding, is built from each convolution of the
family, from full sharing (standard) over partial sharing (tiled, low-rank) to none (local), with a
dense network as control. Each is trained once on centred and once on randomly translated images,
for the same number of steps. Before and after, the equivariance error

    ||f(S_m x) - S_m f(x)|| / ||f(x)||

of every layer and of the logits is measured at every circular shift S_m of test images.

    python launch.py equivariance                        digits, 2 seeds: 5 minutes, 2 CPU cores
    python launch.py equivariance smoke                  under a minute
    python launch.py equivariance full --data-dir DIR    MNIST, 5 seeds, for an accelerator
    python launch.py equivariance --conv my_module:Mine  a convolution of your own

Expected: each layer's measured lattice is the predicted one (standard: its stride; tiled: stride
times tile; low-rank, local, dense: the zero shift only), with errors of at most 1e-5 on it and
about sqrt(2) off it for tiled and local layers before training. Training on translated images makes the
logits of the others less sensitive to shifts, but never exactly invariant.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

from cnnjax.models.choice import Convolution
from cnnjax.run.config import require_distinct
from cnnjax.train.config import TrainConfig

FAMILY = (
    Convolution("standard"),
    Convolution("dilated"),
    Convolution("tiled", {"tile": 2}),
    Convolution("tiled", {"tile": 4}),
    Convolution("low_rank", {"rank": 2}),
    Convolution("local"),
    Convolution("dense"),
)


@dataclasses.dataclass(frozen=True)
class Config:
    """What to compare, on what, for how long."""

    conv: tuple[Convolution, ...] = FAMILY
    """Convolutions to compare, by name or import path: --conv tiled --conv.tile 2 --conv local."""
    data: str = "digits"
    """TFDS name of the data set."""
    data_dir: str | None = None
    """Where prepared data sets are; without it TFDS_DATA_DIR, or else the folder of TFDS."""
    seeds: tuple[int, ...] = (0, 1)
    """One network is trained for each seed, convolution and kind of training data."""
    canvas: int | None = None
    """Side of the canvas in pixels; without it the first multiple of 8 that is at least 24 and 4
    more than the image, which is doubled in size if it is smaller than 16 pixels."""
    features: tuple[int, ...] = (4, 8, 32)
    """Channels of each layer."""
    strides: tuple[int, ...] = (1, 2, 2)
    """Strides of each layer."""
    kernel_size: int = 5
    """Taps of every window on each axis."""
    error_images: int = 8
    """Test images on which the equivariance error is measured."""
    translations: int = 4
    """Random positions at which each test image is classified for the translated accuracy."""
    train: TrainConfig = TrainConfig(
        steps=150, batch_size=64, learning_rate=0.006, warmup_steps=20, log_every=50
    )
    """How to train, the same for all."""

    def __post_init__(self):
        require_distinct(self, "conv", "seeds")
        for name in ("kernel_size", "error_images", "translations"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}.")
        layers = len(self.features)
        if not layers or layers != len(self.strides) or min(*self.features, *self.strides) < 1:
            raise ValueError(
                f"features {self.features} and strides {self.strides} must name the same layers, "
                f"by numbers of at least 1."
            )
        for convolution in self.conv:
            taken = {"features", "kernel_size", "strides", "padding"} & set(convolution.arguments)
            if taken:
                raise ValueError(
                    f"{taken.pop()!r} of {convolution} is the network's to choose: it must be the "
                    f"same for all convolutions."
                )


PRESETS = {
    "smoke": Config(
        conv=(Convolution("standard"), Convolution("tiled", {"tile": 2})),
        seeds=(0,),
        features=(4, 4),
        strides=(1, 2),
        kernel_size=3,
        error_images=2,
        translations=1,
        train=TrainConfig(steps=40, batch_size=64, learning_rate=1e-2, log_every=20),
    ),
    "full": Config(
        data="mnist",
        seeds=(0, 1, 2, 3, 4),
        features=(8, 16, 32),
        error_images=32,
        train=TrainConfig(
            steps=4000,
            batch_size=256,
            learning_rate=2e-3,
            warmup_steps=200,
            log_every=200,
            checkpoint_every=1000,
        ),
    ),
}

TRAIN_DATA = ("centred", "translated")


def sweep() -> Iterator[dict[str, Any]]:
    """Configurations that differ in the learning rate, for --sweep."""
    for learning_rate in (0.004, 0.008, 0.016):
        yield {"train.learning_rate": learning_rate}


def run(config: Config, record: Any) -> None:
    """Train and measure every network of the configuration, and write results and report."""
    from cnnjax.study import on_canvas

    from cnnjax.report.equivariance import write_report

    task = on_canvas(config.data, config.data_dir, config.train, canvas=config.canvas)
    images = task.place(task.dataset.test.images[: config.error_images])
    rows = []
    for convolution in config.conv:
        family = _family(config, task, images, convolution)
        for train_data in TRAIN_DATA:
            networks = [
                {
                    "before": _before(task, family, images, seed, record),
                    **_network(config, task, family, images, seed, train_data, record),
                }
                for seed in config.seeds
            ]
            rows.append(_row(family.description, train_data, config.seeds, networks))
    results = {
        "data": config.data,
        "canvas": task.shape[0],
        "train_examples": len(task.dataset.train.images),
        "test_examples": len(task.dataset.test.images),
        "translations": config.translations,
        "error_images": len(images),
        "classes": task.dataset.num_classes,
        "steps": config.train.steps,
        "batch_size": config.train.batch_size,
        "seeds": config.seeds,
        "rows": rows,
    }
    speeds = [_speed(record, row) for row in rows]
    timings = record.timings({"rows": [{"images_per_second": speed} for speed in speeds]})
    write_report(record.results(results), timings, record)


@dataclasses.dataclass(frozen=True, eq=False)
class Family:
    """The networks made of one convolution: what is compiled once for all of them."""

    training: Any
    outputs: Any
    """From images and parameters to what each layer computes; one object, so compiled once."""
    description: dict[str, Any]


def _family(config: Config, task: Any, images: Any, convolution: Convolution) -> Family:
    from cnnjax.models import ConvNet

    model = ConvNet(
        classes=task.dataset.num_classes,
        conv=convolution.layer(),
        features=config.features,
        strides=config.strides,
        kernel_size=config.kernel_size,
    )
    training = task.compile(model)
    params = task.initial(training, config.seeds[0]).params

    def outputs(images, params):
        return model.apply({"params": params}, images, method="outputs")

    return Family(training, outputs, _description(model, params, images, convolution))


def _network(
    config: Config,
    task: Any,
    family: Family,
    images: Any,
    seed: int,
    train_data: str,
    record: Any,
) -> dict[str, Any]:
    """Train one network and measure it, unless an interrupted run did so already."""
    from cnnjax.study import train_network

    from cnnjax.symmetry import errors_over_shifts

    name = _name(family.description["label"], train_data, seed)
    measured = record.part(name)
    if measured is None:
        print(f"\n{name}", flush=True)
        positions = {"centred": 1, "translated": task.shape[0]}
        repeats = {"centred": 1, "translated": config.translations}
        done = train_network(
            task, family.training, seed, name, record, translation=positions[train_data]
        )
        accuracy = {
            kind: task.evaluate(
                family.training, done.state, repeats=repeats[kind], translation=positions[kind]
            )["accuracy"]
            for kind in TRAIN_DATA
        }
        if done.images_per_second is not None:
            record.timings({name: {"images_per_second": done.images_per_second}})
        params = done.state.variables["params"]
        measured = {
            "accuracy": accuracy,
            "after": errors_over_shifts(family.outputs, images, params),
        }
        record.write_part(name, measured)
    return measured


def _before(task: Any, family: Family, images: Any, seed: int, record: Any) -> dict[str, Any]:
    """Errors of the untrained network of a seed, the same for both kinds of training data."""
    from cnnjax.symmetry import errors_over_shifts

    name = f"{family.description['label']} untrained seed {seed}"
    measured = record.part(name)
    if measured is None:
        params = task.initial(family.training, seed).params
        measured = errors_over_shifts(family.outputs, images, params)
        record.write_part(name, measured)
    return measured


def _description(model: Any, params: Any, images: Any, convolution: Convolution) -> dict[str, Any]:
    """What a network is before any training: its size, its cost, its predicted symmetry."""
    import jax
    import numpy as np

    from cnnjax.inspect import multiply_adds, parameter_count
    from cnnjax.symmetry import errors_over_shifts, lattice_of_errors

    lattices = model.predicted_lattices(images.shape[1:-1])
    shapes = jax.eval_shape(lambda: model.apply({"params": params}, images, method="outputs"))
    inputs = [images.shape, *(shape.shape for shape in shapes.values())]
    alone = {}
    for index, (name, shape) in enumerate(zip(lattices, inputs, strict=False)):
        if name == "network":
            continue

        def layer(x, params, index=index):
            return model.apply({"params": params}, x, index, method="layer")

        noise = np.random.default_rng(index).normal(size=(2, *shape[1:])).astype(np.float32)
        alone[name] = {
            "predicted_lattice": lattices[name]["alone"],
            "measured_lattice": lattice_of_errors(errors_over_shifts(layer, noise, params)),
        }
    one = jax.ShapeDtypeStruct((1, *images.shape[1:]), images.dtype)
    return {
        "conv": convolution.name,
        "arguments": convolution.arguments,
        "tile": getattr(model.conv(**model.layer_arguments()[0], parent=None), "tile", None),
        "label": str(convolution),
        "params": parameter_count(params),
        "multiply_adds": multiply_adds(lambda x: model.apply({"params": params}, x), one),
        "predicted": {name: lattice["network"] for name, lattice in lattices.items()},
        "alone": alone,
    }


def _row(
    description: dict[str, Any], train_data: str, seeds: tuple[int, ...], networks: list[dict]
) -> dict[str, Any]:
    """Numbers over seeds of one convolution and one kind of training data."""
    import numpy as np

    from cnnjax.run.statistics import summarize
    from cnnjax.symmetry import lattice_of_errors, on_lattice

    layers = []
    for name, predicted in description["predicted"].items():
        before, after = (
            np.array([network[stage][name] for network in networks], np.float64)
            for stage in ("before", "after")
        )
        space = before.shape[1:]
        measured = lattice_of_errors(np.maximum(before, after).max(0))
        exact = on_lattice(space, predicted or measured)
        moved = np.ones(space, bool)
        moved[0, 0] = False
        layers.append(
            {
                "name": name,
                "predicted_lattice": predicted,
                "measured_lattice": measured,
                "error_on_lattice": max(before[:, exact].max(), after[:, exact].max()),
                "error_off_lattice": None if exact.all() else before[:, ~exact].mean(),
                "error_off_lattice_after_training": (
                    None if exact.all() else after[:, ~exact].mean()
                ),
                "error_before_training": before[:, moved].mean(),
                "error_after_training": after[:, moved].mean(),
                "error_before_training_by_seed": before[:, moved].mean(1),
                "error_after_training_by_seed": after[:, moved].mean(1),
                "alone": description["alone"].get(name),
                "horizontal_before_training": _rounded(before[:, 0]),
                "horizontal_after_training": _rounded(after[:, 0]),
                "map_before_training": _rounded(before.mean(0)),
                "map_after_training": _rounded(after.mean(0)),
            }
        )
    shown = ("conv", "arguments", "tile", "label", "params", "multiply_adds")
    return {
        **{key: description[key] for key in shown},
        "train_data": train_data,
        "seeds": seeds,
        **{
            f"accuracy_{kind}": summarize([network["accuracy"][kind] for network in networks])
            for kind in TRAIN_DATA
        },
        "layers": layers,
    }


def _name(label: str, train_data: str, seed: int) -> str:
    """Of one network: of its checkpoints, its lines of metrics and its parts of the results."""
    return f"{label} {train_data} seed {seed}"


def _speed(record: Any, row: dict[str, Any]) -> Any:
    """Training images/s over the seeds of a row, of those that were trained without a break."""
    from cnnjax.run.statistics import summarize

    timings = record.timings({})
    names = [_name(row["label"], row["train_data"], seed) for seed in row["seeds"]]
    speeds = [timings[name]["images_per_second"] for name in names if name in timings]
    return summarize(speeds) if speeds else None


def _rounded(errors: Any) -> Any:
    """To four significant digits, which keep what is small apart from what is zero."""
    import numpy as np

    return np.vectorize(lambda error: float(f"{error:.4g}"), otypes=[float])(errors)
